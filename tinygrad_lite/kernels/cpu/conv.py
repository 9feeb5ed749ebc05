"""Convolution and its gradients for NumPy: what `kernels/conv.py` computes, in blocks and with less copying.

What makes it fast:

- Images lie channels-last in memory, (n, h, w, c), behind their shape (n, c, h, w), and so do the results.
  So pixels are the rows of a matrix, and the taps in one row of a window one run of kw·c numbers.
- A run is copied as one element, of a void dtype of its length: NumPy's loop counts runs, not numbers.
- Columns are made for a block of images at a time, and are still in the cache when their product is taken.
  Of small images a block holds many, and one matrix product serves them all.
- Where there is a window around each pixel, both gradients come from the columns of g: windows lie around
  a pixel as pixels lie in a window, mirrored. So dx is a convolution of g, and dw needs no columns of x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_lite.kernels.conv import add_columns, matrix_of, new_images, weight_matrix, weights_of
from tinygrad_lite.kernels.windows import Windows

BLOCK_BYTES = 1 << 20  # of columns, at a time


def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, windows: Windows, groups: int) -> np.ndarray:
    """columns(x) · W + b: each window, as a row of numbers, times the weights."""
    n, o, places = len(x), len(w), math.prod(windows.grid)
    y = new_images(x, o, windows.grid)
    y_matrix, W = matrix_of(y, groups), weight_matrix(w, groups)
    y_images = y.transpose(0, 2, 3, 1).reshape(n, places * o)
    b_image = None if b is None else np.tile(b, places)  # adding long rows costs less than many short ones
    for images, rows, columns in _blocks_of_columns(x, windows, groups):
        np.matmul(columns, W, out=y_matrix[:, rows])
        if b_image is not None:
            y_images[images] += b_image
    return y


def input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    """dx: a convolution of g where it is one; else g · Wᵀ, added tap by tap to the pixels."""
    if windows.keep_size:
        return convolve(g, _mirrored(w, groups), None, windows.mirrored, groups)
    dx = new_images(g, groups * w.shape[1], windows.size)
    g_matrix, W = matrix_of(g, groups), weight_matrix(w, groups)
    for images, rows in _blocks(len(g), windows, dx.shape[1] * g.itemsize):
        add_columns(g_matrix[:, rows] @ W.swapaxes(1, 2), windows, dx[images])
    return dx


def weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    """dW = columns(x)ᵀ · g."""
    g_matrix, blocks = matrix_of(g, groups), _blocks_of_columns(x, windows, groups)
    dW = sum(columns.swapaxes(1, 2) @ g_matrix[:, rows] for _, rows, columns in blocks)
    return weights_of(dW, windows.kernel)


def gradients(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, windows: Windows, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw); where windows keep the size, both from the columns of g."""
    if not windows.keep_size:
        return input_gradient(g, w, windows, groups), weight_gradient(g, x, windows, groups)
    dx = new_images(g, x.shape[1], windows.size)
    dx_matrix, x_matrix = matrix_of(dx, groups), matrix_of(x, groups)
    W, dW = weight_matrix(_mirrored(w, groups), groups), 0
    for _, rows, columns in _blocks_of_columns(g, windows.mirrored, groups):
        np.matmul(columns, W, out=dx_matrix[:, rows])
        dW = dW + columns.swapaxes(1, 2) @ x_matrix[:, rows]
    return dx, _mirrored(weights_of(dW, windows.kernel), groups)


def bias_gradient(g: np.ndarray) -> np.ndarray:
    """The sum over images and places; over images first, whose rows are long."""
    n, o, rows, columns = g.shape
    images = g.transpose(0, 2, 3, 1).reshape(n, rows * columns * o)
    return images.sum(axis=0).reshape(rows * columns, o).sum(axis=0)


def _mirrored(w: np.ndarray, groups: int) -> np.ndarray:
    """(o, c/groups, kh, kw) → (c, o/groups, kh, kw): taps from last to first, outputs and inputs swapped."""
    o, c, kh, kw = w.shape
    parts = w.reshape(groups, o // groups, c, kh, kw).swapaxes(1, 2)[..., ::-1, ::-1]
    return parts.reshape(groups * c, o // groups, kh, kw)


# -- columns -----------------------------------------------------------------------------------------------


def _blocks(n: int, windows: Windows, pixel_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Equal blocks of n images: which images, and which rows of a matrix that has one for each window."""
    places, taps = math.prod(windows.grid), math.prod(windows.kernel)
    longest = max(1, BLOCK_BYTES // (places * taps * pixel_bytes))
    count = max(1, math.ceil(n / longest))
    for i in range(count):
        start, stop = n * i // count, n * (i + 1) // count
        yield slice(start, stop), slice(start * places, stop * places)


def _blocks_of_columns(
    x: np.ndarray, windows: Windows, groups: int
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """`_blocks`, and the columns of each, (groups, rows, taps·c/groups), valid until the next is drawn."""
    n, c = x.shape[:2]
    if windows.are_pixels:
        yield slice(0, n), slice(0, n * math.prod(windows.size)), matrix_of(x, groups)
        return
    pixels = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # (n, h, w, c)
    blocks = list(_blocks(n, windows, c * x.itemsize))
    longest = max(images.stop - images.start for images, _ in blocks)
    bordered = np.zeros((longest, *windows.padded, c), x.dtype)
    columns = np.empty((groups, longest, *windows.grid, *windows.kernel, c // groups), x.dtype)
    (top, _), (left, _) = windows.padding
    (h, w), taps = windows.size, math.prod(windows.kernel)
    for images, rows in blocks:
        source, m = pixels[images], images.stop - images.start
        if windows.padded != windows.size:
            bordered[:m, top : top + h, left : left + w] = source
            source = bordered[:m]
        _copy_runs(source, columns[:, :m], windows)
        yield images, rows, columns[:, :m].reshape(groups, rows.stop - rows.start, taps * c // groups)


def _copy_runs(images: np.ndarray, columns: np.ndarray, windows: Windows) -> None:
    """Fill columns (groups, n, rows, cols, kh, kw, c/groups) from padded images (n, height, width, c)."""
    groups, n, rows, cols, kh, kw, c = columns.shape
    taps = kw if groups == 1 and windows.dilation[1] == 1 else 1  # that lie side by side in memory
    run = np.dtype(f"V{taps * c * images.itemsize}")
    (step_y, step_x), (tap_y, tap_x) = windows.stride, windows.dilation
    image, row, pixel = images.strides[:3]
    strides = (c * images.itemsize, image, step_y * row, step_x * pixel, tap_y * row, tap_x * pixel)
    source = np.ndarray((groups, n, rows, cols, kh, kw // taps), run, images, 0, strides)
    target = columns.reshape(groups, n, rows, cols, kh, kw // taps, taps * c).view(run)
    np.copyto(target[..., 0], source)
