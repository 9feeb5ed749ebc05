"""A case: a function, and how to draw the inputs at which it is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.backend import keyed_rng

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One call of an op, written so that this framework and torch can both run it.

    Args:
        name: what is special about it, as `op: what`; unique.
        fn: takes a namespace (tinygrad_lite or torch) and a tensor for each draw.
        draws: how to make each input; floats in float64.
        peer: whether torch has the function under the same name, with the same arguments.
        wrt: positions of the inputs with gradients; all floats by default.
        draws_mask: whether it draws from the ambient generator, whose bits differ between devices.
    """

    name: str
    fn: Callable[..., Any]
    draws: tuple[Draw, ...]
    peer: bool = True
    wrt: tuple[int, ...] | None = None
    draws_mask: bool = False

    def inputs(self) -> list[np.ndarray]:
        """The inputs: always the same for a name."""
        rng = keyed_rng(0, self.name)
        return [draw(rng) for draw in self.draws]

    def differentiable(self) -> list[int]:
        """Positions of the inputs with gradients."""
        if self.wrt is not None:
            return list(self.wrt)
        return [i for i, x in enumerate(self.inputs()) if x.dtype.kind == "f"]


def normal(*shape: int, mean: float = 0.0, std: float = 1.0) -> Draw:
    """Normal draws."""
    return lambda rng: mean + std * rng.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Uniform draws from [low, high)."""
    return lambda rng: rng.uniform(low, high, shape)


def spread(*shape: int) -> Draw:
    """Distinct values, 0.1 apart, none within 0.05 of 0: far from ties and from the kink at 0."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        n = int(np.prod(shape))
        return ((rng.permutation(n) - n // 2) * 0.1 + 0.05).reshape(shape)

    return draw


def integers(high: int, *shape: int) -> Draw:
    """Integers from 0 … high−1."""
    return lambda rng: rng.integers(high, size=shape)


def booleans(*shape: int) -> Draw:
    """Booleans, half of them true."""
    return lambda rng: rng.random(shape) < 0.5


def probabilities(*shape: int) -> Draw:
    """Positive numbers that sum to 1 along dimension 1."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        e = np.exp(rng.standard_normal(shape))
        return e / e.sum(axis=1, keepdims=True)

    return draw


def constant(values: Any) -> Draw:
    """These values, as they are: special points."""
    return lambda rng: np.array(values)


def strided(draw: Draw) -> Draw:
    """The same draws, laid out backwards in memory: a view that is not contiguous."""
    return lambda rng: np.ascontiguousarray(draw(rng)[..., ::-1])[..., ::-1]
