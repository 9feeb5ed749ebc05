"""The windows that convolution and pooling read: where a kernel's taps lie as it slides over an image."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

Pair: TypeAlias = tuple[int, int]
"""One number for the rows, one for the columns."""

Taps: TypeAlias = tuple[tuple[tuple, tuple], ...]
"""For each tap two keys: see `Windows.taps`."""


T = TypeVar("T")


class _Once(Generic[T]):
    """A property that is computed once: as `functools.cached_property`, which up to Python 3.11 takes a lock.

    Where a process forks while another thread holds that, the child would wait for it forever.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, windows: Any, owner: type) -> T:
        value = vars(windows)[self.name] = self.compute(windows)  # from now on found before this is asked
        return value


@dataclass(frozen=True)
class Windows:
    """The windows of a kernel that slides over images of `size` (h, w).

    Tap (a, b) of window (i, j) lies on pixel (i·s − p + a·d, j·s − p + b·d), for stride s, dilation d and
    padding p before the first row or column; where there is no such pixel, it lies on the padding.

    Args:
        size: height and width of the images.
        kernel: height and width of a window, in taps.
        stride: from one window to the next.
        padding: (before, after) the rows, and the columns.
        dilation: from one tap to the next.

    What follows from these is computed once, and an op that is called again has the same windows
    (`windows_of`): for small images it would take as long as the arithmetic.
    """

    size: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    @_Once
    def reach(self) -> Pair:
        """From a window's first tap to its last, in pixels."""
        return self.dilation[0] * (self.kernel[0] - 1), self.dilation[1] * (self.kernel[1] - 1)

    @_Once
    def padded(self) -> Pair:
        """Height and width of the images with their padding."""
        (top, bottom), (left, right) = self.padding
        return self.size[0] + top + bottom, self.size[1] + left + right

    @_Once
    def grid(self) -> Pair:
        """How many windows there are, in each direction; below 1 where the padded image holds none."""
        (height, width), (down, right), (step_y, step_x) = self.padded, self.reach, self.stride
        return (height - down - 1) // step_y + 1, (width - right - 1) // step_x + 1

    @_Once
    def is_padded(self) -> bool:
        """Whether there is any padding."""
        return self.padding != ((0, 0), (0, 0))

    @_Once
    def are_pixels(self) -> bool:
        """Whether each window is one pixel, and each pixel a window."""
        return self.kernel == self.stride == (1, 1) and not self.is_padded

    @_Once
    def mirrored(self) -> Windows:
        """At stride 1: the windows that a pixel lies in, as windows over the grid of windows.

        Pixel i is tap a of window i + p − a·d. With the taps counted from the last, a = A − a′, that is
        window i − (A·d − p) + a′·d: the same kernel slides over windows, padded by A·d − p.
        """
        (top, bottom), (left, right) = self.padding
        rows, columns = self.reach
        padding = ((rows - top, rows - bottom), (columns - left, columns - right))
        return replace(self, size=self.grid, padding=padding)

    @_Once
    def pixels(self) -> Windows:
        """Each pixel of the padded images, as a window."""
        return replace(self, kernel=(1, 1), stride=(1, 1))

    @_Once
    def first_columns(self) -> Windows:
        """The kernel's first column, at each pixel of a row."""
        return replace(self, kernel=(self.kernel[0], 1), stride=(self.stride[0], 1))

    @_Once
    def phases(self) -> tuple[tuple[tuple, tuple, Windows], ...]:
        """Without dilation: `mirrored` for any stride s, once for each class of pixels that lie s apart.

        Pixel i = s·u + r lies under each s-th tap, a = f + s·b, and that is in window u + (r + p − f)/s − b.
        So with b counted from the last, as before, a smaller kernel slides over windows by steps of 1.

        Each has the pixels, and their taps from last to first, as keys for the last two dimensions; and
        windows over the grid of windows, one for each pixel, their kernel 0 where no tap meets the pixels.
        """
        rows, columns = self._phases(0), self._phases(1)
        return tuple(
            (
                (..., row_pixels, column_pixels),
                (..., row_taps, column_taps),
                Windows(self.grid, (kh, kw), padding=(row_padding, column_padding)),
            )
            for row_pixels, row_taps, kh, row_padding in rows
            for column_pixels, column_taps, kw, column_padding in columns
        )

    def _phases(self, axis: int) -> list[tuple[slice, slice, int, Pair]]:
        """Along one axis, for each class: the pixels, the taps, how many, and the padding of the grid."""
        step, size, before, found = self.stride[axis], self.size[axis], self.padding[axis][0], []
        for first in range(min(step, size)):
            first_tap = (first + before) % step
            count = len(range(first_tap, self.kernel[axis], step))
            last_tap = first_tap + step * (count - 1)
            start = count - 1 - (first + before - first_tap) // step
            end = len(range(first, size, step)) + count - 1 - start - self.grid[axis]
            found.append((slice(first, None, step), slice(last_tap, None, -step), count, (start, end)))
        return found

    @_Once
    def taps(self) -> Taps:
        """For each tap, in order: the places in the grid of windows where it lies on a pixel, and the pixels.

        Both are keys for the last two dimensions: a tap of weight w does `y[places] += w * x[pixels]`.
        """
        rows, columns = self._meetings(0), self._meetings(1)
        return tuple(
            ((..., row_places, column_places), (..., row_pixels, column_pixels))
            for row_places, row_pixels in rows
            for column_places, column_pixels in columns
        )

    def _meetings(self, axis: int) -> list[tuple[slice, slice]]:
        """Along one axis, for each tap: the places and the pixels."""
        step, last, grid, found = self.stride[axis], self.size[axis] - 1, self.grid[axis], []
        for tap in range(self.kernel[axis]):
            offset = tap * self.dilation[axis] - self.padding[axis][0]  # it lies on pixels i·step + offset
            low = max(0, -(offset // step))
            high = max(low, min(grid, (last - offset) // step + 1))
            start = low * step + offset
            found.append((slice(low, high), slice(start, start + (high - low) * step, step)))
        return found


# -- from the arguments of an op ---------------------------------------------------------------------------


def windows_of(
    op: str, size: Pair, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Windows:
    """The windows that an op's arguments describe: each an int or a pair; padding also 'same' or 'valid'.

    Raises:
        TypeError: for anything but ints and pairs of them.
        ValueError: for a kernel, stride or dilation under 1, a padding under 0, 'same' with a stride, and a
            kernel larger than the padded images.
    """
    windows = Windows(
        size,
        kernel=pair(op, "kernel_size", kernel_size),
        stride=pair(op, "stride", stride),
        dilation=pair(op, "dilation", dilation),
    )
    windows = _known(replace(windows, padding=_padding(op, padding, windows)))
    if min(windows.grid) < 1:
        spans = tuple(reach + 1 for reach in windows.reach)
        raise ValueError(
            f"{op}: the kernel spans {spans} pixels, more than the padded input, {windows.padded}; got input "
            f"(…, {size[0]}, {size[1]}), kernel {windows.kernel}, dilation {dilation}, padding {padding}"
        )
    return windows


@functools.lru_cache(maxsize=64)  # those of a large network: of a large kernel it keeps megabytes
def _known(windows: Windows) -> Windows:
    """The first of all that are equal, of which much may be known."""
    return windows


def _padding(op: str, padding: Any, windows: Windows) -> tuple[Pair, Pair]:
    """(before, after) the rows, and the columns."""
    if padding == "same":
        if windows.stride != (1, 1):
            raise ValueError(f"{op}: padding='same' needs stride 1; got stride {windows.stride}")
        rows, columns = windows.reach
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{op}: padding must be an int, a pair, 'same' or 'valid'; got {padding!r}")
    rows, columns = pair(op, "padding", 0 if padding == "valid" else padding, least=0)
    return (rows, rows), (columns, columns)


def pair(op: str, name: str, value: Any, least: int = 1) -> Pair:
    """(value, value) from one int, or a pair as it is.

    Raises:
        TypeError: for anything else.
        ValueError: for numbers under `least`.
    """
    both = (value, value) if isinstance(value, int) else value
    if not isinstance(both, (tuple, list)) or len(both) != 2 or not all(isinstance(n, int) for n in both):
        raise TypeError(f"{op}: {name} must be an int or a pair of ints; got {value!r}")
    if min(both) < least:
        raise ValueError(f"{op}: {name} must be at least {least}; got {value!r}")
    return int(both[0]), int(both[1])  # of True, too
