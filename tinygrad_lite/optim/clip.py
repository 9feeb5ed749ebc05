"""Keeping gradients short."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinygrad_lite.backend import array_module
from tinygrad_lite.tensor import Tensor
from tinygrad_lite.threads import one_blas_thread


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale all gradients in place by one factor, min(1, max_norm/(‖g‖ + 10⁻⁶)); returns ‖g‖ as it was.

    ‖g‖ = √Σ g² is the length of all gradients as one vector: Pascanu et al. 2012, arXiv:1211.5063. It is a
    0-d tensor, so nothing waits for a GPU. If it is not finite, neither are the gradients after: as in torch.

    Args:
        parameters: tensors; those without a gradient are left out.
        max_norm: the length that is allowed.

    Raises:
        ValueError: for a max_norm below 0.
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be at least 0; got {max_norm}")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return Tensor(0.0)
    xp = array_module(gradients[0].data)
    order = "K" if xp is np else "C"  # in the order of memory nothing is copied; CuPy knows no "K"
    with one_blas_thread:
        norm = xp.sqrt(sum(xp.vdot(flat, flat) for flat in (g.data.ravel(order) for g in gradients)))
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    for g in gradients:
        g.data *= factor
        g.bump_version()
    return Tensor(norm)
