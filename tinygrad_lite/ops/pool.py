"""Maxima and means over windows; and resizing by nearest neighbors, the adjoint of the sum over windows."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import pool as plain
from tinygrad_lite.kernels.cpu import pool as cpu
from tinygrad_lite.kernels.windows import Pair, Windows, pair, windows_of
from tinygrad_lite.ops.arguments import array_of, choice_of
from tinygrad_lite.ops.index import getitem
from tinygrad_lite.ops.reduce import mean
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


class _Pool(Function):
    """What the ops below share: they make of images one element for each window, or the reverse."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows


# -- sums ----------------------------------------------------------------------------------------------


class SumPool2d(_Pool):
    """The sum of each window.

    Gradient:  `SumUnpool2d`: each pixel gets the gradients of the windows that it is in.
    Shapes:    (n, c, h, w) → (n, c, h′, w′), an element for each window.
    """

    def forward(self, x):
        return _kernels(x).window_sums(x, self.windows)

    def backward(self, grad):
        return SumUnpool2d(self.windows)(grad)


class SumUnpool2d(_Pool):
    """At each pixel, the sum over the windows that it is in: the adjoint of `SumPool2d`.

    Gradient:  `SumPool2d`.
    Shapes:    (n, c, h′, w′), an element for each window → (n, c, h, w).
    """

    def forward(self, y):
        return _kernels(y).spread_sums(y, self.windows)

    def backward(self, grad):
        return SumPool2d(self.windows)(grad)


# -- maxima --------------------------------------------------------------------------------------------


class MaxPool2d(_Pool):
    """The largest pixel of each window.

    Gradient:  `SpreadWinners`: to the pixel that won, the first of equal ones.
    Numerics:  NaN wins.
    Shapes:    (n, c, h, w) → (n, c, h′, w′), an element for each window.
    """

    def forward(self, x):
        y, self.winners = _kernels(x).window_maxima(x, self.windows)
        return y

    def backward(self, grad):
        return SpreadWinners(self.windows, self.winners)(grad)


class _Winners(_Pool):
    """What the next two share: `winners`, integers (n, c, h′, w′), says which tap of each window is meant."""

    def __init__(self, windows: Windows, winners: Array) -> None:
        super().__init__(windows)
        self.winners = winners


class SpreadWinners(_Winners):
    """Each window's element at the pixel that won it, and added where one won several.

    Gradient:  `PickWinners`.
    Shapes:    (n, c, h′, w′), an element for each window → (n, c, h, w).
    """

    def forward(self, y):
        return _kernels(y).spread_winners(y, self.winners, self.windows)

    def backward(self, grad):
        return PickWinners(self.windows, self.winners)(grad)


class PickWinners(_Winners):
    """Of each window the pixel that won: the adjoint of `SpreadWinners`.

    Gradient:  `SpreadWinners`.
    Shapes:    (n, c, h, w) → (n, c, h′, w′), an element for each window.
    """

    def forward(self, x):
        return plain.pick_winners(x, self.winners, self.windows)

    def backward(self, grad):
        return SpreadWinners(self.windows, self.winners)(grad)


# -- pooling -------------------------------------------------------------------------------------------


def max_pool2d(
    input: TensorLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Tensor:
    """The largest pixel of each window: (n, c, h, w) → (n, c, h′, w′); of equal ones the first.

    Args:
        input: (n, c, h, w).
        kernel_size: of a window; an int, or (rows, columns).
        stride: from one window to the next; `kernel_size` by default.
        padding: how far windows reach over the border, on each side; nothing there ever wins.

    Raises:
        ValueError: for another shape, numbers out of range, a kernel larger than the padded input, or a
            padding of more than half the kernel.
        TypeError: for numbers that are no ints.
    """
    return MaxPool2d(_windows("max_pool2d", input, kernel_size, stride, padding))(input)


def avg_pool2d(
    input: TensorLike,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    *,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window: (n, c, h, w) → (n, c, h′, w′).

    Args:
        input: (n, c, h, w).
        kernel_size: of a window; an int, or (rows, columns).
        stride: from one window to the next; `kernel_size` by default.
        padding: zeros on each side.
        count_include_pad: whether the zeros count, or each window is divided by the pixels that it has.

    Raises:
        ValueError, TypeError: as `max_pool2d`.
    """
    windows = _windows("avg_pool2d", input, kernel_size, stride, padding)
    sums = SumPool2d(windows)(input)
    if count_include_pad or windows.padded == windows.size:
        return sums / math.prod(windows.kernel)
    one_image = array_module(array_of(input)).ones((1, 1, *windows.size), dtype=input.dtype)
    return sums / SumPool2d(windows)(one_image)


def adaptive_avg_pool2d(input: TensorLike, output_size: int | tuple[int, int]) -> Tensor:
    """Means of equal parts of each image: (n, c, h, w) → (n, c, *output_size); 1 is the mean of all pixels.

    Unlike torch's, it takes only sizes that divide h and w.

    Raises:
        ValueError: for another shape, and sizes that do not divide the input's.
        TypeError: for sizes that are no ints.
    """
    h, w = _size_of("adaptive_avg_pool2d", input)
    rows, columns = pair("adaptive_avg_pool2d", "output_size", output_size)
    if h % rows or w % columns:
        raise ValueError(
            f"adaptive_avg_pool2d: output_size must divide the height and width of the input, {h, w}; got "
            f"{rows, columns}"
        )
    if rows == columns == 1:
        return mean(input, (2, 3), keepdim=True)
    return avg_pool2d(input, (h // rows, w // columns))


def _windows(op: str, x: TensorLike, kernel_size: Any, stride: Any, padding: Any) -> Windows:
    """The windows of a pooling, checked; a padding of at most half the kernel leaves none without a pixel."""
    size = _size_of(op, x)
    windows = windows_of(op, size, kernel_size, kernel_size if stride is None else stride, padding)
    if any(2 * before > k for (before, _), k in zip(windows.padding, windows.kernel, strict=True)):
        raise ValueError(
            f"{op}: padding must be at most half of kernel_size; got padding {padding}, kernel_size "
            f"{kernel_size}"
        )
    return windows


def _size_of(op: str, x: TensorLike) -> tuple[int, int]:
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ValueError(f"{op}: input needs shape (n, c, h, w), with pixels; got {tuple(x.shape)}")
    return x.shape[2], x.shape[3]


# -- resizing ------------------------------------------------------------------------------------------


def interpolate(
    input: TensorLike,
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
) -> Tensor:
    """Images resized: (n, c, h, w) → (n, c, h′, w′), where pixel i is pixel ⌊i·h/h′⌋ of the input.

    By whole factors that is the adjoint of `SumPool2d`. With a `scale_factor` s that is no whole number,
    h′ = ⌊h·s⌋ and the pixel is ⌊i/s⌋, as in torch.

    Args:
        input: (n, c, h, w).
        size: (h′, w′), or one number for both.
        scale_factor: instead of `size`: (h′/h, w′/w), or one number for both.
        mode: 'nearest', the only one there is.

    Raises:
        ValueError: unless one of `size` and `scale_factor` is given; for another shape or mode; and
            where no pixel is left.
        TypeError: for a size that is no ints, and a scale_factor that is no numbers.
    """
    h, w = _size_of("interpolate", input)
    if mode != "nearest":
        raise ValueError(f"interpolate: only mode 'nearest' is implemented; got {mode!r}")
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: give either size or scale_factor; got size {size}, scale_factor {scale_factor}"
        )
    sizes, factors = _resized((h, w), size, scale_factor)
    if all(factor == int(factor) for factor in factors):
        kernel = int(factors[0]), int(factors[1])
        return SumUnpool2d(Windows(sizes, kernel, stride=kernel))(input)
    xp = array_module(array_of(input))
    rows, columns = (
        xp.minimum((xp.arange(m, dtype="float32") * (1 / factor)).astype("int64"), n - 1)
        for n, m, factor in zip((h, w), sizes, factors, strict=True)
    )
    return getitem(input, (..., rows[:, None], columns))


def _resized(old: Pair, size: Any, scale_factor: Any) -> tuple[Pair, tuple[float, float]]:
    """The new size, and how many new pixels stand for one old one, in each direction."""
    if scale_factor is None:
        h, w = pair("interpolate", "size", size)
        return (h, w), (h / old[0], w / old[1])
    scales = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
    if len(scales) != 2 or not all(isinstance(s, (int, float)) for s in scales):
        raise TypeError(
            f"interpolate: scale_factor must be a number or a pair of numbers; got {scale_factor!r}"
        )
    h, w = (math.floor(n * s) for n, s in zip(old, scales, strict=True))
    if min(h, w) < 1:
        raise ValueError(f"interpolate: scale_factor {scale_factor} leaves no pixel of images {old}")
    # where the new size is the old one, or twice it, torch forgets what was cut off from n·s
    first, second = (m / n if m in (n, 2 * n) else s for n, m, s in zip(old, (h, w), scales, strict=True))
    return (h, w), (first, second)
