"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.optim.optimizer import Optimizer, Params


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

        g = ∇L(p) + λ·p
        v = μ·v + (1 − τ)·g           at the first step v = g
        p = p − lr·v                  with nesterov p − lr·(g + μ·v)

    As in torch the learning rate is outside the velocity v, unlike in Sutskever et al.: "On the importance of
    initialization and momentum in deep learning", 2013.

    Args:
        params: tensors, or groups of them with options of their own.
        lr: the learning rate.
        momentum: μ.
        dampening: τ.
        weight_decay: λ, of the penalty λ/2·‖p‖².
        nesterov: step by where the velocity is going to be.

    Raises:
        ValueError, TypeError: see `Optimizer`; and for nesterov without momentum, or with dampening.
    """

    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )

    def check_options(self, options: dict[str, Any]) -> None:
        """Refuse options that make no sense, by a ValueError."""
        super().check_options(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs a momentum above 0 and no dampening; got momentum "
                f"{options['momentum']}, dampening {options['dampening']}"
            )

    def update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Any],
        *,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        """One step of the elements p."""
        if weight_decay:
            g = g + weight_decay * p
        if momentum:
            first = "momentum_buffer" not in state
            if first:
                state["momentum_buffer"] = array_module(p).zeros_like(p)
            v = state["momentum_buffer"]
            v *= momentum
            v += g if first else (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        p -= lr * g
