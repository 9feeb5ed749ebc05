"""Convolution in two dimensions, and its two gradients, of which each one's gradients are the two others."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import conv as plain
from tinygrad_lite.kernels.cpu import conv as cpu
from tinygrad_lite.kernels.windows import Windows, windows_of
from tinygrad_lite.ops.arguments import check_one_dtype, choice_of
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


class _Convolution(Function):
    """What the three ops below share.

    With y = w ⋆ x, the number T = Σ g·y is linear in each of g, x and w. Its derivatives by them are the ops:
    ∂T/∂g = `Conv2d`(x, w),  ∂T/∂x = `ConvInputGradient`(g, w),  ∂T/∂w = `ConvWeightGradient`(g, x).
    Each is linear in both that it takes, and its gradients are the two others: so there are all orders.
    """

    def __init__(self, windows: Windows, groups: int) -> None:
        self.windows, self.groups = windows, groups


class Conv2d(_Convolution):
    """y = w ⋆ x + b:  y[n,o,i,j] = b[o] + Σ w[o,c,a,e]·x[n, c, i·s − p + a·d, j·s − p + e·d].

    The sum is over the taps (a, e) of the kernel, and the channels c of the group that output o is in.
    Stride s, padding p, dilation d; x is 0 outside.

    Gradient:  ∂L/∂x = `ConvInputGradient`(G, w),  ∂L/∂w = `ConvWeightGradient`(G, x),
               ∂L/∂b = Σ G over n, i, j.
    Shapes:    (n, c, h, w), (o, c/groups, kh, kw), (o,) or None → (n, o, h′, w′), with
               h′ = ⌊(h + 2p − d·(kh − 1) − 1)/s⌋ + 1, and w′ likewise; channels-last in memory.
    Source:    as one matrix product: Chellapilla et al. 2006, "High Performance Convolutional Neural Networks
               for Document Processing".
    """

    def forward(self, x, weight, bias):
        return _kernels(x).convolve(x, weight, bias, self.windows, self.groups)

    def backward(self, grad, x, weight):
        needs_x, needs_weight, needs_bias = self.needs_input_grad
        dx = ConvInputGradient(self.windows, self.groups)(grad, weight) if needs_x else None
        dweight = ConvWeightGradient(self.windows, self.groups)(grad, x) if needs_weight else None
        dbias = sum(grad, (0, 2, 3)) if needs_bias else None
        return dx, dweight, dbias

    def backward_fused(self, grad, x, weight):
        """Both gradients from the same columns, where they can be."""
        needs_x, needs_weight, needs_bias = self.needs_input_grad
        kernels = _kernels(grad)
        dx = dweight = None
        if needs_x and needs_weight:
            dx, dweight = kernels.gradients(grad, x, weight, self.windows, self.groups)
        elif needs_x:
            dx = kernels.input_gradient(grad, weight, self.windows, self.groups)
        elif needs_weight:
            dweight = kernels.weight_gradient(grad, x, self.windows, self.groups)
        return dx, dweight, kernels.bias_gradient(grad) if needs_bias else None


class ConvInputGradient(_Convolution):
    """x[n, c, i·s − p + a·d, j·s − p + e·d] += w[o,c,a,e]·g[n,o,i,j]: a transposed convolution.

    Gradient:  ∂L/∂g = w ⋆ G,  ∂L/∂w = `ConvWeightGradient`(g, G).
    Shapes:    (n, o, h′, w′), (o, c/groups, kh, kw) → (n, c, h, w).
    """

    def forward(self, g, weight):
        return _kernels(g).input_gradient(g, weight, self.windows, self.groups)

    def backward(self, grad, g, weight):
        needs_g, needs_weight = self.needs_input_grad
        dg = Conv2d(self.windows, self.groups)(grad, weight, None) if needs_g else None
        dweight = ConvWeightGradient(self.windows, self.groups)(g, grad) if needs_weight else None
        return dg, dweight


class ConvWeightGradient(_Convolution):
    """w[o,c,a,e] = Σ g[n,o,i,j]·x[n, c, i·s − p + a·d, j·s − p + e·d], over images n and places (i, j).

    Gradient:  ∂L/∂g = G ⋆ x,  ∂L/∂x = `ConvInputGradient`(g, G).
    Shapes:    (n, o, h′, w′), (n, c, h, w) → (o, c/groups, kh, kw).
    """

    def forward(self, g, x):
        return _kernels(g).weight_gradient(g, x, self.windows, self.groups)

    def backward(self, grad, g, x):
        needs_g, needs_x = self.needs_input_grad
        dg = Conv2d(self.windows, self.groups)(x, grad, None) if needs_g else None
        dx = ConvInputGradient(self.windows, self.groups)(g, grad) if needs_x else None
        return dg, dx


def conv2d(
    input: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    """Slide the kernels `weight` over images, and sum what lies under them; see `Conv2d` for the formula.

    Args:
        input: (n, c, h, w).
        weight: (o, c/groups, kh, kw).
        bias: (o,), added to each output channel.
        stride: from one window to the next; an int, or (rows, columns).
        padding: zeros on each side; or 'valid', none; or 'same', as many as keep the size, at stride 1.
        dilation: from one tap of the kernel to the next.
        groups: inputs and outputs fall into so many groups of channels that do not mix.

    Raises:
        ValueError: for shapes that do not fit, numbers out of range, a kernel larger than the padded input.
        TypeError: for numbers that are no ints, and dtypes that differ.

    Example:
        >>> conv2d(Tensor([[[[1.0, 2.0, 3.0]]]]), Tensor([[[[10.0, 1.0]]]]))
        tensor([[[[12., 23.]]]])
    """
    _check(input, weight, bias, groups)
    kernel_size = tuple(weight.shape[2:])
    windows = windows_of("conv2d", tuple(input.shape[2:]), kernel_size, stride, padding, dilation)
    return Conv2d(windows, groups)(input, weight, bias)


def _check(x: Any, weight: Any, bias: Any, groups: int) -> None:
    """Refuse shapes and dtypes that do not fit together."""
    got = f"got input {tuple(x.shape)}, weight {tuple(weight.shape)}"
    if x.ndim != 4 or weight.ndim != 4:
        raise ValueError(f"conv2d: needs input (n, c, h, w) and weight (o, c/groups, kh, kw); {got}")
    if 0 in weight.shape[:2]:
        raise ValueError(f"conv2d: needs at least one output and one channel; {got}")
    if not isinstance(groups, int) or groups < 1 or len(weight) % groups:
        raise ValueError(
            f"conv2d: {len(weight)} outputs do not fall into groups={groups!r} of equal size; {got}"
        )
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"conv2d: input has {x.shape[1]} channels but weight expects {weight.shape[1] * groups} "
            f"(weight.shape[1] × groups); {got}" + (f", groups {groups}" if groups > 1 else "")
        )
    if bias is not None and tuple(bias.shape) != (len(weight),):
        raise ValueError(
            f"conv2d: bias needs shape ({len(weight)},), one for each output; got {tuple(bias.shape)}"
        )
    check_one_dtype("conv2d", input=x, weight=weight, bias=bias)
