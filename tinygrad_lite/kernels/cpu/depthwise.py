"""Convolution where each channel has a kernel of its own (groups = inputs = outputs), at stride 1, for NumPy.

As matrix products these would have a single column each. Here each tap is multiplied and added for all places
of a block of images; `einsum` does both in one pass over them, where `*` and `+` take two. Its inner loop is
a row of windows with all channels, (columns·c), for which the weights are repeated along the row.

64 images of 14², 64 channels, 3×3 (float32, one thread): forward 15.8 → 1.5 ms, both gradients 19.2 → 3.1 ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.threads import over_blocks, sum_over_blocks

BLOCK_BYTES = 1 << 20  # of images, at a time


def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, windows: Windows) -> np.ndarray:
    """w ⋆ x + b: (n, c, h, w), (c, 1, kh, kw), (c,) → (n, c, rows, columns), channels-last in memory."""
    n, c, (rows, columns) = *x.shape[:2], windows.grid
    y, taps = np.empty((n, rows, columns * c), x.dtype), _repeated(w, columns)
    b_row = None if b is None else np.tile(b, columns)

    def work(blocks: Iterator[slice]) -> None:
        for images in blocks:
            np.einsum("klnir,klr->nir", _rows(x[images], windows), taps, out=y[images])
            if b_row is not None:
                y[images] += b_row

    over_blocks(work, *_blocks(x, windows))
    return y.reshape(n, rows, columns, c).transpose(0, 3, 1, 2)


def input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows) -> np.ndarray:
    """dx: a convolution of g with the mirrored weights."""
    return convolve(g, w[..., ::-1, ::-1], None, windows.mirrored)


def weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """dw, (c, 1, kh, kw): for each tap Σ g·x over images and places."""

    def terms(blocks: Iterator[slice]) -> Iterator[np.ndarray]:
        for images in blocks:
            yield _tap_sums(_rows(x[images], windows), g[images])

    return sum_over_blocks(terms, *_blocks(x, windows)).copy()


def gradients(g: np.ndarray, x: np.ndarray, w: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw), both from the rows of g: windows lie around a pixel as pixels in a window, but mirrored."""
    back = windows.mirrored
    n, c, height, width = x.shape
    dx, taps = np.empty((n, height, width * c), x.dtype), _repeated(w[..., ::-1, ::-1], width)

    def terms(blocks: Iterator[slice]) -> Iterator[np.ndarray]:
        for images in blocks:
            rows = _rows(g[images], back)
            np.einsum("klnir,klr->nir", rows, taps, out=dx[images])
            yield _tap_sums(rows, x[images])

    mirrored = sum_over_blocks(terms, *_blocks(g, back))
    return dx.reshape(n, height, width, c).transpose(0, 3, 1, 2), mirrored[..., ::-1, ::-1].copy()


def _blocks(x: np.ndarray, windows: Windows) -> tuple[int, int, int]:
    """How many images there are, how many of them a block has at most, and what all cost."""
    n, c = x.shape[:2]
    elements = c * math.prod(windows.padded)
    longest = max(1, BLOCK_BYTES // (elements * x.itemsize))
    return n, longest, 8 * n * elements * math.prod(windows.kernel)


def _rows(x: np.ndarray, windows: Windows) -> np.ndarray:
    """The pixels under each tap: (n, c, h, w) → (kh, kw, n, rows, columns·c), a view of padded images."""
    n, c = x.shape[:2]
    (kh, kw), (rows, columns), (down, right) = windows.kernel, windows.grid, windows.dilation
    padded = np.zeros((n, *windows.padded, c), x.dtype)
    ((places, pixels),) = windows.pixels.taps
    padded.transpose(0, 3, 1, 2)[places] = x[pixels]
    image, row, pixel, number = padded.strides
    strides = (down * row, right * pixel, image, row, number)
    return np.ndarray((kh, kw, n, rows, columns * c), x.dtype, padded, 0, strides)


def _tap_sums(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Σ rows·y over images and places: rows as from `_rows`, y (n, c, rows, columns) → (c, 1, kh, kw)."""
    kh, kw, n, i, r = rows.shape
    c = y.shape[1]
    y_rows = np.ascontiguousarray(y.transpose(0, 2, 3, 1)).reshape(n, i, r)
    sums = np.empty((kh, kw, r), y.dtype)
    for tap in np.ndindex(kh, kw):
        np.einsum("nir,nir->r", rows[tap], y_rows, out=sums[tap])
    return sums.reshape(kh, kw, r // c, c).sum(axis=2).transpose(2, 0, 1)[:, None]


def _repeated(w: np.ndarray, columns: int) -> np.ndarray:
    """(c, 1, kh, kw) → (kh, kw, columns·c): each tap's weights, once for each window in a row."""
    return np.tile(w[:, 0].transpose(1, 2, 0), columns)
