"""Step one of a check: derivatives of a function of arrays by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STEP = 1e-3


def along(
    f: Callable[[list[np.ndarray]], float], inputs: list[np.ndarray], i: int, direction: np.ndarray
) -> float:
    """How f changes when input i moves along `direction`, for each unit of it.

    Central differences D(h) = (f(x + h·d) − f(x − h·d)) / 2h at h and h/2, extrapolated to h → 0
    (Richardson): (4·D(h/2) − D(h)) / 3, whose error is of order h⁴. h is 10⁻³ of the larger of 1 and the
    largest |x| that moves.
    """
    x = inputs[i]
    size = float(np.abs(x[direction != 0]).max(initial=1.0))
    step = STEP * size / max(1.0, float(np.abs(direction).max(initial=0.0)))

    def at(h: float) -> float:
        return f([*inputs[:i], x + h * direction, *inputs[i + 1 :]])

    wide = (at(step) - at(-step)) / (2 * step)
    narrow = (at(step / 2) - at(-step / 2)) / step
    return (4 * narrow - wide) / 3


def elements(f: Callable[[list[np.ndarray]], float], inputs: list[np.ndarray], i: int) -> np.ndarray:
    """The derivative of f by every element of input i, in its shape."""
    result = np.zeros(inputs[i].shape)
    for place in np.ndindex(inputs[i].shape):
        direction = np.zeros(inputs[i].shape)
        direction[place] = 1
        result[place] = along(f, inputs, i, direction)
    return result
