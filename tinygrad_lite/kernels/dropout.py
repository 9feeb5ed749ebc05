"""Which elements dropout keeps, and those times a factor, as array expressions for NumPy and CuPy alike."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.backend import Array, array_module


def draw_kept(x: Array, p: float, rng: Any) -> Array:
    """Booleans in the shape and memory order of x, False with probability p; drawn in order of the axes."""
    xp = array_module(x)
    return xp.greater_equal(rng.random(x.shape, dtype="float32"), p, out=xp.empty_like(x, dtype=bool))


def scale_kept(x: Array, kept: Array, scale: float) -> Array:
    """x·scale where it is kept, else 0."""
    return x * kept * scale
