"""Convolution and its gradients for NumPy: what `kernels/conv.py` computes, in a fraction of the time.

`specialist_for` says which convolutions have a module of their own. All others are products of matrices of
windows with the weights, or with gradients, and what makes these fast is:

- Images lie channels-last in memory, (n, h, w, c), behind their shape (n, c, h, w), and so do the results.
  So pixels are rows of a matrix, and what lies in a window is a few runs of numbers.
- Windows are copied for a block of images at a time (`columns.py`) and are still in the cache when they are
  multiplied, in products that BLAS reads in place (`products.py`). Small images share a product.
- dx is a convolution of g: windows lie around a pixel as pixels lie in a window, mirrored. With stride s it
  is one for each s-th pixel. So nothing is added up in the images: for 3×3 at stride 2 it takes
  0.6 to 1 of the time of a product whose nine taps are added to the pixels, 0.73 for 32 channels at 32².
- dw is a product of windows of x with g, or, at stride 1, of windows of g with x: those of fewer channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from tinygrad_lite.kernels import conv as plain
from tinygrad_lite.kernels.cpu import depthwise, winograd
from tinygrad_lite.kernels.cpu.blocks import for_blocks
from tinygrad_lite.kernels.cpu.columns import Bands, Columns, Layout, channels_last
from tinygrad_lite.kernels.cpu.products import multiply, multiply_transposed
from tinygrad_lite.kernels.windows import Pair, Windows
from tinygrad_lite.threads import one_blas_thread, over_blocks, sum_over_blocks


def specialist_for(
    n: int, weights: tuple[int, ...], windows: Windows, groups: int, dtype: np.dtype, by_weights: bool = False
) -> ModuleType | None:
    """The module that is faster than this one for such a convolution, if there is one.

    Args:
        n: how many images.
        weights: their shape, (o, c/groups, …).
        windows: of the convolution.
        groups: of channels.
        dtype: of all; in float16 only plain sums are exact enough.
        by_weights: whether the gradient by weights is wanted.
    """
    o, c = weights[:2]
    if dtype == "float16":
        return None
    if groups > 1:
        return depthwise if groups == o and c == 1 and windows.stride == (1, 1) else None
    return winograd if winograd.pays(windows, c, o, n, by_weights) else None


def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, windows: Windows, groups: int) -> np.ndarray:
    """y: windows of x · W + b."""
    x = channels_last(x)
    specialist = specialist_for(len(x), w.shape, windows, groups, w.dtype)
    if specialist is not None:
        return specialist.convolve(x, w, b, windows)
    overlap = windows.stride[1] < windows.kernel[1] and windows.dilation[1] == 1
    y = _new_images(len(x), len(w), windows.grid, x.dtype)
    _convolve(x, w, b, Bands(windows) if overlap else Columns(windows), groups, y)
    return y


def input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    """dx: a convolution of g; with strides, one for each class of pixels a stride apart."""
    g = channels_last(g)
    specialist = specialist_for(len(g), w.shape, windows, groups, w.dtype)
    if specialist is not None:
        return specialist.input_gradient(g, w, windows)
    if windows.stride == (1, 1):
        return convolve(g, _mirrored(w, groups), None, windows.mirrored, groups)
    if windows.dilation != (1, 1):
        return plain.input_gradient(g, w, windows, groups)
    swapped = _swapped(w, groups)
    dx = _new_images(len(g), len(swapped), windows.size, g.dtype)
    for pixels, taps, around in windows.phases:
        _input_gradient(g, swapped[taps], around, groups, dx[pixels])
    return dx


def weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    """dw: windows of xᵀ · g; or windows of gᵀ · x, which is dw mirrored."""
    g, x = channels_last(g), channels_last(x)
    o, c = g.shape[1], x.shape[1]
    specialist = specialist_for(len(x), (o, c // groups), windows, groups, g.dtype, by_weights=True)
    if specialist is not None:
        return specialist.weight_gradient(g, x, windows)
    if windows.stride == (1, 1) and o < c:
        mirrored = _weight_gradient(x, g, windows.mirrored, groups)
        return np.ascontiguousarray(_mirrored(mirrored, groups))
    return _weight_gradient(g, x, windows, groups)


def gradients(
    g: np.ndarray, x: np.ndarray, w: np.ndarray, windows: Windows, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw)."""
    g, x = channels_last(g), channels_last(x)
    specialist = specialist_for(len(x), w.shape, windows, groups, w.dtype, by_weights=True)
    if specialist is not None:
        return specialist.gradients(g, x, w, windows)
    return input_gradient(g, w, windows, groups), weight_gradient(g, x, windows, groups)


@one_blas_thread
def bias_gradient(g: np.ndarray) -> np.ndarray:
    """The sum over images and places, by products with ones: in a tenth of the time of NumPy's sum."""
    n, o, rows, columns = g.shape
    images = g.transpose(0, 2, 3, 1).reshape(n, rows * columns * o)
    places = np.ones(n, g.dtype) @ images
    return np.ones(rows * columns, g.dtype) @ places.reshape(rows * columns, o)


# -- with matrices of windows ------------------------------------------------------------------------------


def _convolve(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, layout: Layout, groups: int, y: np.ndarray
) -> None:
    """Into y: windows of x · W + b."""
    places = [layout.places(part) for part in _split(y, groups, axis=1)]
    weights = [layout.matrix_of(part) for part in _split(w, groups, axis=0)]
    biased, b_image = y.transpose(0, 2, 3, 1), None
    if b is not None:  # b alone would be added in runs of o numbers, which takes 2.5 times as long
        b_image = np.empty(biased.shape[1:], y.dtype)
        b_image[...] = b

    def work(blocks: Iterator[slice]) -> None:
        matrices = [for_blocks(layout.prepare, part) for part in _split(x, groups, axis=1)]
        for images in blocks:
            for matrix, W, products in zip(matrices, weights, places, strict=True):
                multiply(matrix(images), W, out=products[layout.rows_of(images)])
            if b_image is not None:
                block = biased[images]
                block += b_image

    over_blocks(work, len(x), layout.longest_block(x), y.size * len(weights[0]))


def _input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows, groups: int, dx: np.ndarray) -> None:
    """Into dx, some pixels of it: a convolution of g, which they are the grid of."""
    if 0 in windows.kernel:  # no tap lies on these pixels
        dx[...] = 0
    elif dx.strides[0] == dx.shape[2] * dx.strides[2]:  # rows are equally far apart, from image to image too
        _convolve(g, w, None, Bands(windows), groups, dx)
    else:
        part = _new_images(len(g), len(w), windows.grid, g.dtype)
        _convolve(g, w, None, Bands(windows), groups, part)
        dx[...] = part


def _weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows, groups: int) -> np.ndarray:
    """dw: windows of xᵀ · g."""
    c = x.shape[1] // groups
    k = c * math.prod(windows.kernel)
    layout = Bands(windows) if c == 1 and windows.dilation[1] == 1 else Columns(windows)

    places = [layout.places(part) for part in _split(g, groups, axis=1)]

    def terms(blocks: Iterator[slice]) -> Iterator[np.ndarray]:
        matrices = [for_blocks(layout.prepare, part) for part in _split(x, groups, axis=1)]
        for images in blocks:
            rows = layout.rows_of(images)
            yield np.array(
                [multiply_transposed(m(images), p[rows]) for m, p in zip(matrices, places, strict=True)]
            )

    dW = sum_over_blocks(terms, len(x), layout.longest_block(x), g.size * k)
    return np.ascontiguousarray(np.concatenate([layout.weights_of(part) for part in dW]))


def _split(a: np.ndarray, groups: int, axis: int) -> list[np.ndarray]:
    """The part of each group of channels: views."""
    return [a] if groups == 1 else np.split(a, groups, axis)


def _new_images(n: int, c: int, size: Pair, dtype: np.dtype) -> np.ndarray:
    """(n, c, h, w), channels-last in memory, of any values."""
    return np.empty((n, *size, c), dtype).transpose(0, 3, 1, 2)


def _swapped(w: np.ndarray, groups: int) -> np.ndarray:
    """Inputs and outputs for each other: (o, c/groups, kh, kw) → (c, o/groups, kh, kw)."""
    o, c, kh, kw = w.shape
    return w.reshape(groups, o // groups, c, kh, kw).swapaxes(1, 2).reshape(groups * c, o // groups, kh, kw)


def _mirrored(w: np.ndarray, groups: int) -> np.ndarray:
    """And the taps from last to first: the weights of the convolution that dx is."""
    return _swapped(w, groups)[..., ::-1, ::-1]
