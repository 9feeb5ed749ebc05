"""The windows of images as rows of matrices for NumPy, in two ways, for a block of images at a time.

`Columns` copies each window whole, so a number is copied once for each window that it lies in: nine times for
3×3. The rows make one matrix.

`Bands` copies, for each row of windows, the kh rows of pixels under it, one column of kh pixels after the
other. A window is then kw columns in a row, and windows side by side overlap in memory: three copies for 3×3,
not nine. But the rows of a matrix must not overlap, so each matrix has windows that lie below one another,
and there are as many as columns of windows.

Multiplied by weights, bands take 0.8 of the time of columns with 16 channels, 0.9 with 32, 0.98 with 64.
Transposed, each of their matrices gives a sum of its own, and reads every so many rows of another matrix:
images of one channel take 0.4 to 0.6, but others 0.8 to 1.5, most where those rows lie 4 KB apart.

A pixel, or kw of them, is copied as one element of a void dtype of that length: NumPy's loop counts elements,
and with numbers, 16 to 32 in a pixel, it takes 1.5 to 2 times as long.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from tinygrad_lite.kernels.windows import Windows

BLOCK_BYTES = 1 << 21  # of windows at a time: half as much takes 4 % longer, twice as much 2 %
FEW = 4  # channels that are copied one by one: as elements of 12 bytes three take 2.4 times as long


class Columns:
    """All windows as rows of one matrix, (n·rows·columns, kh·kw·c)."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def blocks(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Some of the images x = `channels_last`(x), and their windows, valid until the next are drawn."""
        windows, (n, c) = self.windows, x.shape[:2]
        (rows, columns), (kh, kw) = windows.grid, windows.kernel
        parts, most = _parts(n, rows * columns * kh * kw * c * x.itemsize)
        if windows.are_pixels:
            yield from ((part, self.places(x[part])) for part in parts)
            return
        bordered = np.zeros((most * windows.is_padded, *windows.padded, c), x.dtype)
        matrix = np.empty((most * rows * columns, kh * kw * c), x.dtype)
        for part in parts:
            images = self._bordered(x[part], bordered)
            filled = matrix[: len(images) * rows * columns]
            self._copy(images, filled.reshape(len(images), rows, columns, kh, kw, c))
            yield part, filled

    def _bordered(self, x: np.ndarray, room: np.ndarray) -> np.ndarray:
        """Images with their borders, (n, height, width, c): in the room, unless there are none."""
        if not len(room):
            return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        ((places, pixels),) = self.windows._replace(kernel=(1, 1), stride=(1, 1)).taps()
        for source, target in _elements(x, room[: len(x)]):
            target[places] = source[pixels]
        return room[: len(x)]

    def _copy(self, images: np.ndarray, matrix: np.ndarray) -> None:
        """From images with their borders, (n, height, width, c), to (n, rows, columns, kh, kw, c)."""
        n, rows, columns, kh, kw, c = matrix.shape
        (step_y, step_x), (tap_y, tap_x) = self.windows.stride, self.windows.dilation
        run = kw if tap_x == 1 else 1  # taps that lie side by side
        pixel = c * images.itemsize
        row, image = images.shape[2] * pixel, math.prod(images.shape[1:3]) * pixel
        strides = (image, step_y * row, step_x * pixel, tap_y * row, tap_x * pixel)
        shape, element = (n, rows, columns, kh, kw // run), np.dtype(f"V{run * pixel}")
        source = np.ndarray(shape, element, images, 0, strides)
        np.copyto(matrix.reshape(*shape, run * c).view(element)[..., 0], source)

    def places(self, y: np.ndarray) -> np.ndarray:
        """Images (n, o, rows, columns) with a pixel for each window, as rows of a matrix in their order."""
        n, o, rows, columns = y.shape
        return y.transpose(0, 2, 3, 1).reshape(n * rows * columns, o)

    def matrix_of(self, w: np.ndarray) -> np.ndarray:
        """Weights (o, c, kh, kw) as the numbers of a window lie: (kh·kw·c, o)."""
        return w.transpose(2, 3, 1, 0).reshape(-1, len(w))

    def weights_of(self, matrix: np.ndarray) -> np.ndarray:
        """The weights of which this is the matrix."""
        (kh, kw), (k, o) = self.windows.kernel, matrix.shape
        return matrix.reshape(kh, kw, k // (kh * kw), o).transpose(3, 2, 0, 1)


class Bands:
    """For each column of windows a matrix, its rows those below one another: (columns, n·rows, kw·kh·c).

    Taps in a row must lie side by side: no dilation there.
    """

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def blocks(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Some of the images x = `channels_last`(x), and their windows, valid until the next are drawn."""
        windows, (n, c) = self.windows, x.shape[:2]
        (rows, columns), (kh, kw), length = windows.grid, windows.kernel, windows.padded[1]
        column, band = kh * c * x.itemsize, length * kh * c * x.itemsize  # bytes
        parts, most = _parts(n, rows * band)
        bands = np.zeros((most, rows, length, kh, c), x.dtype)  # and zeros stay where there is padding
        taps = list(windows._replace(kernel=(kh, 1), stride=(windows.stride[0], 1)).taps())
        strides = (windows.stride[1] * column, band, x.itemsize)
        for part in parts:
            m = part.stop - part.start
            for source, target in _elements(x[part], bands[:m]):
                for tap, (places, pixels) in enumerate(taps):
                    target[..., tap][places] = source[pixels]
            yield part, np.ndarray((columns, m * rows, kw * kh * c), x.dtype, bands, 0, strides)

    def places(self, y: np.ndarray) -> np.ndarray:
        """Images (n, o, rows, columns) with a pixel for each window, as rows of matrices in their order."""
        n, o, rows, columns = y.shape
        return y.transpose(0, 2, 3, 1).reshape(n * rows, columns, o).swapaxes(0, 1)

    def matrix_of(self, w: np.ndarray) -> np.ndarray:
        """Weights (o, c, kh, kw) as the numbers of a window lie: (kw·kh·c, o)."""
        return w.transpose(3, 2, 1, 0).reshape(-1, len(w))

    def weights_of(self, matrix: np.ndarray) -> np.ndarray:
        """The weights of which this is the matrix."""
        (kh, kw), (k, o) = self.windows.kernel, matrix.shape
        return matrix.reshape(kw, kh, k // (kh * kw), o).transpose(3, 2, 1, 0)


def channels_last(x: np.ndarray) -> np.ndarray:
    """Images (n, c, h, w) with the channels of a pixel together in memory; few channels stay as they are.

    Numbers that lie 1 KB or more, a power of two, apart fall into few places of the cache: there two copies,
    of rows and then in them, take 0.6 of the time of one for maps of 32², 0.9 for 16².
    """
    if x.shape[1] <= FEW or x.strides[1] == x.itemsize:
        return x
    if x.strides[1] % 1024 == 0:
        x = np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


Layout: TypeAlias = Columns | Bands
"""A way to lay out windows; both have the same methods."""


def _parts(n: int, image_bytes: int) -> tuple[list[slice], int]:
    """Equal blocks of n images, each as many as `BLOCK_BYTES` has room for, and the length of the longest."""
    count = -(-n // max(1, BLOCK_BYTES // image_bytes))
    ends = [n * i // max(1, count) for i in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)], -(-n // max(1, count))


def _elements(images: np.ndarray, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What to copy from images (n, c, h, w) to pixels (…, c): whole pixels, or channel by channel."""
    c, source = images.shape[1], images.transpose(0, 2, 3, 1)
    if c <= FEW:
        yield from ((source[..., i], pixels[..., i]) for i in range(c))
        return
    element = f"V{c * source.itemsize}"
    yield source.view(element)[..., 0], pixels.view(element)[..., 0]
