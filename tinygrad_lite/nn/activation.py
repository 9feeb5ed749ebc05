"""Activations as layers, to stand in a Sequential; each is the function of its name."""

from __future__ import annotations

from tinygrad_lite.nn.functional import gelu, log_softmax, relu, sigmoid, silu, softmax, tanh
from tinygrad_lite.nn.module import Module
from tinygrad_lite.tensor import Tensor, TensorLike


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return relu(x)


class Sigmoid(Module):
    """1/(1 + e⁻ˣ)."""

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return tanh(x)


class SiLU(Module):
    """x·σ(x)."""

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return silu(x)


class GELU(Module):
    """x·Φ(x), Φ the normal distribution function; approximate="tanh" for a cheaper form."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return gelu(x, self.approximate)


class Softmax(Module):
    """eˣ/Σ eˣ along dimension `dim`, which torch lets one leave out and this does not."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return softmax(x, self.dim)


class LogSoftmax(Module):
    """x − log Σ eˣ along dimension `dim`, which torch lets one leave out and this does not."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        """Any shape → the same."""
        return log_softmax(x, self.dim)
