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

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from tinygrad_lite.kernels.cpu.blocks import filling, whole
from tinygrad_lite.kernels.windows import Windows

BLOCK_BYTES = 1 << 21  # of windows at a time: half as much takes 4 % longer, twice as much 2 %
FEW = 4  # channels that are copied one by one: as elements of 12 bytes three take 2.4 times as long


class Layout(ABC):
    """A way to lay out windows: in one matrix or several, with so many `rows` for an image in each."""

    def __init__(self, windows: Windows, rows: int) -> None:
        self.windows, self.rows = windows, rows

    def longest_block(self, x: np.ndarray) -> int:
        """How many of the images x, (n, c, h, w), are laid out at a time, at most."""
        return max(1, int(BLOCK_BYTES // (self.numbers_of_an_image() * x.shape[1] * x.itemsize)))

    def rows_of(self, images: slice) -> tuple:
        """The key of a block of images in `places` of all images."""
        return ..., slice(images.start * self.rows, images.stop * self.rows), slice(None)

    @abstractmethod
    def numbers_of_an_image(self) -> int:
        """How many numbers its windows take in memory, for each channel."""

    @abstractmethod
    def prepare(self, x: np.ndarray, n: int) -> Callable[[slice], np.ndarray]:
        """The windows of n at a time of the images x = `channels_last`(x), each valid until the next."""

    @abstractmethod
    def places(self, y: np.ndarray) -> np.ndarray:
        """Images (n, o, rows, columns) with a pixel for each window, as rows of a matrix in their order."""

    @abstractmethod
    def matrix_of(self, w: np.ndarray) -> np.ndarray:
        """Weights (o, c, kh, kw) as the numbers of a window lie: (k, o)."""

    @abstractmethod
    def weights_of(self, matrix: np.ndarray) -> np.ndarray:
        """The weights of which this is the matrix."""


class Columns(Layout):
    """All windows as rows of one matrix, (n·rows·columns, kh·kw·c)."""

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows, math.prod(windows.grid))

    def numbers_of_an_image(self) -> int:
        """As many as all windows have taps."""
        return self.rows * math.prod(self.windows.kernel)

    def prepare(self, x: np.ndarray, n: int) -> Callable[[slice], np.ndarray]:
        """As a matrix. Windows that are pixels need no copy if their numbers lie together, else one."""
        windows, last, c = self.windows, x.transpose(0, 2, 3, 1), x.shape[1]
        if windows.are_pixels and last.flags.c_contiguous:
            rows = self.places(x)
            return lambda images: rows[self.rows_of(images)]
        matrix = np.empty((n * self.rows, math.prod(windows.kernel) * c), x.dtype)
        if windows.are_pixels:
            return filling(_elements(x, matrix.reshape(n, *windows.size, c)), matrix)
        if last.flags.c_contiguous and not windows.is_padded:
            return filling([self._taps(last, matrix)], matrix)
        bordered = np.zeros((n, *windows.padded, c), x.dtype)
        ((places, pixels),) = windows.pixels.taps
        put = filling([(a[pixels], b[places]) for a, b in _elements(x, bordered)], bordered)
        taps, of_matrix = self._taps(bordered, matrix)

        def lay_out(images: slice) -> np.ndarray:
            put(images)
            of_matrix[...] = taps
            return matrix

        return lay_out

    def _taps(self, images: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of images with their borders, (n, height, width, c), and a matrix: a row of taps as one element."""
        (rows, columns), (kh, kw), c = self.windows.grid, self.windows.kernel, images.shape[3]
        (step_y, step_x), (tap_y, tap_x) = self.windows.stride, self.windows.dilation
        run = kw if tap_x == 1 else 1  # taps that lie side by side
        pixel = c * images.itemsize
        row, image = images.shape[2] * pixel, math.prod(images.shape[1:3]) * pixel
        strides = (image, step_y * row, step_x * pixel, tap_y * row, tap_x * pixel)
        shape = (rows, columns, kh, kw // run)
        source = np.ndarray((len(images), *shape), f"V{run * pixel}", images, 0, strides)
        return source, whole(matrix.reshape(-1, *shape, run * c))

    def places(self, y: np.ndarray) -> np.ndarray:
        """Images (n, o, rows, columns) as (n·rows·columns, o)."""
        return y.transpose(0, 2, 3, 1).reshape(-1, y.shape[1])

    def matrix_of(self, w: np.ndarray) -> np.ndarray:
        """Weights (o, c, kh, kw) as (kh·kw·c, o)."""
        return w.transpose(2, 3, 1, 0).reshape(-1, len(w))

    def weights_of(self, matrix: np.ndarray) -> np.ndarray:
        """The weights (o, c, kh, kw) of a matrix (k, o)."""
        (kh, kw), (k, o) = self.windows.kernel, matrix.shape
        return matrix.reshape(kh, kw, k // (kh * kw), o).transpose(3, 2, 0, 1)


class Bands(Layout):
    """For each column of windows a matrix, its rows those below one another: (columns, n·rows, kw·kh·c).

    Taps in a row must lie side by side: no dilation there.
    """

    def __init__(self, windows: Windows) -> None:
        super().__init__(windows, windows.grid[0])

    def numbers_of_an_image(self) -> int:
        """As many as pixels, if each row counts as often as it lies under windows."""
        return self.rows * self.windows.padded[1] * self.windows.kernel[0]

    def prepare(self, x: np.ndarray, n: int) -> Callable[[slice], np.ndarray]:
        """As matrices that overlap in memory, which keeps its zeros where there is padding."""
        windows, c = self.windows, x.shape[1]
        (rows, columns), (kh, kw), length = windows.grid, windows.kernel, windows.padded[1]
        bands = np.zeros((n, rows, length, kh, c), x.dtype)
        column, band = kh * c * x.itemsize, length * kh * c * x.itemsize  # bytes
        strides = (windows.stride[1] * column, band, x.itemsize)
        matrices = np.ndarray((columns, n * rows, kw * kh * c), x.dtype, bands, 0, strides)
        parts = [
            (source[pixels], target[..., tap][places])
            for source, target in _elements(x, bands)
            for tap, (places, pixels) in enumerate(windows.first_columns.taps)
        ]
        return filling(parts, matrices)

    def places(self, y: np.ndarray) -> np.ndarray:
        """Images (n, o, rows, columns) as (columns, n·rows, o)."""
        n, o, rows, columns = y.shape
        return y.transpose(0, 2, 3, 1).reshape(n * rows, columns, o).swapaxes(0, 1)

    def matrix_of(self, w: np.ndarray) -> np.ndarray:
        """Weights (o, c, kh, kw) as (kw·kh·c, o)."""
        return w.transpose(3, 2, 1, 0).reshape(-1, len(w))

    def weights_of(self, matrix: np.ndarray) -> np.ndarray:
        """The weights (o, c, kh, kw) of a matrix (k, o)."""
        (kh, kw), (k, o) = self.windows.kernel, matrix.shape
        return matrix.reshape(kw, kh, k // (kh * kw), o).transpose(3, 2, 1, 0)


def _elements(images: np.ndarray, pixels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """What to copy from images (n, c, h, w) to pixels (…, c): whole pixels, or channel by channel."""
    c, source = images.shape[1], images.transpose(0, 2, 3, 1)
    if c <= FEW:
        return [(source[..., i], pixels[..., i]) for i in range(c)]
    return [(whole(source), whole(pixels))]


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
