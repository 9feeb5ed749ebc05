"""The convolution layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.kernels.windows import pair
from tinygrad_lite.nn import init
from tinygrad_lite.nn.functional import conv2d
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.tensor import Tensor, TensorLike


class Conv2d(Module):
    """A convolution over images: each output channel is a weighted sum of the input's pixels near by, plus b.

    Parameters: weight (out, in/groups, kh, kw) and bias (out,), both drawn from U(−k, k) with
    k = 1/√(in/groups·kh·kw).

    Args:
        in_channels: channels of the input (N, in_channels, H, W).
        out_channels: channels of the output.
        kernel_size: how many pixels high and wide; one number for both, here and below.
        stride: pixels from one output to the next.
        padding: zeros at each border; "same" for as many as keep the size, "valid" for none.
        dilation: pixels from one tap of the kernel to the next.
        groups: parts into which the channels are split, each convolved by itself.
        bias: whether there is a b.

    Raises:
        ValueError: for channels that do not split into `groups`, and a kernel without pixels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: {in_channels} and {out_channels} channels do not split into {groups} groups"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        kh, kw = pair("Conv2d", "kernel_size", kernel_size)
        self.weight = Parameter(np.empty((out_channels, in_channels // groups, kh, kw), dtype="float32"))
        self.bias = Parameter(np.empty(out_channels, dtype="float32")) if bias else None
        init.uniform_by_fan_in_(self.weight, self.bias)

    def forward(self, x: TensorLike) -> Tensor:
        """(N, in, H, W) → (N, out, H', W'), H' = ⌊(H + 2·padding − dilation·(kh − 1) − 1)/stride⌋ + 1."""
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def multiply_adds(self, inputs: tuple, output: Any) -> int:
        """One for each tap of each output."""
        return output.numel() * math.prod(self.weight.shape[1:])
