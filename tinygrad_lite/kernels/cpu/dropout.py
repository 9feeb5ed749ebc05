"""Dropout for NumPy: what `kernels/dropout.py` computes, from fewer random bits and in blocks.

What they take, in ns an element of a million in float32 on one core, and what the plain ones do: draw_kept
0.6 (2.0), scale_kept 0.3 (0.4).
"""

from __future__ import annotations

import numpy as np

from tinygrad_lite.kernels.cpu.blocks import in_blocks

COARSE = 2**-8  # the least p, and 1 − p, for which 16 bits will do: p then errs by 0.2 % at most


def draw_kept(x: np.ndarray, p: float, rng: np.random.Generator) -> np.ndarray:
    """Booleans in the shape and memory order of x, False with probability p; drawn in order of the axes.

    p is rounded to a multiple of 2⁻¹⁶, or, where p or 1 − p is below 2⁻⁸, of 2⁻³²: four draws, or two, are
    made of the 64 bits that the generator gives at a time.
    """
    bits = 16 if COARSE <= p <= 1 - COARSE else 32
    words = rng.bit_generator.random_raw(-(-x.size * bits // 64))
    draws = words.view(f"uint{bits}")[: x.size].reshape(x.shape)
    return np.greater_equal(draws, round(p * 2**bits), out=np.empty_like(x, dtype=bool))


def scale_kept(x: np.ndarray, kept: np.ndarray, scale: float) -> np.ndarray:
    """x·scale where it is kept, else 0."""

    def compute(x: np.ndarray, kept: np.ndarray, y: np.ndarray) -> None:
        np.copyto(y, kept)
        y *= scale
        y *= x

    (y,) = in_blocks(compute, x, kept, passes=3)
    return y
