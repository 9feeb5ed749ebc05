"""Layers that make images smaller, or larger."""

from __future__ import annotations

from tinygrad_lite.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d
from tinygrad_lite.nn.module import Module
from tinygrad_lite.tensor import Tensor, TensorLike


class _Pool2d(Module):
    """What the two share: the options of their windows."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding


class MaxPool2d(_Pool2d):
    """The largest pixel of each window.

    Args:
        kernel_size: how many pixels a window is high and wide; one number for both, here and below.
        stride: pixels from one window to the next; kernel_size by default, so that they lie side by side.
        padding: at each border; what is there is never the largest.
    """

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, H, W) → (N, C, H', W')."""
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """The mean of each window; arguments as `MaxPool2d`, but that the padding is zeros, which count."""

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, H, W) → (N, C, H', W')."""
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class AdaptiveAvgPool2d(Module):
    """The means of windows as large as output_size needs: 1 takes the mean of the whole image.

    Unlike torch's, it takes only sizes that divide the image's.
    """

    def __init__(self, output_size: int | tuple[int, int]) -> None:
        self.output_size = output_size

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, H, W) → (N, C, *output_size)."""
        return adaptive_avg_pool2d(x, self.output_size)


class Upsample(Module):
    """Each pixel repeated: the nearest one of the smaller image, at each place of the larger.

    Args:
        size: height and width of the output; or
        scale_factor: how many times the input's they are.
        mode: "nearest"; there is no other.
    """

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
    ) -> None:
        self.size, self.scale_factor, self.mode = size, scale_factor, mode

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, H, W) → (N, C, H', W')."""
        return interpolate(x, self.size, self.scale_factor, self.mode)
