"""Matrix products, for NumPy and CuPy; `kernels/cpu/matmul.py` shares the large ones among threads."""

from __future__ import annotations

import math

from tinygrad_lite.backend import Array
from tinygrad_lite.kernels.reduce import total


def rows_of(x: Array) -> Array:
    """(…, n) as (N, n), all rows under one another: a view where the layout allows it."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(a: Array, b: Array) -> Array:
    """(…, n, k), (…, k, m) → (…, n, m), batches broadcast."""
    return a @ b


def matmul_transposed(a: Array, b: Array) -> Array:
    """aᵀ·b: (n, k), (n, m) → (k, m)."""
    return a.T @ b


def linear(x: Array, w: Array, b: Array | None) -> Array:
    """x·Wᵀ + b: (n, in), (out, in), (out,) or None → (n, out)."""
    y = x @ w.T
    return y if b is None else y + b


def column_sums(g: Array) -> Array:
    """(n, m) → (m,); float16 is summed in float32."""
    return total(g, (0,), False).astype(g.dtype, copy=False)
