"""A trained network in use: eval mode for a while, and its outputs for many samples."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from tinygrad_lite import Tensor, nn, no_grad


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Within it `model` is in eval mode; afterwards each of its modules has the mode that it had."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def outputs(model: nn.Module, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """What `model` gives for `images`, in eval mode and without a graph: (N, ...).

    Args:
        model: it runs where it is, and gets back the mode that it had.
        images: (N, ...), in the host's memory.
        batch_size: how many at a time.
    """
    device = next(model.parameters()).device
    starts = range(0, max(len(images), 1), batch_size)  # one batch, of no image, gives the shape of no output
    with no_grad(), eval_mode(model):
        parts = [model(Tensor(images[i : i + batch_size], device=device)).numpy() for i in starts]
    return np.concatenate(parts)
