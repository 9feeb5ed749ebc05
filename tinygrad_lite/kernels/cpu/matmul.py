"""Matrix products for NumPy, of `kernels/matmul.py`: BLAS at one thread each, large ones in runs of rows.

OpenBLAS takes transposed and strided matrices as they are, so nothing here copies a large one.

Tall matrices times narrow ones go through `products.py`: (25088, 64) · (64, 64) in 0.75 of the time,
(8192, 48) · (48, 144) in 0.87, (2048, 128) · (128, 128) in 0.91; and about as much less for their transposed
twins, the gradients of weights.
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.kernels import matmul as plain
from tinygrad_lite.kernels.cpu.products import UNPACKED, multiply, multiply_transposed
from tinygrad_lite.threads import SMALL, WORTH, in_runs, one_blas_thread

TALL = 32  # rows of a product in a slice, at least
ROWS = 16  # a run of rows begins at a multiple of it: BLAS computes so many at once


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(…, n, k), (…, k, m) → (…, n, m), batches broadcast; a batch times one matrix is one product."""
    if b.ndim == 2:
        rows = _product(plain.rows_of(a), b)
        return rows.reshape(*a.shape[:-1], b.shape[1])
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), np.result_type(a, b))

    def fill(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b[start:stop], out=out[start:stop])

    in_runs(fill, batch[0], out.size * a.shape[-1])
    return out


def matmul_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """aᵀ·b: (n, k), (n, m) → (k, m)."""
    (n, k), m = a.shape, b.shape[1]
    if not _is_tall(n, k, m):
        return _product(a.T, b)
    runs = in_runs(lambda start, stop: multiply_transposed(a[start:stop], b[start:stop]), n, n * k * m)
    return functools.reduce(np.add, runs)


def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """x·Wᵀ + b: (n, in), (out, in), (out,) or None → (n, out)."""
    y = _product(x, w.T)
    if b is not None:
        y += b  # after the whole product: in blocks it would be cheaper, but each block's product dearer
    return y


@one_blas_thread
def column_sums(g: np.ndarray) -> np.ndarray:
    """(n, m) → (m,): as a product with ones it takes a third of the time of a sum over rows."""
    return np.ones(len(g), g.dtype) @ g


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, k), (k, m) → (n, m); the threads share the longer of n and m."""
    (n, k), m = a.shape, b.shape[1]
    cost = n * k * m
    if cost < SMALL:
        return a @ b
    is_tall = _is_tall(n, k, m)
    if cost < 2 * WORTH and not is_tall:  # one run, which alone holds BLAS
        return in_runs(lambda *_: a @ b, 1, cost)[0]
    out = np.empty((n, m), np.result_type(a, b))
    narrow = np.ascontiguousarray(b) if is_tall else b

    def fill_rows(start: int, stop: int) -> None:
        fill = multiply if is_tall else np.matmul
        fill(a[start:stop], narrow, out=out[start:stop])

    def fill_columns(start: int, stop: int) -> None:
        np.matmul(a, b[:, start:stop], out=out[:, start:stop])

    if n >= m:
        in_runs(fill_rows, n, cost, ROWS)
    else:
        in_runs(fill_columns, m, cost, ROWS)
    return out


def _is_tall(n: int, k: int, m: int) -> bool:
    """Whether (n, k) · (k, m) is worth to be cut into slices, of TALL rows or more."""
    return n >= 16 * TALL and 0 < TALL * k * m <= UNPACKED
