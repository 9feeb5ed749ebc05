"""Softmax and its logarithm along an axis, as array expressions for NumPy and CuPy.

`kernels/cpu/softmax.py` has the same functions for NumPy, in blocks of rows.

    x     any shape
    p, y  the softmax and its logarithm, as long
    g     a gradient of that shape
"""

from __future__ import annotations

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.kernels import reduce


def softmax(x: Array, axis: int) -> Array:
    """p = eˣ / Σ eˣ; the largest element is taken out first, so nothing overflows."""
    e = array_module(x).exp(x - x.max(axis=axis, keepdims=True))
    return e / total(e, axis)


def softmax_back(g: Array, p: Array, axis: int) -> Array:
    """p·(g − Σ g·p)."""
    return p * (g - total(g * p, axis))


def log_softmax(x: Array, axis: int) -> Array:
    """y = z − log Σ eᶻ, z = x − max x."""
    xp, z = array_module(x), x - x.max(axis=axis, keepdims=True)
    return z - xp.log(total(xp.exp(z), axis))


def log_softmax_back(g: Array, y: Array, axis: int) -> Array:
    """g − eʸ·Σ g."""
    return g - array_module(g).exp(y) * total(g, axis)


def row_maxima(x: Array) -> Array:
    """(n, K) → (n, 1)."""
    return x.max(axis=1, keepdims=True)


def row_sums(x: Array) -> Array:
    """(n, K) → (n, 1)."""
    return total(x, 1)


def total(x: Array, axis: int) -> Array:
    """Σ x with length 1 left along the axis; float16 is summed in float32."""
    return reduce.total(x, (axis,), keepdim=True).astype(x.dtype, copy=False)
