"""Comparisons, and operations on each element whose derivative has a kink."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lite.backend import array_module, check_broadcast, python_number
from tinygrad_lite.engine import Function
from tinygrad_lite.tensor import Tensor, TensorLike

# -- booleans, and so outside every graph --------------------------------------------------------------


def ungraphed(operate: Callable, *inputs: Any) -> Any:
    """`operate` on the arrays of `inputs`; a Tensor without a graph if one of them is a Tensor."""
    arrays = [x.data if isinstance(x, Tensor) else python_number(x) for x in inputs]
    array_module(*arrays)
    check_broadcast(operate.__name__, arrays)
    result = operate(*arrays)
    return Tensor(result) if any(isinstance(x, Tensor) for x in inputs) else result


def eq(a: TensorLike, b: TensorLike) -> Tensor:
    """a == b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.eq, a, b)


def ne(a: TensorLike, b: TensorLike) -> Tensor:
    """a != b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.ne, a, b)


def lt(a: TensorLike, b: TensorLike) -> Tensor:
    """a < b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.lt, a, b)


def le(a: TensorLike, b: TensorLike) -> Tensor:
    """a <= b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.le, a, b)


def gt(a: TensorLike, b: TensorLike) -> Tensor:
    """a > b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.gt, a, b)


def ge(a: TensorLike, b: TensorLike) -> Tensor:
    """a >= b, elementwise: booleans; shapes broadcast."""
    return ungraphed(operator.ge, a, b)


def sign(x: TensorLike) -> Tensor:
    """−1, 0 or 1, elementwise, in the dtype of x; its derivative is 0, and it is outside every graph."""
    return ungraphed(lambda array: array_module(array).sign(array), x)


# -- kinks ---------------------------------------------------------------------------------------------


class Abs(Function):
    """|x|, elementwise.

    Gradient:  sign(x); 0 at the kink.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return builtins.abs(x)

    def backward(self, grad, x):
        return grad * sign(x)


def abs(x: TensorLike) -> Tensor:
    """|x|, elementwise; the derivative at 0 is 0."""
    return Abs()(x)


class Maximum(Function):
    """The larger of a and b, elementwise.

    Gradient:  to the larger; half to each where they are equal.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return self.xp.maximum(a, b)

    def backward(self, grad, a, b):
        tie = 0.5 * grad * (a == b)
        return grad * (a > b) + tie, grad * (b > a) + tie


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, elementwise; shapes broadcast; equal elements share the gradient."""
    return Maximum()(a, b)


class Minimum(Function):
    """The smaller of a and b, elementwise.

    Gradient:  to the smaller; half to each where they are equal.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return self.xp.minimum(a, b)

    def backward(self, grad, a, b):
        tie = 0.5 * grad * (a == b)
        return grad * (a < b) + tie, grad * (b < a) + tie


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, elementwise; shapes broadcast; equal elements share the gradient."""
    return Minimum()(a, b)


class Clamp(Function):
    """x, but no less than low and no more than high, elementwise.

    Gradient:  1 from low to high, both included; 0 outside.
    Shapes:    any → the same.
    """

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = python_number(low), python_number(high)

    def forward(self, x):
        return self.xp.clip(x, self.low, self.high)

    def backward(self, grad, x):
        from_below = grad if self.low is None else grad * (x >= self.low)
        return from_below if self.high is None else from_below * (x <= self.high)


def clamp(x: TensorLike, min: float | None = None, max: float | None = None) -> Tensor:
    """x, but no less than `min` and no more than `max` (numbers; None for no bound), elementwise.

    Raises:
        ValueError: without any bound.
        TypeError: for a bound that is a tensor (torch takes those too).
    """
    if min is None and max is None:
        raise ValueError("clamp: needs min, max or both; got neither")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        raise TypeError(
            "clamp: min and max are numbers; got Tensor. For tensors there are maximum and minimum"
        )
    return Clamp(min, max)(x)
