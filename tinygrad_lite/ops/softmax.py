"""Softmax and its logarithm."""

from __future__ import annotations

from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import softmax as plain
from tinygrad_lite.kernels.cpu import softmax as cpu
from tinygrad_lite.ops.arguments import choice_of
from tinygrad_lite.ops.elementwise import exp
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.ops.shape import dims_of
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


class Softmax(Function):
    """p = eˣ / Σ eˣ along a dimension.

    Gradient:  p·(g − Σ g·p).
    Numerics:  the largest element is taken out first, so nothing overflows.
    Shapes:    any → the same.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x):
        (self.axis,) = dims_of("softmax", self.dim, x.ndim)
        return _kernels(x).softmax(x, self.axis)

    def backward(self, grad, output):
        return output * (grad - sum(grad * output, self.dim, keepdim=True))

    def backward_fused(self, grad, output):
        return _kernels(grad).softmax_back(grad, output, self.axis)


def softmax(x: TensorLike, dim: int) -> Tensor:
    """eˣ / Σ eˣ along `dim`.

    Raises:
        IndexError: for a dimension that is not there.
    """
    return Softmax(dim)(x)


class LogSoftmax(Function):
    """x − log Σ eˣ along a dimension: the logarithm of the softmax p.

    Gradient:  g − p·Σ g.
    Numerics:  the largest element is taken out first, so nothing overflows, and no logarithm of 0 is taken.
    Shapes:    any → the same.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x):
        (self.axis,) = dims_of("log_softmax", self.dim, x.ndim)
        return _kernels(x).log_softmax(x, self.axis)

    def backward(self, grad, output):
        return grad - exp(output) * sum(grad, self.dim, keepdim=True)

    def backward_fused(self, grad, output):
        return _kernels(grad).log_softmax_back(grad, output, self.axis)


def log_softmax(x: TensorLike, dim: int) -> Tensor:
    """x − log Σ eˣ along `dim`: the logarithm of the softmax, without overflow.

    Raises:
        IndexError: for a dimension that is not there.
    """
    return LogSoftmax(dim)(x)
