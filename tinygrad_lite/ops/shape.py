"""Operations that rearrange elements, and keep each one's value: views, expansion, joining, padding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tinygrad_lite.backend import broadcasts_to, python_number
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import reduce as plain
from tinygrad_lite.kernels.cpu import reduce as cpu
from tinygrad_lite.ops.arguments import choice_of
from tinygrad_lite.ops.elementwise import to
from tinygrad_lite.ops.index import getitem
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives

Dim = int | tuple[int, ...] | None


def dims_of(op: str, dim: Dim, ndim: int) -> tuple[int, ...]:
    """The dimensions that `dim` names, each in 0 … ndim−1: all for None; negative ones count from the end.

    Raises:
        IndexError: for a dimension that is not there.
        ValueError: for one that is named twice.
    """
    dim = python_number(dim)
    given = tuple(range(ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    for d in given:
        if not -ndim <= d < ndim:
            raise IndexError(f"{op}: dim {d} is out of range for a tensor of {ndim} dimensions")
    dims = tuple(d % ndim for d in given)
    if len(set(dims)) < len(dims):
        raise ValueError(f"{op}: dim {dim} names a dimension twice")
    return dims


class Clone(Function):
    """x, in memory of its own.

    Gradient:  1.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return x.copy(order="K")

    def backward(self, grad):
        return grad


def clone(x: TensorLike) -> Tensor:
    """x in memory of its own, laid out as that of x; part of the graph, unlike `detach`."""
    return Clone()(x)


class Reshape(Function):
    """The same elements, in order, under another shape.

    Gradient:  reshaped back.
    Shapes:    any → `shape`, with as many elements; one entry may be −1.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x):
        self.source = x.shape
        return x.reshape(self.shape)

    def backward(self, grad):
        return reshape(grad, self.source)


def reshape(x: TensorLike, *shape: int | tuple[int, ...]) -> Tensor:
    """The same elements, in order, under another shape: `reshape(x, 2, 3)` or `reshape(x, (2, -1))`.

    Raises:
        ValueError: if the numbers of elements differ.
    """
    sizes = sizes_of(shape)
    try:
        return Reshape(sizes)(x)
    except ValueError:
        raise ValueError(f"reshape: shape {tuple(x.shape)} cannot become {sizes}") from None


def sizes_of(args: tuple) -> tuple[int, ...]:
    """(2, 3) from the arguments of `f(x, 2, 3)` and of `f(x, (2, 3))` alike."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


class Expand(Function):
    """x repeated along its dimensions of length 1, and along new ones in front.

    Gradient:  summed over the repetitions.
    Shapes:    any → `shape`, to which it broadcasts.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x):
        self.source = x.shape
        return self.xp.broadcast_to(x, self.shape)

    def backward(self, grad):
        return sum_to_size(grad, self.source)


def expand(x: TensorLike, *shape: int | tuple[int, ...]) -> Tensor:
    """x repeated along its dimensions of length 1 to `shape`; −1 keeps a length. No memory is copied.

    Raises:
        ValueError: if x does not broadcast to `shape`.
    """
    wanted = sizes_of(shape)
    lead = len(wanted) - x.ndim
    sizes = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    try:
        return Expand(sizes)(x)
    except ValueError:
        raise ValueError(f"expand: shape {tuple(x.shape)} does not broadcast to {wanted}") from None


class SumToSize(Function):
    """x summed down to a shape that broadcasts to its own: the adjoint of `Expand`.

    Gradient:  repeated.
    Shapes:    any → `shape`.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x):
        self.source = x.shape
        return _kernels(x).unbroadcast(x, self.shape, x.dtype)

    def backward(self, grad):
        return expand(grad, self.source)


def sum_to_size(x: TensorLike, *shape: int | tuple[int, ...]) -> Tensor:
    """x summed over what broadcasting `shape` to its shape would repeat.

    Raises:
        ValueError: if `shape` does not broadcast to the shape of x.
    """
    sizes = sizes_of(shape)
    if not broadcasts_to(sizes, x.shape):
        raise ValueError(f"sum_to_size: {sizes} does not broadcast to the shape of x, {tuple(x.shape)}")
    return x if tuple(x.shape) == sizes else SumToSize(sizes)(x)


class Permute(Function):
    """The dimensions in another order.

    Gradient:  in the inverse order.
    Shapes:    (n₀, n₁, …) → (n_dims[0], n_dims[1], …).
    """

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, grad):
        return permute(grad, tuple(sorted(range(len(self.dims)), key=lambda i: self.dims[i])))


def permute(x: TensorLike, *dims: int | tuple[int, ...]) -> Tensor:
    """The dimensions in the order `dims`: `permute(x, 0, 2, 1)` or `permute(x, (0, 2, 1))`; a view.

    Raises:
        ValueError: unless `dims` names each dimension once.
    """
    given = sizes_of(dims)
    order = tuple(d % x.ndim if -x.ndim <= d < x.ndim else d for d in given)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims must name each of {x.ndim} dimensions once; got {given}")
    return Permute(order)(x)


def transpose(x: TensorLike, dim0: int, dim1: int) -> Tensor:
    """x with two dimensions swapped; a view."""
    (a,), (b,) = dims_of("transpose", dim0, x.ndim), dims_of("transpose", dim1, x.ndim)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return Permute(tuple(order))(x)


def flatten(x: TensorLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim`, both included, joined into one."""
    shape = tuple(x.shape) or (1,)
    (start,), (end,) = dims_of("flatten", start_dim, len(shape)), dims_of("flatten", end_dim, len(shape))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {shape}")
    return reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def squeeze(x: TensorLike, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """x without its dimensions of length 1, or without those of `dim` that have length 1."""
    gone = {d for d in dims_of("squeeze", dim, x.ndim) if x.shape[d] == 1}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def unsqueeze(x: TensorLike, dim: int) -> Tensor:
    """x with a new dimension of length 1 at place `dim` of the result."""
    at = dim if dim >= 0 else dim + x.ndim + 1
    if not 0 <= at <= x.ndim:
        raise IndexError(f"unsqueeze: dim {dim} is out of range for a tensor of {x.ndim} dimensions")
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


class Cat(Function):
    """The inputs joined along a dimension.

    Gradient:  cut apart again.
    Shapes:    equal but for `dim`, whose lengths add up.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, *tensors):
        self.lengths = [x.shape[self.dim] for x in tensors]
        self.dtypes = [x.dtype for x in tensors]
        return self.xp.concatenate(tensors, axis=self.dim)

    def backward(self, grad):
        pieces = split(grad, self.lengths, self.dim)
        return tuple(to(piece, dtype) for piece, dtype in zip(pieces, self.dtypes, strict=True))


def cat(tensors: Sequence[TensorLike], dim: int = 0) -> Tensor:
    """The tensors joined along the existing dimension `dim`.

    Raises:
        ValueError: for no tensors, or shapes that differ elsewhere.
    """
    if not isinstance(tensors, (list, tuple)) or not tensors:
        got = f"{len(tensors)} tensors" if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(f"cat: needs a list of at least one tensor, as in cat([x, y], dim); got {got}")
    shapes = [tuple(x.shape) for x in tensors]
    (d,) = dims_of("cat", dim, len(shapes[0]))
    if len({(len(s), s[:d], s[d + 1 :]) for s in shapes}) != 1:
        raise ValueError(f"cat: shapes must be equal but for dim {dim}; got {', '.join(map(str, shapes))}")
    return Cat(d)(*tensors)


def stack(tensors: Sequence[TensorLike], dim: int = 0) -> Tensor:
    """The tensors joined along a new dimension `dim`.

    Raises:
        ValueError: for no tensors, or different shapes.
    """
    shapes = [tuple(x.shape) for x in tensors]
    if len(set(shapes)) != 1:
        raise ValueError(f"stack: needs tensors of one shape; got {', '.join(map(str, shapes)) or 'none'}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def split(x: TensorLike, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """x cut along `dim` into pieces of `split_size` (the last may be shorter), or of the lengths of a list.

    Raises:
        ValueError: for a size < 1, a length < 0, or lengths that do not add up to that of the dimension.
    """
    (dim,) = dims_of("split", dim, x.ndim)
    n = x.shape[dim]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ValueError(f"split: split_size must be at least 1; got {split_size}")
        lengths: Sequence[int] = [min(split_size, n - start) for start in range(0, n or 1, split_size)]
    else:
        lengths = split_size
    if min(lengths, default=0) < 0:
        raise ValueError(f"split: lengths must be at least 0; got {list(lengths)}")
    if sum(lengths) != n:
        raise ValueError(f"split: lengths {list(lengths)} do not add up to {n}, the length of dim {dim}")
    ends = list(itertools.accumulate(lengths))
    before = (slice(None),) * dim
    return tuple(getitem(x, (*before, slice(end - n, end))) for n, end in zip(lengths, ends, strict=True))


class Pad(Function):
    """x with a border of one value.

    Gradient:  the border is cut off.
    Shapes:    each dimension grows by its two pads.
    """

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float) -> None:
        self.widths, self.value = widths, value

    def forward(self, x):
        self.inside = tuple(slice(low, low + n) for (low, _), n in zip(self.widths, x.shape, strict=True))
        shape = [low + n + high for (low, high), n in zip(self.widths, x.shape, strict=True)]
        padded = self.xp.full(shape, self.value, dtype=x.dtype)
        padded[self.inside] = x
        return padded

    def backward(self, grad):
        return getitem(grad, self.inside)


def pad(x: TensorLike, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """x with a border of `value`; `pad` is (low, high) of the last dimension, then of the one before, ….

    Raises:
        ValueError: for another mode than "constant", an odd or too long `pad`, or negative widths.
    """
    if mode != "constant":
        raise ValueError(f"pad: only mode 'constant' is implemented; got {mode!r}")
    if len(pad) % 2 or len(pad) > 2 * x.ndim or any(n < 0 for n in pad):
        raise ValueError(f"pad: needs pairs of widths ≥ 0 for at most {x.ndim} dimensions; got {tuple(pad)}")
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return Pad((*((0, 0),) * (x.ndim - len(pairs)), *reversed(pairs)), value)(x)
