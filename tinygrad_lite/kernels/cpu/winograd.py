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
- All this happens to a block of images, which the cache holds, and then to the next. Room and views are made
  once for all blocks: a pass over a block takes but some 10 µs, and to cut its views took a tenth of that.

Errors in float32 are as those of other ways to sum, 1e-6 of the largest output at most. F(4×4, 3×3) would
take 36 products where 144 are, with errors of 1e-5.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.kernels.cpu.blocks import filling, for_blocks, pixels_of, whole
from tinygrad_lite.kernels.windows import Pair, Taps, Windows
from tinygrad_lite.threads import one_blas_thread, over_blocks, sum_over_blocks

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

        24 channels, 128 images of  8²    1.0   0.72        64 channels,  64 images of 16²    0.64  0.57
        32            64 of         4²    1.0   0.72        64            32 of         7²    1.0   0.74
        32            64 of         8²    0.90  0.63        64           512 of         2²    0.84  0.61
        32            64 of        28²    0.86  0.64       128            64 of         4²    0.64  0.53
        64            64 of         8²    0.70  0.56       128            64 of         8²    0.52  0.48
        16            64 of        14²    1.1   0.68
        and where it is False for both:
        32            64 of         5²    1.2   0.89       128             1 of         8²    0.87  0.79
        32             8 of         8²    1.3   0.82
    """
    places, tiles = n * math.prod(windows.grid), n * math.prod(_halved(windows.grid))
    if windows.kernel != (3, 3) or not windows.stride == windows.dilation == (1, 1):
        return False
    enough = min(c, o) >= 16 if by_weights else min(c, o) >= 24 and c * o >= 32 * 32
    return enough and places >= 3 * tiles and tiles >= 32 and tiles * c * o >= 1 << 18


@one_blas_thread
def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, windows: Windows) -> np.ndarray:
    """w ⋆ x + b: (n, c, h, w), (o, c, 3, 3), (o,) → (n, o, rows, columns), channels-last in memory."""
    return _convolve(pixels_of(x), _transformed(w, GG), b, windows)


@one_blas_thread
def input_gradient(g: np.ndarray, w: np.ndarray, windows: Windows) -> np.ndarray:
    """dx: a convolution of g with the mirrored weights."""
    return _convolve(pixels_of(g), _mirrored(w), None, windows.mirrored)


@one_blas_thread
def weight_gradient(g: np.ndarray, x: np.ndarray, windows: Windows) -> np.ndarray:
    """dw, (o, c, 3, 3)."""
    g, x, back = pixels_of(g), pixels_of(x), windows.mirrored

    def products(blocks: Iterator[slice]) -> Iterator[np.ndarray]:
        tiles, quads = for_blocks(_tiles, g, back), for_blocks(_quads, x, back)
        for images in blocks:
            yield tiles(images).swapaxes(1, 2) @ quads(images)

    return _from_transformed(_in_blocks(sum_over_blocks, products, g, x.shape[3], back))


@one_blas_thread
def gradients(g: np.ndarray, x: np.ndarray, w: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw), from the same tiles of g."""
    g, x, U, back = pixels_of(g), pixels_of(x), _mirrored(w), windows.mirrored
    dx = np.empty((len(x), *windows.size, x.shape[3]), x.dtype)

    def products(blocks: Iterator[slice]) -> Iterator[np.ndarray]:
        tiles, quads, put = for_blocks(_tiles, g, back), for_blocks(_quads, x, back), for_blocks(_outputs, dx)
        for images in blocks:
            V = tiles(images)  # (16, tiles, o)
            put(images, V @ U)
            yield V.swapaxes(1, 2) @ quads(images)

    dw = _from_transformed(_in_blocks(sum_over_blocks, products, g, x.shape[3], back))
    return dx.transpose(0, 3, 1, 2), dw


def _convolve(x: np.ndarray, U: np.ndarray, b: np.ndarray | None, windows: Windows) -> np.ndarray:
    """`convolve` of images (n, h, w, c) by transformed weights, (16, c, o)."""
    o = U.shape[2]
    y = np.empty((len(x), *windows.grid, o), x.dtype)

    def work(blocks: Iterator[slice]) -> None:
        tiles, put = for_blocks(_tiles, x, windows), for_blocks(_outputs, y)
        for images in blocks:
            products = tiles(images) @ U
            if b is not None:
                products[FOR_ALL_FOUR] += b
            put(images, products)

    _in_blocks(over_blocks, work, x, o, windows)
    return y.transpose(0, 3, 1, 2)


def _in_blocks(divide: Callable[..., Any], work: Callable, x: np.ndarray, o: int, windows: Windows) -> Any:
    """divide(work, …), `over_blocks` or `sum_over_blocks` of images, while NumPy's buffers are small."""
    n, *_, c = x.shape
    tiles = math.prod(_halved(windows.grid))
    fitting = min(BLOCK_PRODUCTS // (c * o), BLOCK_BYTES // (16 * max(c, o) * x.itemsize))
    with np.errstate():  # at its end buffers are as they were
        np.setbufsize(BUFFER)
        return divide(work, n, max(1, fitting // tiles), 2 * 16 * n * tiles * c * o)


# -- of a block of images (n, h, w, c) ---------------------------------------------------------------------


def _tiles(x: np.ndarray, windows: Windows, n: int) -> Callable[[slice], np.ndarray]:
    """Bᵀ d B for all tiles d of n of the images x: (16, tiles, c), valid until the next."""
    (rows, columns), c = _halved(windows.grid), x.shape[3]
    (top, _), (left, _) = windows.padding
    pixels, take_apart = _taken_apart(x, (top, left), (rows + 1, columns + 1), n)
    by_rows = np.empty((4, rows, 2, columns + 1, n, c), x.dtype)
    tiles = np.empty((4, 4, rows, columns, n, c), x.dtype)
    steps = [
        *_combinations(pixels, by_rows),
        *_combinations(by_rows.transpose(3, 2, 0, 1, 4, 5), tiles.transpose(1, 3, 0, 2, 4, 5)),
    ]
    result = tiles.reshape(16, -1, c)

    def of_block(images: slice) -> np.ndarray:
        take_apart(images)
        for operation, *arrays in steps:
            operation(*arrays)
        return result

    return of_block


def _combinations(pairs: np.ndarray, out: np.ndarray) -> list[tuple]:
    """Bᵀ d, (4, m, …), for d = (even, odd, next even, next odd) in pairs (m + 1, 2, …): steps to take."""
    even, odd = pairs[:, 0], pairs[:, 1]
    return [
        (np.subtract, pairs[:-1], pairs[1:], out[::3].swapaxes(0, 1)),  # even − next even, odd − next odd
        (np.add, odd[:-1], even[1:], out[1]),
        (np.subtract, even[1:], odd[:-1], out[2]),
    ]


def _quads(x: np.ndarray, windows: Windows, n: int) -> Callable[[slice], np.ndarray]:
    """A q Aᵀ for all 2×2 pixels q of n of the images x: (16, tiles, c)."""
    rows, columns = _halved(windows.grid)
    pixels, take_apart = _taken_apart(x, (0, 0), (rows, columns), n)
    pixels, factors = pixels.reshape(rows, 4, -1), AA.astype(x.dtype)

    def of_block(images: slice) -> np.ndarray:
        take_apart(images)
        quads = np.empty((16, rows * columns * n, x.shape[3]), x.dtype)  # in memory that was in use just now
        np.matmul(factors, pixels, out=quads.reshape(16, rows, -1).swapaxes(0, 1))
        return quads

    return of_block


def _outputs(y: np.ndarray, n: int) -> Callable[[slice, np.ndarray], None]:
    """Aᵀ m A for all tiles m, (16, tiles, o), put into n of the images y, (n, h, w, o)."""
    _, h, w, o = y.shape
    rows, columns = _halved((h, w))
    pixels = np.empty((rows, 4, columns * n * o), y.dtype)
    factors = AA_T.astype(y.dtype)
    meetings = list(_meetings(y, pixels.reshape(2 * rows, 2, columns, n, o), (0, 0)))

    def put(images: slice, products: np.ndarray) -> None:
        np.matmul(factors, products.reshape(16, rows, -1).swapaxes(0, 1), out=pixels)
        for target, source in meetings:
            target[images] = source

    return put


def _taken_apart(
    x: np.ndarray, before: Pair, counts: Pair, n: int
) -> tuple[np.ndarray, Callable[[slice], np.ndarray]]:
    """Room for n of the images x, with zeros `before` their first pixels and after the last.

    Returns:
        so many pairs of rows, and of columns, (rows, 2, 2, columns, n, c); and how they are filled.
    """
    (rows, columns), c = counts, x.shape[3]
    pixels = np.zeros((2 * rows, 2, columns, n, c), x.dtype)
    meetings = list(_meetings(x, pixels, before))
    return pixels.reshape(rows, 2, 2, columns, n, c), filling(meetings, pixels)


def _meetings(
    images: np.ndarray, pixels: np.ndarray, before: Pair
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is the same in images (N, h, w, c), of all of them, and taken apart (rows, 2, columns, n, c).

    Once for the first, and once for the second of the columns in each pair.
    """
    rows, _, columns, _, _ = pixels.shape
    taps = _pairs_of_columns(images.shape[1:3], before, (rows, 2 * columns))
    for half, (places, here) in zip(whole(pixels).transpose(1, 3, 0, 2), taps, strict=True):
        yield whole(images)[here], half[places]


@functools.lru_cache(maxsize=64)
def _pairs_of_columns(size: Pair, before: Pair, covered: Pair) -> Taps:
    """The taps of windows of two columns, which cover so many pixels, from `before` the first on."""
    rows, columns = (
        (first, length - number - first) for length, number, first in zip(covered, size, before, strict=True)
    )
    return Windows(size, (1, 2), stride=(1, 2), padding=(rows, columns)).taps


def _halved(size: Pair) -> Pair:
    """How many pairs of rows and of columns cover it."""
    return math.ceil(size[0] / 2), math.ceil(size[1] / 2)


# -- of weights --------------------------------------------------------------------------------------------


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
