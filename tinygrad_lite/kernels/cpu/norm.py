"""Normalization for NumPy: what `kernels/norm.py` computes, in blocks that stay in the cache, in few passes.

What makes it fast:

- Where a number for each channel meets every pixel, several pixels are taken as one long row, and the numbers
  are repeated to its length: NumPy's loop over short rows would cost more than the arithmetic. Rows that fit
  into its buffer NumPy copies there first, so the buffer is made as small as a row; `np.errstate`, a
  decorator here, makes it again what it was.
- Sums are products with ones, for which BLAS reads the data at the speed of memory.
- The gradient of x is a·G + b·x + c with three numbers for a channel: it needs no x̂ of the size of x.

Of few elements the calls cost more than the passes, and the plain expressions have fewer calls.

In ns an element, float32, one core with AVX-512, forward and backward, and what the plain kernels took:
batch_norm of 2 M elements 0.9 and 1.5 (1.6 and 2.1), group_norm of 1.6 M 1.0 and 1.4 (1.5 and 2.1). Rows of
half a million elements, as layer_norm has them, gained nothing in blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_lite.kernels import norm as plain
from tinygrad_lite.kernels.norm import channels_last, channels_second, mean_of_group
from tinygrad_lite.threads import in_runs, one_blas_thread, slices

BLOCK = 1 << 18  # elements at a time; of fewer, what a call of NumPy costs would tell
LONG = 1 << 10  # elements in a long row
PASS = 8  # what `in_runs` counts for an element

Results = tuple[np.ndarray, np.ndarray, np.ndarray]


# -- over the batch: pixels are the rows of a matrix -------------------------------------------------------


@one_blas_thread
@np.errstate()
def batch_norm(x: np.ndarray, w: np.ndarray | None, b: np.ndarray | None, eps: float) -> Results:
    """w·(x − m)/√(v + ε) + b; and m and v. Reads x once, for y = x − o and its sums; then y goes on in place.

    The origin o is near the mean, so that v = mean (x − o)² − (m − o)² loses no digits.
    """
    if x.size < BLOCK:
        return plain.batch_norm(x, w, b, eps)
    np.setbufsize(LONG)
    C = x.shape[1]
    rows, k, n = _pixels(x)
    sample = rows.reshape(n, C)[:: n // 64 + 1]
    origin = sample.sum(axis=0) / len(sample)
    y, origin_row = np.empty_like(rows), _repeat(origin, k)

    def sums(start: int, stop: int) -> np.ndarray:
        total = np.zeros((2, C))
        for block, scratch in _blocks(rows, start, stop):
            d = np.subtract(rows[block], origin_row, out=y[block])
            total += _totals(k, d, np.multiply(d, d, out=scratch))
        return total

    d, dd = np.sum(in_runs(sums, len(rows), PASS * x.size), axis=0) / n
    v = np.maximum(dd - d * d, 0)
    scale = (1 if w is None else w) / np.sqrt(v + eps)
    shift = (0 if b is None else b) - d * scale
    _scale(y, scale, shift, k, out=y)
    return channels_second(y, x.shape), (origin + d).astype(x.dtype), v.astype(x.dtype)


@one_blas_thread
@np.errstate()
def batch_norm_back(
    G: np.ndarray, x: np.ndarray, w: np.ndarray | None, m: np.ndarray, v: np.ndarray, eps: float
) -> Results:
    """The gradients of x, w and b: one pass for Σ G and Σ G·x, and one for a·G + b·x + c."""
    if x.size < BLOCK:
        return plain.batch_norm_back(G, x, w, m, v, eps)
    np.setbufsize(LONG)
    (rows, k, n), (grad, _, _) = _pixels(x), _pixels(G)

    def sums(start: int, stop: int) -> np.ndarray:
        total = np.zeros((2, len(m)))
        for block, scratch in _blocks(rows, start, stop):
            g = grad[block]
            total += _totals(k, g, np.multiply(g, rows[block], out=scratch))
        return total

    db, Gx = np.sum(in_runs(sums, len(rows), PASS * x.size), axis=0)
    r = 1 / np.sqrt(v.astype("float64") + eps)
    dw = r * (Gx - m * db)
    a = r if w is None else r * w
    along_x = -a * r * dw / n
    a_row, b_row, c_row = _repeat(np.array([a, along_x, -a * db / n - along_x * m], x.dtype), k)
    dx = np.empty_like(rows)

    def combine(start: int, stop: int) -> None:
        for block, scratch in _blocks(rows, start, stop):
            d = np.multiply(rows[block], b_row, out=dx[block])
            d += c_row
            d += np.multiply(grad[block], a_row, out=scratch)

    in_runs(combine, len(rows), PASS * x.size)
    return channels_second(dx, x.shape), dw.astype(x.dtype), db.astype(x.dtype)


@one_blas_thread
@np.errstate()
def affine(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x·scale + shift, a number of each (C,) for a channel."""
    if x.size < BLOCK:
        return plain.affine(x, scale, shift)
    np.setbufsize(LONG)
    rows, k, _ = _pixels(x)
    y = np.empty_like(rows)
    _scale(rows, scale, shift, k, out=y)
    return channels_second(y, x.shape)


def _scale(rows: np.ndarray, scale: np.ndarray, shift: np.ndarray, k: int, out: np.ndarray) -> None:
    a, b = _repeat(np.array([scale, shift], rows.dtype), k)

    def work(start: int, stop: int) -> None:
        for block, _ in _blocks(rows, start, stop):
            y = np.multiply(rows[block], a, out=out[block])
            y += b

    in_runs(work, len(rows), PASS * rows.size)


def _totals(k: int, *matrices: np.ndarray) -> np.ndarray:
    """Σ over the pixels of matrices of long rows: (matrices, C).

    Up to 16 pixels are first added as one: so each sum has fewer terms, and less is lost to rounding.
    """
    several = math.gcd(k, 16)
    parts = [rows.reshape(-1, several * rows.shape[1] // k) for rows in matrices]
    ones = np.ones(len(parts[0]), parts[0].dtype)
    sums = np.array([ones @ part for part in parts], "float64")
    return sums.reshape(len(parts), several, -1).sum(axis=1)


# -- over groups of channels of an image -------------------------------------------------------------------


@one_blas_thread
@np.errstate()
def group_norm(x: np.ndarray, groups: int, w: np.ndarray | None, b: np.ndarray | None, eps: float) -> Results:
    """w·(x − m)/√(v + ε) + b; and m and v. A block of images is read once and written once."""
    if x.size < BLOCK:
        return plain.group_norm(x, groups, w, b, eps)
    np.setbufsize(LONG)
    data = channels_last(x)
    N, L, C = data.shape
    rows, k = _long_rows(data)
    y, (m, v) = np.empty_like(rows), np.empty((2, N, C), x.dtype)
    ones, mean = np.ones((1, L), x.dtype), mean_of_group(data, groups)
    b_row = None if b is None else _repeat(b, k)

    def work(start: int, stop: int) -> None:
        for block, scratch in _blocks(rows, start, stop):
            pixels = data[block]
            m[block] = mean((ones @ pixels)[:, 0])
            d = np.subtract(rows[block], _repeat(m[block], k), out=y[block])
            np.multiply(d, d, out=scratch)
            v[block] = mean((ones @ scratch.reshape(pixels.shape))[:, 0])
            r = 1 / np.sqrt(v[block] + eps)
            d *= _repeat(r if w is None else r * w, k)
            if b_row is not None:
                d += b_row

    in_runs(work, N, PASS * x.size)
    return channels_second(y, x.shape), m, v


@one_blas_thread
@np.errstate()
def group_norm_back(
    G: np.ndarray, x: np.ndarray, groups: int, w: np.ndarray | None, m: np.ndarray, v: np.ndarray, eps: float
) -> Results:
    """The gradients of x, w and b: in each block of images Σ G and Σ G·x, and then a·G + b·x + c."""
    if x.size < BLOCK:
        return plain.group_norm_back(G, x, groups, w, m, v, eps)
    np.setbufsize(LONG)
    data = channels_last(x)
    N, L, C = data.shape
    rows, k = _long_rows(data)
    grad, dx = channels_last(G).reshape(rows.shape), np.empty_like(rows)
    ones, mean = np.ones((1, L), x.dtype), mean_of_group(data, groups)
    weight = np.ones(C, x.dtype) if w is None else w
    r = 1 / np.sqrt(v + eps)
    db, dw = np.empty((2, N, C), x.dtype)

    def work(start: int, stop: int) -> None:
        for block, scratch in _blocks(rows, start, stop):
            X, g, pixels = rows[block], grad[block], (len(scratch), L, C)
            np.multiply(g, X, out=scratch)
            db[block] = (ones @ g.reshape(pixels))[:, 0]
            dw[block] = ((ones @ scratch.reshape(pixels))[:, 0] - m[block] * db[block]) * r[block]
            along_x = -r[block] * r[block] * mean(weight * dw[block])
            constant = -r[block] * mean(weight * db[block]) - along_x * m[block]
            d = np.multiply(X, _repeat(along_x, k), out=dx[block])
            d += _repeat(constant, k)
            d += np.multiply(g, _repeat(r[block] * weight, k), out=scratch)

    in_runs(work, N, PASS * x.size)
    return channels_second(dx, x.shape), dw.sum(axis=0), db.sum(axis=0)


# -- over rows ---------------------------------------------------------------------------------------------


layer_norm = one_blas_thread(plain.layer_norm)
layer_norm_back = one_blas_thread(plain.layer_norm_back)


# -- blocks and long rows ----------------------------------------------------------------------------------


def _blocks(rows: np.ndarray, start: int, stop: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks that make up rows[start:stop]; and room of the shape of each, always in the same memory."""
    step = max(1, BLOCK // max(1, math.prod(rows.shape[1:])))
    scratch = np.empty((min(step, stop - start), *rows.shape[1:]), rows.dtype)
    for block in slices(start, stop, step):
        yield block, scratch[: block.stop - block.start]


def _pixels(x: np.ndarray) -> tuple[np.ndarray, int, int]:
    """(N, C, …) as long rows (n/k, k·C) of k pixels each; k; and the number n of pixels."""
    data = channels_last(x)
    n = data.shape[0] * data.shape[1]
    rows, k = _long_rows(data.reshape(1, n, x.shape[1]))
    return rows[0], k, n


def _long_rows(data: np.ndarray) -> tuple[np.ndarray, int]:
    """(P, L, C) as (P, L/k, k·C), a view, with rows of LONG to 2·LONG elements if L allows it; and k."""
    P, L, C = data.shape
    most = min(L, 2 * math.ceil(LONG / C))
    k = next((k for k in range(most, 1, -1) if L % k == 0), 1)
    return data.reshape(P, L // k, k * C), k


def _repeat(v: np.ndarray, k: int) -> np.ndarray:
    """(…, C), numbers for channels, as long rows meet them: (…, 1, k·C). Copied as wholes of C numbers."""
    whole = np.dtype((np.void, v.shape[-1] * v.itemsize))
    rows = np.empty((*v.shape[:-1], k * v.shape[-1]), v.dtype)
    rows.view(whole)[:] = np.ascontiguousarray(v).view(whole)
    return rows[..., None, :]
