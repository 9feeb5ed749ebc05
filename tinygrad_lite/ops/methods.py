"""The operators and methods of Tensor: one table from names to the functions that do the work."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_lite.ops import activation, compare, elementwise, index, matmul, reduce, shape, softmax
from tinygrad_lite.tensor import Tensor
from tinygrad_lite.walk import backward


def _swapped(function: Callable) -> Callable:
    """function(b, a), for `a ∘ b` where only b is a Tensor."""

    def reflected(b: Tensor, a: object) -> Tensor:
        return function(a, b)

    reflected.__doc__ = function.__doc__
    return reflected


OPERATORS: dict[str, Callable] = {
    "__neg__": elementwise.neg,
    "__add__": elementwise.add,
    "__radd__": _swapped(elementwise.add),
    "__sub__": elementwise.sub,
    "__rsub__": _swapped(elementwise.sub),
    "__mul__": elementwise.mul,
    "__rmul__": _swapped(elementwise.mul),
    "__truediv__": elementwise.div,
    "__rtruediv__": _swapped(elementwise.div),
    "__pow__": elementwise.pow,
    "__rpow__": _swapped(elementwise.pow),
    "__matmul__": matmul.matmul,
    "__rmatmul__": _swapped(matmul.matmul),
    "__abs__": compare.abs,
    "__eq__": compare.eq,
    "__ne__": compare.ne,
    "__lt__": compare.lt,
    "__le__": compare.le,
    "__gt__": compare.gt,
    "__ge__": compare.ge,
    "__getitem__": index.getitem,
}

METHODS: dict[str, Callable] = {
    "backward": backward,
    **{name: getattr(elementwise, name) for name in ("exp", "log", "pow", "sqrt", "to")},
    **{name: getattr(compare, name) for name in ("abs", "clamp", "sign")},
    **{name: getattr(activation, name) for name in ("relu", "sigmoid", "tanh")},
    **{
        name: getattr(reduce, name)
        for name in ("amax", "amin", "argmax", "argmin", "logsumexp", "max", "mean", "min", "sum", "var")
    },
    **{
        name: getattr(shape, name)
        for name in (
            *("clone", "expand", "flatten", "permute", "reshape", "split", "squeeze", "sum_to_size"),
            *("transpose", "unsqueeze"),
        )
    },
    **{name: getattr(index, name) for name in ("gather", "scatter_add")},
    **{name: getattr(softmax, name) for name in ("log_softmax", "softmax")},
    "matmul": matmul.matmul,
}

PROPERTIES: dict[str, property] = {
    "T": property(lambda x: shape.permute(x, tuple(reversed(range(x.ndim)))), doc="The dimensions reversed."),
}

for _name, _member in (OPERATORS | METHODS | PROPERTIES).items():
    setattr(Tensor, _name, _member)
