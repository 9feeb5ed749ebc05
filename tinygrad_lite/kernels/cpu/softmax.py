"""Softmax and its logarithm for NumPy: what `kernels/softmax.py` computes, in blocks that stay in the cache.

Rows that lie one after another in memory are made fast; of other layouts the plain expressions take care.
Sums over a row are products with ones, for which BLAS needs a seventh of the time of `sum`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_lite.kernels import softmax as plain
from tinygrad_lite.kernels.matmul import rows_of
from tinygrad_lite.threads import in_runs, one_blas_thread, slices

BLOCK = 1 << 17  # elements at a time
SHORT = 32  # elements in a row, up to which its maximum is found faster in the turned matrix
PASSES = 4  # over the elements, in each function here
LONG = 512  # elements in a row, from which on NumPy sums it as fast as BLAS
SAFE_TOTALS = 1e-10, 1e10  # of eˣ: neither has x come near overflow, nor has a row lost what counts in it


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """p = eˣ / Σ eˣ; of rows of 64 in 0.5 of the time of the plain expressions."""
    if not _are_rows(x, axis):
        return plain.softmax(x, axis)

    def fill(p: np.ndarray, x: np.ndarray) -> None:
        p /= exponentials(x, out=p)

    return _by_rows(fill, axis, x)


def softmax_back(g: np.ndarray, p: np.ndarray, axis: int) -> np.ndarray:
    """p·(g − Σ g·p), in 0.55 of the time of the plain expressions."""
    if not _are_rows(p, axis):
        return plain.softmax_back(g, p, axis)

    def fill(dx: np.ndarray, p: np.ndarray, g: np.ndarray) -> None:
        np.subtract(g, np.vecdot(g, p)[:, None], out=dx)
        dx *= p

    return _by_rows(fill, axis, p, g)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """y = z − log Σ eᶻ, z = x − max x: the row's own maximum, so that a y near 0 is exact."""
    if not _are_rows(x, axis):
        return plain.log_softmax(x, axis)

    def fill(y: np.ndarray, x: np.ndarray) -> None:
        np.subtract(x, row_maxima(x), out=y)
        y -= np.log(row_sums(np.exp(y)))

    return _by_rows(fill, axis, x)


def log_softmax_back(g: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """g − eʸ·Σ g."""
    if not _are_rows(y, axis):
        return plain.log_softmax_back(g, y, axis)

    def fill(dx: np.ndarray, y: np.ndarray, g: np.ndarray) -> None:
        np.exp(y, out=dx)
        dx *= row_sums(g)
        np.subtract(g, dx, out=dx)

    return _by_rows(fill, axis, y, g)


# -- rows ------------------------------------------------------------------------------------------------


def exponentials(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """eˣ, up to a factor for each row, into `out`; returns the sums of its rows (n, 1). x is (n, K).

    The factor is 1 where the sums then are safe, which saves two passes, of which the search for each row's
    maximum is the slowest of all; else e^(−max), so nothing overflows.
    """
    with np.errstate(over="ignore"):
        totals = row_sums(np.exp(x, out=out))
    if totals.size and not (SAFE_TOTALS[0] < totals.min() and totals.max() < SAFE_TOTALS[1]):
        np.subtract(x, row_maxima(x), out=out)
        totals = row_sums(np.exp(out, out=out))
    return totals


def row_maxima(x: np.ndarray) -> np.ndarray:
    """(n, K) → (n, 1). NumPy takes 50-100 ns for a row, however short; turned, short rows are few long ones.

    2,048 rows of 10: 12 µs instead of 260.
    """
    if x.shape[1] > SHORT or not x.size:
        return plain.row_maxima(x)
    return np.ascontiguousarray(x.T).max(axis=0)[:, None]


@one_blas_thread
def row_sums(x: np.ndarray) -> np.ndarray:
    """(n, K) → (n, 1), as a product with ones: 2,048 rows of 10 in 6 µs instead of 108.

    Long rows NumPy sums as fast, and more exactly, for it adds in pairs.
    """
    if x.shape[1] > LONG:
        return plain.row_sums(x)
    return x @ np.ones((x.shape[1], 1), x.dtype)


def _are_rows(x: np.ndarray, axis: int) -> bool:
    """Whether what is summed lies in rows, of a dtype that BLAS has."""
    return x.dtype.char in "fd" and _turned(x, axis).flags.c_contiguous


def _by_rows(fill: Callable[..., None], axis: int, *arrays: np.ndarray) -> np.ndarray:
    """`fill(out, *arrays)` for blocks of rows; `out` as a whole, laid out as the first of `arrays`."""
    first = _turned(arrays[0], axis)
    rows = [rows_of(_turned(x, axis)) for x in arrays]
    out = np.empty_like(rows[0])
    length = max(1, BLOCK // max(1, out.shape[1]))

    def run(start: int, stop: int) -> None:
        for block in slices(start, stop, length):
            fill(out[block], *(x[block] for x in rows))

    in_runs(run, len(out), 8 * PASSES * out.size)
    y = out.reshape(first.shape)
    return y if first is arrays[0] else np.moveaxis(y, -1, axis)


def _turned(x: np.ndarray, axis: int) -> np.ndarray:
    """x with the axis last."""
    return x if axis == x.ndim - 1 else np.moveaxis(x, axis, -1)
