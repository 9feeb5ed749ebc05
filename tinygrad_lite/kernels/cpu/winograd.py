"""Convolution by 3×3 kernels at stride 1 with 16 products where 36 are: Winograd's F(2×2, 3×3), for NumPy.

A tile d of 4×4 pixels holds 2×2 windows, and their outputs need but one product for each pixel of the tile:

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A        y (2, 2), w (3, 3), d (4, 4); ⊙ multiplies element by element

The sum over channels is taken in ⊙, which so becomes 16 matrix products (tiles, c) · (c, o), one for each
place in a tile. As Σ g·y is linear in w, its gradient is the same with G and A for each other:

    dw = Gᵀ [Σ over tiles (A g Aᵀ) ⊙ (Bᵀ d B)] G        g (2, 2), dw (3, 3)

Here d are tiles of x and g of the gradient; or the other way round, and then dw comes out mirrored. We take
tiles d of the gradient: dx, its convolution with mirrored weights, is made of the same Bᵀ d B.

What makes it fast:

- B has only the entries 0, 1 and −1, so Bᵀ d B is additions, first of rows and then of columns, each done
  once for the two tiles that share them.
- Images are taken apart by the places in 2×2 pixels, (rows, 2, 2, columns, n, c). What is added are then long
  runs in memory, over columns, images and channels.
- A on both sides is one matrix product, with the (16, 4) of both: there it beats additions.
- All this happens to a block of images, which the cache holds, and then to the next.

Errors in float32 are as those of other ways to sum, 1e-6 of the largest output at most. F(4×4, 3×3) would
take 36 products where 144 are, with errors of 1e-5.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lite.kernels.cpu.blocks import over_blocks, sum_over_blocks
from tinygrad_lite.kernels.windows import Pair, Windows
from tinygrad_lite.threads import one_blas_thread

BLOCK_BYTES = 1 << 20  # of the tiles of a block, transformed
BLOCK_PRODUCTS = 1_000_000  # in one matrix product: up to here OpenBLAS skips copying where it has AVX-512
BUFFER = 512  # elements: what runs no longer than a fourth of it, NumPy copies into buffers before it adds

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
GG, AA = np.kron(G, G), np.kron(A, A)  # on both sides at once: (16, 9), (16, 4)
AA_T = np.kron(A.T, A.T)  # (4, 16), contiguous: BLAS is slower with a transposed one
FOR_ALL_FOUR = 5  # the row of AA that has only ones: what is added at that place, all four outputs get


def pays(windows: Windows, c: int, o: int, n: int, by_weights: bool) -> bool:
    """Whether this is faster than the product of columns, for n images of c channels and o outputs.

    The products that are saved must pay for passes over images and weights. So there must be some channels on
    either side, less for the gradients if that by weights is among them, which share a transform; tiles
    three quarters of whose four windows exist; and so many tiles that the weights, which are transformed
    once, count for little.

    Time over that of `kernels/cpu/conv.py`, forward and both gradients (float32, one thread, AVX-512):

        24 channels, 128 images of  8²    1.1   0.81        64 channels,  64 images of 16²    0.67  0.59
        32            64 of         4²    0.92  0.74        64            32 of         7²    0.89  0.76
        32            64 of         8²    0.85  0.68        64           512 of         2²    0.68  0.59
        32            64 of        28²    0.93  0.71       128            64 of         4²    0.61  0.58
        64            64 of         8²    0.66  0.59       128            64 of         8²    0.64  0.57
        16            64 of        14²    1.2   0.88
        and where it is False for both:
        32            64 of         5²    1.2   1.0        128             1 of         8²    1.1   1.0
        32             8 of         8²    1.1   0.86
    """
    places, tiles = n * math.prod(windows.grid), n * math.prod(_halved(windows.grid))
    if windows.kernel != (3, 3) or not windows.stride == windows.dilation == (1, 1):
        return False
    enough = min(c, o) >= 16 if by_weights else min(c, o) >= 24 and c * o >= 32 * 32
    return enough and places >= 3 * tiles and tiles >= 32 and tiles * c * o >= 1 << 18


@one_blas_thread
def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, windows: Windows) -> np.ndarray:
    """w ⋆ x + b: (n, c, h, w), (o, c, 3, 3), (o,) → (n, o, rows, columns), channels-last in memory."""
    return _convolve(x, _transformed(w, GG), b, windows)


@one_blas_thread
def input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows) -> np.ndarray:
    """dx: a convolution of g with the mirrored weights."""
    return _convolve(g, _mirrored(w), None, windows.mirrored)


@one_blas_thread
def weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """dw, (o, c, 3, 3)."""
    back = windows.mirrored

    def of_block(images: slice) -> np.ndarray:
        return _tiles(g[images], back).swapaxes(1, 2) @ _quads(x[images], back)

    return _from_transformed(_in_blocks(sum_over_blocks, of_block, g, x.shape[1], back))


@one_blas_thread
def gradients(g: np.ndarray, x: np.ndarray, w: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw), from the same tiles of g."""
    back, U = windows.mirrored, _mirrored(w)
    dx = np.empty((len(x), *windows.size, x.shape[1]), x.dtype)

    def of_block(images: slice) -> np.ndarray:
        V = _tiles(g[images], back)  # (16, tiles, o)
        products = V @ U
        _write(products, dx[images])
        return V.swapaxes(1, 2) @ _quads(x[images], back, out=products)

    dw = _from_transformed(_in_blocks(sum_over_blocks, of_block, g, x.shape[1], back))
    return dx.transpose(0, 3, 1, 2), dw


def _convolve(x: np.ndarray, U: np.ndarray, b: np.ndarray | None, windows: Windows) -> np.ndarray:
    """`convolve` by transformed weights, (16, c, o)."""
    o = U.shape[2]
    y = np.empty((len(x), *windows.grid, o), x.dtype)

    def work(blocks: Iterable[slice]) -> None:
        for images in blocks:
            products = _tiles(x[images], windows) @ U
            if b is not None:
                products[FOR_ALL_FOUR] += b
            _write(products, y[images])

    _in_blocks(over_blocks, work, x, o, windows)
    return y.transpose(0, 3, 1, 2)


def _in_blocks(divide: Callable[..., Any], work: Callable, x: np.ndarray, o: int, windows: Windows) -> Any:
    """divide(work, …), `over_blocks` or `sum_over_blocks` of images, while NumPy's buffers are small."""
    n, c = x.shape[:2]
    tiles = math.prod(_halved(windows.grid))
    fitting = min(BLOCK_PRODUCTS // (c * o), BLOCK_BYTES // (16 * max(c, o) * x.itemsize))
    with np.errstate():  # at its end buffers are as they were
        np.setbufsize(BUFFER)
        return divide(work, n, max(1, fitting // tiles), 2 * 16 * n * tiles * c * o)


# -- the transforms ----------------------------------------------------------------------------------------


def _transformed(w: np.ndarray, GG: np.ndarray) -> np.ndarray:
    """G w Gᵀ: (o, c, 3, 3) → (16, c, o)."""
    o, c = w.shape[:2]
    U = np.empty((16, c, o), w.dtype)
    taps = w.transpose(1, 2, 3, 0).reshape(c, 9, o)
    np.matmul(GG.astype(w.dtype), taps, out=U.swapaxes(0, 1))
    return U


def _mirrored(w: np.ndarray) -> np.ndarray:
    """G w′ Gᵀ, (16, o, c), where w′ is w with its taps from last to first, inputs and outputs swapped."""
    return _transformed(w.swapaxes(0, 1), GG[:, ::-1])


def _from_transformed(dU: np.ndarray) -> np.ndarray:
    """Gᵀ dU G, mirrored: (16, o, c) → (o, c, 3, 3)."""
    _, o, c = dU.shape
    return (dU.reshape(16, o * c).T @ GG[:, ::-1].astype(dU.dtype)).reshape(o, c, 3, 3)


def _tiles(x: np.ndarray, windows: Windows) -> np.ndarray:
    """Bᵀ d B for all tiles d of the images: (n, c, h, w) → (16, tiles, c)."""
    n, c = x.shape[:2]
    rows, columns = _halved(windows.grid)
    (top, _), (left, _) = windows.padding
    pixels = _taken_apart(x, (top, left), (rows + 1, columns + 1))
    by_rows = np.empty((4, rows, 2, columns + 1, n, c), x.dtype)
    _combine(pixels[:, 0], pixels[:, 1], by_rows)
    tiles = np.empty((4, 4, rows, columns, n, c), x.dtype)
    even, odd = by_rows.transpose(2, 3, 0, 1, 4, 5)
    _combine(even, odd, tiles.transpose(1, 3, 0, 2, 4, 5))
    return tiles.reshape(16, -1, c)


def _combine(even: np.ndarray, odd: np.ndarray, out: np.ndarray) -> None:
    """Bᵀ d for d = (even, odd, next even, next odd) at each place along the first axis; four results."""
    np.subtract(even[:-1], even[1:], out=out[0])
    np.add(odd[:-1], even[1:], out=out[1])
    np.subtract(even[1:], odd[:-1], out=out[2])
    np.subtract(odd[:-1], odd[1:], out=out[3])


def _quads(x: np.ndarray, windows: Windows, out: np.ndarray | None = None) -> np.ndarray:
    """A q Aᵀ for all 2×2 pixels q of the images: (n, c, h, w) → (16, tiles, c)."""
    n, c = x.shape[:2]
    rows, columns = _halved(windows.grid)
    pixels = _taken_apart(x, (0, 0), (rows, columns)).reshape(rows, 4, -1)
    if out is None:
        out = np.empty((16, rows * columns * n, c), x.dtype)
    np.matmul(AA.astype(x.dtype), pixels, out=out.reshape(16, rows, -1).swapaxes(0, 1))
    return out


def _write(products: np.ndarray, y: np.ndarray) -> None:
    """Aᵀ m A for all tiles m, (16, tiles, o), put into images (n, h, w, o)."""
    n, h, w, o = y.shape
    rows, columns = _halved((h, w))
    pixels = AA_T.astype(y.dtype) @ products.reshape(16, rows, -1).swapaxes(0, 1)
    parts, images = _places(pixels.reshape(rows, 2, 2, columns, n, o)), _whole(y)
    for part, (places, here) in zip(parts, _pairs((h, w), (0, 0), (rows, columns)), strict=True):
        images[here] = part[places]


# -- images taken apart ------------------------------------------------------------------------------------


def _taken_apart(x: np.ndarray, before: Pair, counts: Pair) -> np.ndarray:
    """(n, c, h, w) → (rows, 2, 2, columns, n, c), with `before` zeros before the first pixel, and after."""
    n, c = x.shape[:2]
    (rows, columns), size = counts, x.shape[2:]
    pixels = np.zeros((rows, 2, 2, columns, n, c), x.dtype)
    images = _whole(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    for part, (places, here) in zip(_places(pixels), _pairs(size, before, counts), strict=True):
        part[places] = images[here]
    return pixels


@functools.lru_cache
def _pairs(size: Pair, before: Pair, counts: Pair) -> list[tuple[tuple, tuple]]:
    """The taps of windows of 2×2 pixels, so many in each direction, from `before` pixels before the first."""
    rows, columns = (
        (first, 2 * count - length - first) for length, first, count in zip(size, before, counts, strict=True)
    )
    return list(Windows(size, kernel=(2, 2), stride=(2, 2), padding=(rows, columns)).taps())


def _places(pixels: np.ndarray) -> np.ndarray:
    """(rows, 2, 2, columns, n, c) as (4, n, rows, columns), each pixel one element."""
    rows, _, _, columns, n, c = pixels.shape
    return _whole(pixels.reshape(rows, 4, columns, n, c)).transpose(1, 3, 0, 2)


def _whole(pixels: np.ndarray) -> np.ndarray:
    """(…, c) as (…), the numbers of a pixel one element: NumPy's loops count elements."""
    return pixels.view(f"V{pixels.shape[-1] * pixels.itemsize}")[..., 0]


def _halved(size: Pair) -> Pair:
    """How many pairs of rows and of columns cover it."""
    return math.ceil(size[0] / 2), math.ceil(size[1] / 2)
