"""Operations that reduce dimensions: sums, means, variances, maxima, the log of a sum of exponentials."""

from __future__ import annotations

import math
from typing import NamedTuple

from tinygrad_lite.backend import python_number
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import reduce as plain
from tinygrad_lite.kernels.cpu import reduce as cpu
from tinygrad_lite.ops.arguments import choice_of
from tinygrad_lite.ops.compare import ungraphed
from tinygrad_lite.ops.elementwise import exp, to
from tinygrad_lite.ops.index import gather
from tinygrad_lite.ops.shape import Dim, dims_of, expand, reshape, squeeze
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


def _kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with 1 in place of each of `dims`."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


class _Reduction(Function):
    """What reductions share: `dim` None, an int or a tuple; `keepdim` leaves the dimensions with length 1."""

    name = "reduce"

    def __init__(self, dim: Dim = None, keepdim: bool = False) -> None:
        self.dim, self.keepdim = dim, keepdim

    def note(self, x):
        """Keep the shapes that backward needs, and return the dimensions to reduce."""
        self.dims = dims_of(self.name, self.dim, x.ndim)
        self.source, self.kept = x.shape, _kept(x.shape, self.dims)
        self.count = math.prod(x.shape[d] for d in self.dims)
        return self.dims

    def total(self, x):
        """Σ x over `dims`; of float16 in float32."""
        return _kernels(x).total(x, self.dims, self.keepdim)

    def spread(self, reduced):
        """Something of the output's shape, repeated to the input's."""
        return expand(reshape(reduced, self.kept), self.source)


class Sum(_Reduction):
    """Σ x over dimensions.

    Gradient:  1 for each element.
    Numerics:  float16 is summed in float32.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    """

    name = "sum"

    def forward(self, x):
        self.note(x)
        total = self.total(x)
        return total.astype(x.dtype) if x.dtype == "float16" else total

    def backward(self, grad):
        return self.spread(grad)


def sum(x: TensorLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Σ x over `dim` (an int, a tuple, None for all); `keepdim` leaves length 1 there."""
    return Sum(dim, keepdim)(x)


class Mean(_Reduction):
    """Σ x / n over dimensions, n the number of elements that are averaged.

    Gradient:  1/n for each element.
    Numerics:  float16 is averaged in float32.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    """

    name = "mean"

    def forward(self, x):
        self.note(x)
        average = self.total(x) / self.count
        return average.astype(x.dtype) if x.dtype == "float16" else average

    def backward(self, grad):
        return self.spread(grad * (1 / (self.count or 1)))  # a count over 65,504 is infinite in float16


def mean(x: TensorLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The mean over `dim` (an int, a tuple, None for all); `keepdim` leaves length 1 there."""
    return Mean(dim, keepdim)(x)


class Var(_Reduction):
    """Σ (x − m)² / (n − c) over dimensions, m their mean, n their number of elements, c the correction.

    Gradient:  2(x − m)/(n − c); what goes through m cancels.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    Raises:    ValueError unless n > c.
    """

    name = "var"

    def __init__(self, dim: Dim = None, correction: float = 1, keepdim: bool = False) -> None:
        super().__init__(dim, keepdim)
        self.correction = python_number(correction)

    def forward(self, x):
        dims = self.note(x)
        if self.count <= self.correction:
            raise ValueError(
                f"var: needs more than {self.correction} elements (the correction); got {self.count}"
            )
        d = x - mean(x, dims, keepdim=True)
        return sum(d * d, dims, self.keepdim) / (self.count - self.correction)

    def backward(self, grad, x):
        d = x - mean(x, self.dims, keepdim=True)
        return self.spread(grad * (2 / (self.count - self.correction))) * d


def var(x: TensorLike, dim: Dim = None, *, correction: float = 1, keepdim: bool = False) -> Tensor:
    """The variance over `dim` (an int, a tuple, None for all), divided by n − `correction`.

    Raises:
        ValueError: unless there are more than `correction` elements.
    """
    return Var(dim, correction, keepdim)(x)


class Amax(_Reduction):
    """The largest element over dimensions.

    Gradient:  1 for the largest; elements that tie share it.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    Raises:    ValueError for no elements.
    """

    name = "amax"

    def note(self, x):
        dims = super().note(x)
        if not self.count:
            raise ValueError(f"{self.name}: there is no element over dim {self.dim} of shape {x.shape}")
        return dims

    def forward(self, x):
        return x.max(axis=self.note(x), keepdims=self.keepdim)

    def backward(self, grad, x, output):
        largest = x == self.spread(output)
        ties = to(sum(largest, self.dims, self.keepdim), grad.dtype)
        return self.spread(grad / ties) * largest


def amax(x: TensorLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest element over `dim` (an int, a tuple, None for all); ties share the gradient."""
    return Amax(dim, keepdim)(x)


class Amin(Amax):
    """The smallest element over dimensions.

    Gradient:  1 for the smallest; elements that tie share it.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    Raises:    ValueError for no elements.
    """

    name = "amin"

    def forward(self, x):
        return x.min(axis=self.note(x), keepdims=self.keepdim)


def amin(x: TensorLike, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest element over `dim` (an int, a tuple, None for all); ties share the gradient."""
    return Amin(dim, keepdim)(x)


def argmax(x: TensorLike, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element along `dim`, or in the flattened tensor; the first if several tie."""
    return _index_of("argmax", x, dim, keepdim, "argmax")


def argmin(x: TensorLike, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element along `dim`, or in the flattened tensor; the first if several tie."""
    return _index_of("argmin", x, dim, keepdim, "argmin")


def _index_of(op: str, x: TensorLike, dim: int | None, keepdim: bool, method: str) -> Tensor:
    """argmax or argmin, for an op whose name messages give."""
    axis = None if dim is None else dims_of(op, dim, x.ndim)[0]
    return ungraphed(lambda array: getattr(array, method)(axis=axis, keepdims=keepdim), x)


class Extremum(NamedTuple):
    """What `max` and `min` over one dimension return."""

    values: Tensor
    indices: Tensor


def max(x: TensorLike, dim: int | None = None, keepdim: bool = False) -> Tensor | Extremum:
    """The largest element; with `dim`, (values, indices) along it: that one index gets the gradient."""
    if dim is None:
        return amax(x)
    return _at(x, dim, _index_of("max", x, dim, True, "argmax"), keepdim)


def min(x: TensorLike, dim: int | None = None, keepdim: bool = False) -> Tensor | Extremum:
    """The smallest element; with `dim`, (values, indices) along it: that one index gets the gradient."""
    if dim is None:
        return amin(x)
    return _at(x, dim, _index_of("min", x, dim, True, "argmin"), keepdim)


def _at(x: TensorLike, dim: int, indices: Tensor, keepdim: bool) -> Extremum:
    """The elements of x at `indices` along `dim`, and the indices."""
    values = gather(x, dim, indices)
    return Extremum(values, indices) if keepdim else Extremum(squeeze(values, dim), squeeze(indices, dim))


class LogSumExp(_Reduction):
    """log Σ eˣ over dimensions.

    Gradient:  eˣ / Σ eˣ, the softmax.
    Numerics:  the largest element is taken out first, so nothing overflows; −∞ where all elements are.
    Shapes:    any → without the reduced dimensions, or with 1 there.
    """

    name = "logsumexp"

    def forward(self, x):
        dims = self.note(x)
        top = x.max(axis=dims, keepdims=True)
        top = self.xp.where(self.xp.isfinite(top), top, 0)
        total = self.xp.log(self.xp.exp(x - top).sum(axis=dims, keepdims=True)) + top
        return total if self.keepdim else total.reshape([n for i, n in enumerate(x.shape) if i not in dims])

    def backward(self, grad, x, output):
        return self.spread(grad) * exp(x - self.spread(output))


def logsumexp(x: TensorLike, dim: Dim, keepdim: bool = False) -> Tensor:
    """log Σ eˣ over `dim` (an int or a tuple), without overflow."""
    return LogSumExp(dim, keepdim)(x)
