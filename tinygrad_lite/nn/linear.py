"""The linear layer, and two layers that compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.nn import init
from tinygrad_lite.nn.functional import linear
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.shape import flatten
from tinygrad_lite.tensor import Tensor, TensorLike


class Linear(Module):
    """y = x·Wᵀ + b.

    Parameters: weight (out, in) and bias (out,), both drawn from U(−k, k) with k = 1/√in.

    Args:
        in_features: the length of the last dimension of x.
        out_features: that of y.
        bias: whether there is a b.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), dtype="float32"))
        self.bias = Parameter(np.empty(out_features, dtype="float32")) if bias else None
        init.uniform_by_fan_in_(self.weight, self.bias)

    def forward(self, x: TensorLike) -> Tensor:
        """(…, in) → (…, out)."""
        return linear(x, self.weight, self.bias)

    def multiply_adds(self, inputs: tuple, output: Any) -> int:
        """One for each input of each output."""
        return output.numel() * self.in_features


class Identity(Module):
    """Its input, as it is: a place that another layer can take."""

    def forward(self, x: TensorLike) -> TensorLike:
        """Any → the same."""
        return x


class Flatten(Module):
    """The dimensions start_dim … end_dim made one: between images and a Linear."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, H, W) → (N, C·H·W) by default."""
        return flatten(x, self.start_dim, self.end_dim)
