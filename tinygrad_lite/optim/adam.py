"""Adam and AdamW: steps that do not depend on the scale of the gradient."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.optim.optimizer import Optimizer, Params


class Adam(Optimizer):
    """Adam: Kingma & Ba 2014, arXiv:1412.6980, algorithm 1.

        g = ∇L(p) + λ·p
        m = β₁·m + (1 − β₁)·g         the mean of the gradient
        v = β₂·v + (1 − β₂)·g²        and of its square, elementwise
        m̂ = m/(1 − β₁ᵗ),  v̂ = v/(1 − β₂ᵗ)          at step t: both means began at 0
        p = p − lr·m̂/(√v̂ + ε)

    Args:
        params: tensors, or groups of them with options of their own.
        lr: the learning rate: about how far an element moves in one step.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: λ, of the penalty λ/2·‖p‖². It is scaled as the gradient is: see `AdamW`.

    Raises:
        ValueError, TypeError: see `Optimizer`.
    """

    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        """One step of the elements p."""
        xp = array_module(p)
        if not state:
            state.update(step=0, exp_avg=xp.zeros_like(p), exp_avg_sq=xp.zeros_like(p))
        beta1, beta2 = betas
        t = state["step"] = state["step"] + 1
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if weight_decay:
            g = g + weight_decay * p
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        # The corrections are numbers, and go to lr and ε instead of the arrays (section 2 of the paper).
        c = math.sqrt(1 - beta2**t)
        root = xp.sqrt(v)
        root += c * eps
        change = m / root
        change *= c * lr / (1 - beta1**t)
        p -= change


class AdamW(Adam):
    """Adam with a weight decay of its own: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.

        p = p − lr·λ·p
        p = p − lr·m̂/(√v̂ + ε)         m̂ and v̂ as in `Adam`, of the gradient alone

    So every element decays at one rate, however large its gradients are.

    Args:
        params, lr, betas, eps: as `Adam`.
        weight_decay: λ.

    Raises:
        ValueError, TypeError: see `Optimizer`.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p: Array, g: Array, state: dict[str, Any], **options: Any) -> None:
        """One step of the elements p."""
        p *= 1 - options["lr"] * options["weight_decay"]
        super().update(p, g, state, **{**options, "weight_decay": 0.0})
