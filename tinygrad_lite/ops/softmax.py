"""Softmax and its logarithm."""

from __future__ import annotations

from tinygrad_lite.engine import Function
from tinygrad_lite.ops.elementwise import exp
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.ops.shape import dims_of
from tinygrad_lite.tensor import Tensor, TensorLike


class Softmax(Function):
    """p = eˣ / Σ eˣ along a dimension.

    Gradient:  p·(g − Σ g·p).
    Numerics:  the largest element is taken out first, so nothing overflows.
    Shapes:    any → the same.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x):
        (d,) = dims_of("softmax", self.dim, x.ndim)
        e = self.xp.exp(x - x.max(axis=d, keepdims=True))
        return e / e.sum(axis=d, keepdims=True)

    def backward(self, grad, output):
        return output * (grad - sum(grad * output, self.dim, keepdim=True))


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
        (d,) = dims_of("log_softmax", self.dim, x.ndim)
        y = x - x.max(axis=d, keepdims=True)
        return y - self.xp.log(self.xp.exp(y).sum(axis=d, keepdims=True))

    def backward(self, grad, output):
        return grad - exp(output) * sum(grad, self.dim, keepdim=True)


def log_softmax(x: TensorLike, dim: int) -> Tensor:
    """x − log Σ eˣ along `dim`: the logarithm of the softmax, without overflow.

    Raises:
        IndexError: for a dimension that is not there.
    """
    return LogSoftmax(dim)(x)
