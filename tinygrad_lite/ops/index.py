"""Operations that pick elements by index, and their adjoints, which put them back and add."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.backend import array_module, device_of, is_array, to_device
from tinygrad_lite.engine import Function
from tinygrad_lite.ops.arguments import array_of
from tinygrad_lite.tensor import Tensor, TensorLike

# -- basic and advanced indexing ----------------------------------------------------------------------


class Index(Function):
    """x[key]: slices, integers, None, Ellipsis, arrays of integers or booleans.

    Gradient:  each picked element's gradient goes back to its place; one picked twice gets both.
    Shapes:    as NumPy's indexing.
    """

    def __init__(self, key: Any) -> None:
        self.key = key

    def forward(self, x):
        self.source = x.shape
        return x[self.key]

    def backward(self, grad):
        return PutAdd(self.key, self.source)(grad)


class PutAdd(Function):
    """Zeros of `shape`, to which x is added at `key`: the adjoint of `Index`.

    Gradient:  the elements at `key`.
    Shapes:    that of zeros[key] → `shape`.
    """

    def __init__(self, key: Any, shape: tuple[int, ...]) -> None:
        self.key, self.shape = key, shape

    def forward(self, x):
        zeros = self.xp.zeros(self.shape, dtype=x.dtype)
        if _picks_once(self.key):
            zeros[self.key] = x
        elif x.size:  # by place in the flattened array: much faster than by several indices
            self.xp.add.at(zeros.reshape(-1), _places(self.xp, self.key, self.shape), x.reshape(-1))
        return zeros

    def backward(self, grad):
        return Index(self.key)(grad)


def _picks_once(key: Any) -> bool:
    """Whether no element can be picked twice: slices, integers and boolean masks."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(not is_array(k) or k.dtype == bool for k in parts)


def _places(xp: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Where, in a flattened array of `shape`, lies what `key` picks, in order."""
    parts = key if isinstance(key, tuple) else (key,)
    leading = len(parts) if all(is_array(k) and k.dtype != bool for k in parts) else len(shape)
    length = math.prod(shape[leading:])  # of the rows that indices of the leading dimensions pick
    starts = xp.arange(0, math.prod(shape), length).reshape(shape[:leading])[key]
    return (starts[..., None] + xp.arange(length)).reshape(-1)


_ARRAYLIKE = (Tensor, list, tuple, range)


def getitem(x: TensorLike, key: Any) -> Tensor:
    """x[key]: slices, integers, None, Ellipsis, and arrays, tensors or lists of integers or booleans.

    Raises:
        IndexError: for an index out of range, and for floats as indices.
    """
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(_index_array(x, k) if isinstance(k, _ARRAYLIKE) or is_array(k) else k for k in parts)
    return Index(parts if isinstance(key, tuple) else parts[0])(x)


def _index_array(x: TensorLike, index: Any) -> Any:
    """An index as an array on the device of x."""
    array = array_of(index)
    if array.dtype.kind not in "iub":
        if array.size:
            raise IndexError(f"getitem: an index is made of integers or booleans; got dtype {array.dtype}")
        array = array.astype("int64")
    return to_device(array, device_of(array_of(x)))


def checked_indices(op: str, x: TensorLike, index: Any, length: int) -> Any:
    """`index` as an integer array on the device of x, each in 0 … length−1.

    Indices that are on the GPU already are not looked at: that would wait for it.

    Raises:
        IndexError: for floats, and for an index out of range.
    """
    array = array_of(index)
    if array.dtype.kind not in "iu":
        raise IndexError(f"{op}: indices must be integers; got dtype {array.dtype}")
    if device_of(array) == "cpu" and array.size and (array.min() < 0 or array.max() >= length):
        bad = array.min() if array.min() < 0 else array.max()
        raise IndexError(f"{op}: index {bad} is out of range; it must lie in 0 … {length - 1}")
    return _index_array(x, array)


# -- along one dimension ------------------------------------------------------------------------------


def _key_along(op: str, x: TensorLike, dim: int, index: Any) -> tuple:
    """The key that picks x[i][index[i, j, k]][k] along dim 1, and likewise along another `dim`."""
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(f"{op}: dim {dim} is out of range for a tensor of {x.ndim} dimensions")
    dim %= x.ndim
    array = checked_indices(op, x, index, x.shape[dim])
    fits = array.ndim == x.ndim and all(
        i == dim or n <= m for i, (n, m) in enumerate(zip(array.shape, x.shape, strict=False))
    )
    if not fits:
        raise ValueError(
            f"{op}: index needs as many dimensions as x, none longer but dim {dim}; got index "
            f"{tuple(array.shape)}, x {tuple(x.shape)}"
        )
    xp = array_module(array)
    ranges = [
        xp.arange(n).reshape([-1 if i == j else 1 for j in range(x.ndim)]) for i, n in enumerate(array.shape)
    ]
    return (*ranges[:dim], array, *ranges[dim + 1 :])


def gather(x: TensorLike, dim: int, index: TensorLike) -> Tensor:
    """The elements x[i, index[i, j]] (for dim 1 of two; likewise for others), in the shape of `index`.

    Raises:
        IndexError: for an index outside 0 … x.shape[dim]−1.
        ValueError: for an index of another number of dimensions, or longer than x elsewhere.
    """
    return Index(_key_along("gather", x, dim, index))(x)


def scatter_add(x: TensorLike, dim: int, index: TensorLike, src: TensorLike) -> Tensor:
    """x with src[i, j] added at [i, index[i, j]] (for dim 1 of two; likewise for others): a new tensor.

    Raises:
        IndexError, ValueError: as `gather`; and where src and index differ in shape.
    """
    key = _key_along("scatter_add", x, dim, index)
    if tuple(src.shape) != tuple(index.shape):
        raise ValueError(f"scatter_add: src {tuple(src.shape)} needs the shape of index {tuple(index.shape)}")
    return x + PutAdd(key, tuple(x.shape))(src)


# -- classes and vocabularies -------------------------------------------------------------------------


def one_hot(labels: TensorLike, num_classes: int = -1) -> Tensor:
    """Integers (any shape) → int64 (shape, num_classes): 1 at each label, else 0; −1 counts the classes.

    Raises:
        IndexError: for labels that are no integers, or outside 0 … num_classes−1.
        ValueError: where classes are to be counted and there is no label.
    """
    array = array_of(labels)
    if num_classes == -1 and not array.size:
        raise ValueError("one_hot: no label tells how many classes there are; give num_classes")
    n = int(array.max()) + 1 if num_classes == -1 else num_classes
    array = checked_indices("one_hot", array, array, n)
    return Tensor((array[..., None] == array_module(array).arange(n)).astype("int64"))


def embedding(input: TensorLike, weight: TensorLike) -> Tensor:
    """Rows of `weight` (n, d) at the integers `input` (any shape) → (shape, d).

    Raises:
        IndexError: for indices that are no integers, or outside 0 … n−1.
    """
    return Index(checked_indices("embedding", weight, input, weight.shape[0]))(weight)
