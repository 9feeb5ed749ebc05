"""Convolution and its gradients, each one matrix product, in plain array expressions for NumPy and CuPy.

`kernels/cpu/conv.py` has the same functions for NumPy, in blocks of images and with less copying.

    x  (n, c, h, w)              images
    w  (o, c/groups, kh, kw)     weights
    b  (o,)                      bias, or None
    g  (n, o, rows, columns)     the output, or a gradient of its shape: an element for each window
"""

from __future__ import annotations

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.kernels.windows import Pair, Windows


def convolve(x: Array, w: Array, b: Array | None, windows: Windows, groups: int) -> Array:
    """columns(x) · W + b: each window, as a row of numbers, times the weights."""
    n, o, (rows, columns) = len(x), len(w), windows.grid
    products = columns_of(x, windows, groups) @ weight_matrix(w, groups)
    y = products.reshape(groups, n, rows, columns, o // groups).transpose(1, 0, 4, 2, 3)
    y = y.reshape(n, o, rows, columns)
    return y if b is None else y + b[:, None, None]


def input_gradient(g: Array, w: Array, windows: Windows, groups: int) -> Array:
    """dx: g · Wᵀ is what each tap of each window gives to the pixel that it lies on."""
    dx = new_images(g, groups * w.shape[1], windows.size)
    add_columns(matrix_of(g, groups) @ weight_matrix(w, groups).swapaxes(1, 2), windows, dx)
    return dx


def weight_gradient(g: Array, x: Array, windows: Windows, groups: int) -> Array:
    """dW = columns(x)ᵀ · g."""
    matrix = columns_of(x, windows, groups).swapaxes(1, 2) @ matrix_of(g, groups)
    return weights_of(matrix, windows.kernel)


def gradients(g: Array, x: Array, w: Array, windows: Windows, groups: int) -> tuple[Array, Array]:
    """(dx, dw)."""
    return input_gradient(g, w, windows, groups), weight_gradient(g, x, windows, groups)


def bias_gradient(g: Array) -> Array:
    """The sum over images and places."""
    return g.sum(axis=(0, 2, 3))


# -- arrays as matrices, one for each group ----------------------------------------------------------------


def columns_of(x: Array, windows: Windows, groups: int) -> Array:
    """The windows of x as rows of a matrix: (n, c, h, w) → (groups, n·rows·columns, taps·c/groups)."""
    n, c = x.shape[:2]
    (kh, kw), (rows, columns) = windows.kernel, windows.grid
    matrix = array_module(x).zeros((groups, n, rows, columns, kh * kw, c // groups), dtype=x.dtype)
    images = by_group(x, groups)
    for tap, (places, pixels) in enumerate(windows.taps):
        matrix[..., tap, :].transpose(0, 1, 4, 2, 3)[places] = images[pixels]
    return matrix.reshape(groups, n * rows * columns, kh * kw * c // groups)


def add_columns(matrix: Array, windows: Windows, x: Array) -> None:
    """The adjoint of `columns_of`: each element is added, in x, to the pixel that it would be read from."""
    groups = len(matrix)
    (kh, kw), (rows, columns) = windows.kernel, windows.grid
    matrix = matrix.reshape(groups, len(x), rows, columns, kh * kw, x.shape[1] // groups)
    images = by_group(x, groups)
    for tap, (places, pixels) in enumerate(windows.taps):
        images[pixels] += matrix[..., tap, :].transpose(0, 1, 4, 2, 3)[places]


def new_images(like: Array, c: int, size: Pair) -> Array:
    """Zeros (n, c, h, w), as many and of the dtype of `like`; channels-last in memory."""
    return array_module(like).zeros((len(like), *size, c), dtype=like.dtype).transpose(0, 3, 1, 2)


def by_group(x: Array, groups: int) -> Array:
    """(n, c, h, w) as (groups, n, c/groups, h, w): a view."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 0, 2, 3, 4)


def matrix_of(x: Array, groups: int) -> Array:
    """The pixels of x as rows of a matrix: (n, c, h, w) → (groups, n·h·w, c/groups)."""
    n, c, h, w = x.shape
    return by_group(x, groups).transpose(0, 1, 3, 4, 2).reshape(groups, n * h * w, c // groups)


def weight_matrix(w: Array, groups: int) -> Array:
    """(o, c/groups, kh, kw) → (groups, taps·c/groups, o/groups)."""
    o, c, kh, kw = w.shape
    parts = w.reshape(groups, o // groups, c, kh, kw).transpose(0, 3, 4, 2, 1)
    return parts.reshape(groups, kh * kw * c, o // groups)


def weights_of(matrix: Array, kernel: Pair) -> Array:
    """The weights that `weight_matrix` would make this matrix of."""
    groups, k, o = matrix.shape
    (kh, kw), c = kernel, k // (kernel[0] * kernel[1])
    parts = matrix.reshape(groups, kh, kw, c, o).transpose(0, 4, 3, 1, 2)
    return array_module(matrix).ascontiguousarray(parts).reshape(groups * o, c, kh, kw)
