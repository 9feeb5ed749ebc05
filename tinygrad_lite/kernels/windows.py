"""The windows that convolution and pooling read: where a kernel's taps lie as it slides over an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

Pair: TypeAlias = tuple[int, int]
"""One number for the rows, one for the columns."""


class Windows(NamedTuple):
    """The windows of a kernel that slides over images of `size` (h, w).

    Tap (a, b) of window (i, j) lies on pixel (i·s − p + a·d, j·s − p + b·d), for stride s, dilation d and
    padding p before the first row or column; where there is no such pixel, it lies on the padding.

    Args:
        size: height and width of the images.
        kernel: height and width of a window, in taps.
        stride: from one window to the next.
        padding: (before, after) the rows, and the columns.
        dilation: from one tap to the next.
    """

    size: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    @property
    def reach(self) -> Pair:
        """From a window's first tap to its last, in pixels."""
        return self.dilation[0] * (self.kernel[0] - 1), self.dilation[1] * (self.kernel[1] - 1)

    @property
    def padded(self) -> Pair:
        """Height and width of the images with their padding."""
        (top, bottom), (left, right) = self.padding
        return self.size[0] + top + bottom, self.size[1] + left + right

    @property
    def grid(self) -> Pair:
        """How many windows there are, in each direction; below 1 where the padded image holds none."""
        rows, columns = (
            (length - reach - 1) // step + 1
            for length, reach, step in zip(self.padded, self.reach, self.stride, strict=True)
        )
        return rows, columns

    @property
    def are_pixels(self) -> bool:
        """Whether each window is one pixel, and each pixel a window."""
        return self.kernel == self.stride == (1, 1) and self.padded == self.size

    @property
    def keep_size(self) -> bool:
        """Whether there is one window around each pixel, as with padding='same'."""
        return self.stride == (1, 1) and self.grid == self.size

    @property
    def mirrored(self) -> Windows:
        """Where windows keep the size: the windows that a pixel lies in, as windows over the grid of windows.

        Pixel i is tap a of window i + p − a·d. With the taps counted from the last, a = A − a′, that is
        window i − (A·d − p) + a′·d: the same kernel slides over windows, padded by A·d − p.
        """
        (top, bottom), (left, right) = self.padding
        rows, columns = self.reach
        padding = ((rows - top, rows - bottom), (columns - left, columns - right))
        return self._replace(size=self.grid, padding=padding)

    def taps(self) -> Iterator[tuple[tuple, tuple]]:
        """For each tap, in order: the places in the grid of windows where it lies on a pixel, and the pixels.

        Both are keys for the last two dimensions: a tap of weight w does `y[places] += w * x[pixels]`.
        """
        rows, columns = self._meetings(0), self._meetings(1)
        for row_places, row_pixels in rows:
            for column_places, column_pixels in columns:
                yield (..., row_places, column_places), (..., row_pixels, column_pixels)

    def _meetings(self, axis: int) -> list[tuple[slice, slice]]:
        """Along one axis, for each tap: the places and the pixels."""
        step, last, found = self.stride[axis], self.size[axis] - 1, []
        for tap in range(self.kernel[axis]):
            offset = tap * self.dilation[axis] - self.padding[axis][0]  # it lies on pixels i·step + offset
            low = max(0, -(offset // step))
            high = max(low, min(self.grid[axis], (last - offset) // step + 1))
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
    windows = windows._replace(padding=_padding(op, padding, windows))
    if min(windows.grid) < 1:
        spans = tuple(reach + 1 for reach in windows.reach)
        raise ValueError(
            f"{op}: the kernel spans {spans} pixels, more than the padded input, {windows.padded}; got input "
            f"(…, {size[0]}, {size[1]}), kernel {windows.kernel}, dilation {dilation}, padding {padding}"
        )
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
    return both[0], both[1]
