"""The device array: a NumPy array behind a class that NumPy and Python cannot see through.

The NumPy array (`_memory`) plays the memory of the device. Only this package touches it: everything else goes
through CuPy's names, and what would copy to or from the host without being asked raises.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from .cuda import Device

BINARY = {  # an operator's name in Python: the ufunc that it calls
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}

IMPLICIT_COPIES = {  # a method that Python or NumPy calls unasked: what the caller wrote
    "__bool__": "bool(x), `if` or `and`",
    "__int__": "int(x)",
    "__float__": "float(x)",
    "__complex__": "complex(x)",
    "__iter__": "iterating over x",
    "__contains__": "`in`",
    "__format__": "formatting x",
    "__array__": "NumPy's conversion of x",
    "__reduce_ex__": "pickling x",
}

_any_order = np.random.default_rng(0)
_owners: WeakValueDictionary[int, "Array"] = WeakValueDictionary()  # by the id of a memory: a view's base


class Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool


class Array:
    """cupy.ndarray: what it shows without a copy, explicit copies, and operators."""

    __slots__ = ("__weakref__", "_memory", "base")
    __module__ = "cupy"
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, memory: np.ndarray) -> None:
        if not isinstance(memory, np.ndarray):
            raise TypeError("cupy.ndarray: make arrays with cupy.empty, cupy.zeros or cupy.asarray")
        owner = memory
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        self._memory, self.base = memory, _owners.get(id(owner))
        if self.base is None:
            _owners[id(owner)] = self

    def __getattr__(self, name: str) -> Any:
        raise absent("cupy.ndarray", name)

    def __repr__(self) -> str:
        return f"<cupy.ndarray {self.dtype} {self.shape}>"  # without the values: they are on the device

    def __len__(self) -> int:
        return len(self._memory)

    # -- explicit copies from and to the host

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            return np.array(self._memory, order=order)
        np.copyto(out, self._memory)
        return out

    def item(self) -> Any:
        return self._memory.item()

    def tolist(self) -> Any:
        return self._memory.tolist()

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or (arr.dtype, arr.shape) != (self.dtype, self.shape):
            raise TypeError(f"x.set: needs a NumPy array {self.dtype} {self.shape}; got {kind(arr)}")
        writable("x.set", self)[...] = arr

    # -- copies on the device

    def copy(self, order: str = "C") -> "Array":
        return Array(self._memory.copy(order))

    def astype(self, dtype: Any, order: str = "K", *, copy: bool = True) -> "Array":
        if not copy and self.dtype == dtype:
            return self
        with silence():
            return Array(self._memory.astype(dtype, order))

    def flatten(self, order: str = "C") -> "Array":
        return Array(self._memory.flatten(order))

    # -- views, and writing in place

    def view(self, dtype: Any = None) -> "Array":
        return Array(self._memory.view(self.dtype if dtype is None else dtype))

    def reshape(self, *shape: Any, order: str = "C") -> "Array":
        return Array(self._memory.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> "Array":
        return Array(self._memory.transpose(*axes))

    def fill(self, value: Any) -> None:
        if isinstance(value, Array):
            raise TypeError("x.fill: waits for a value on the device; x[...] = value does not")
        self[...] = value

    def sort(self, axis: int = -1) -> None:
        writable("x.sort", self).sort(axis, kind="stable")

    def __getitem__(self, index: Any) -> "Array":
        parts = index_parts(index)
        with no_wrapping("x[index]", parts):
            return wrap(self._memory[parts])

    def __setitem__(self, index: Any, value: Any) -> None:
        target, parts = writable("x[index] = value", self), index_parts(index)
        value = assigned("x[index] = value", value)
        with silence(), no_wrapping("x[index] = value", parts):
            if any(isinstance(part, np.ndarray) for part in parts):
                assign_in_any_order(target, parts, value)
            else:
                target[parts] = value

    # -- where NumPy comes in

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "Array":
        scalar_first = isinstance(inputs[0], np.generic) and method == "__call__" and not options
        if scalar_first:  # np.float32(2) * x is NumPy's operator: the same as x * np.float32(2)
            return elementwise(ufunc.__name__, inputs)
        raise TypeError(
            f"np.{ufunc.__name__}: got {', '.join(map(kind, inputs))}; call the array's own module "
            f"(xp.{ufunc.__name__}), and upload host arrays with cupy.asarray first"
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        raise TypeError(f"np.{name}: got a device array; call the array's own module (xp.{name})")


Array.__name__ = Array.__qualname__ = "ndarray"
Array.T = property(lambda self: Array(self._memory.T))
Array.device = property(lambda self: Device(0))
Array.flags = property(lambda self: Flags(self._memory.flags.c_contiguous, self._memory.flags.f_contiguous))
Array.__copy__ = Array.copy
Array.__deepcopy__ = lambda self, memo: self.copy()
for _name in ("shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides"):
    setattr(Array, _name, property(attrgetter(f"_memory.{_name}")))


# -- refusals --------------------------------------------------------------------------------------------


def absent(owner: str, name: str) -> AttributeError:
    text = "not in both CuPy 13 and 14, or not in the stand-in yet (then add it to tests/strict_cupy)"
    return AttributeError(f"{owner} has no attribute {name!r}: {text}", name=name)


def kind(value: Any) -> str:
    """How a message calls an operand."""
    if isinstance(value, Array):
        return f"device array {value.dtype} {value.shape}"
    if isinstance(value, np.ndarray):
        return f"NumPy array {value.dtype} {value.shape}"
    return f"np.{value.dtype}" if isinstance(value, np.generic) else type(value).__name__


def _implicit(method: str, written: str) -> Any:
    def refuse(self: Array, *_: Any, **__: Any) -> None:
        raise TypeError(
            f"{written} copies a device array {self.shape} to the host, and waits for it, unasked: "
            "say so with x.item(), x.get() or cupy.asnumpy(x), or stay on the device (xp.where)"
        )

    refuse.__name__ = method
    return refuse


for _name, _written in IMPLICIT_COPIES.items():
    setattr(Array, _name, _implicit(_name, _written))


def memory(where: str, value: Any) -> np.ndarray:
    """What a device array holds; anything else is refused."""
    if not isinstance(value, Array):
        raise TypeError(f"{where}: needs a device array; got {kind(value)} (upload it with cupy.asarray)")
    return value._memory


def writable(where: str, array: Any) -> np.ndarray:
    target = memory(where, array)
    if not target.flags.writeable:
        raise ValueError(
            f"{where}: elements of this view {array.shape} share memory (broadcast_to, as_strided), and CuPy "
            "lets a write into one show in the others: copy it first"
        )
    return target


# -- elementwise -----------------------------------------------------------------------------------------


def elementwise(name: str, operands: Any, out: Any = None, **options: Any) -> Any:
    """NumPy's ufunc `name` on device arrays and Python scalars: C-ordered whatever came in, or into `out`."""
    where = f"cupy.{name}"
    values = scalars_and_memory(where, operands)
    if out is not None:
        options["out"] = writable(where, out)
        shape = np.broadcast_shapes(*map(np.shape, values))
        if out.shape != shape:
            raise ValueError(f"{where}: out needs the result's shape {shape}; got {out.shape}")
    with silence():
        result = getattr(np, name)(*values, order="C", **options)
    return wrap(result) if out is None else out


def scalars_and_memory(where: str, operands: Any) -> list:
    dtypes = {operand.dtype for operand in operands if isinstance(operand, Array)}
    return [x._memory if isinstance(x, Array) else fitting_scalar(where, x, dtypes) for x in operands]


def fitting_scalar(where: str, value: Any, dtypes: set) -> Any:
    """A scalar for which CuPy 13, which looks at its value, and 14, which does not, give the same dtype."""
    if isinstance(value, np.generic):
        if dtypes != {value.dtype}:
            found = " and ".join(map(str, dtypes)) or "no array"
            raise TypeError(
                f"{where}: np.{value.dtype} beside {found}: CuPy 13 and 14 promote it differently; "
                "use a Python scalar, or one of the array's dtype"
            )
    elif isinstance(value, (bool, int, float, complex)):
        for dtype in dtypes:
            check_range(where, value, dtype)
    else:
        raise TypeError(
            f"{where}: operands are device arrays and Python scalars; got {kind(value)} "
            "(upload host data with cupy.asarray; in-place operators never defer to another class)"
        )
    return value


def check_range(where: str, scalar: Any, dtype: np.dtype) -> None:
    if dtype.kind != "f" or isinstance(scalar, complex) or not math.isfinite(scalar):
        return
    limits, size = np.finfo(dtype), abs(scalar)
    if size > float(limits.max):
        raise OverflowError(f"{where}: {scalar} beside {dtype}: CuPy 13 widens the result, CuPy 14 gives inf")
    if dtype == np.float32 and 0 < size < float(limits.tiny):
        raise OverflowError(f"{where}: {scalar} beside float32: the device takes what is that small for 0")


def wrap(result: Any) -> Any:
    """Arrays and NumPy's scalars become device arrays: a reduction to a scalar is 0-d."""
    if isinstance(result, (np.ndarray, np.generic)):
        return Array(np.asarray(result))
    if isinstance(result, (tuple, list)):
        return (list if isinstance(result, list) else tuple)(map(wrap, result))
    return result


def defers(other: Any) -> bool:
    return getattr(other, "__array_ufunc__", True) is None


def _binary(ufunc: str) -> Any:
    def forward(self: Array, other: Any) -> Any:
        return NotImplemented if defers(other) else elementwise(ufunc, (self, other))

    return forward


def _reflected(ufunc: str) -> Any:
    return lambda self, other: elementwise(ufunc, (other, self))


def _in_place(ufunc: str) -> Any:
    return lambda self, other: elementwise(ufunc, (self, other), out=self)


def _unary(ufunc: str) -> Any:
    return lambda self: elementwise(ufunc, (self,))


for _name, _ufunc in BINARY.items():
    setattr(Array, f"__{_name}__", _binary(_ufunc))
    setattr(Array, f"__r{_name}__", _reflected(_ufunc))
    setattr(Array, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in COMPARISONS.items():
    setattr(Array, f"__{_name}__", _binary(_ufunc))
for _name, _ufunc in UNARY.items():
    setattr(Array, f"__{_name}__", _unary(_ufunc))


# -- indexing --------------------------------------------------------------------------------------------


def index_parts(index: Any) -> tuple:
    """The parts of an index as NumPy takes them. A trailing `...` keeps x[0] an array, and a view."""
    parts = tuple(index_part("x[index]", part) for part in (index if isinstance(index, tuple) else (index,)))
    return parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)


def index_part(where: str, part: Any) -> Any:
    if isinstance(part, Array):
        return _device_index(where, part)
    if isinstance(part, slice):
        for bound in (part.start, part.stop, part.step):
            if isinstance(bound, Array):
                raise TypeError(f"{where}: a slice's bound on the device is waited for: needs Python ints")
        return part
    plain = part is None or part is Ellipsis or isinstance(part, (int, np.integer))
    if plain and not isinstance(part, bool):
        return part
    raise TypeError(f"{where}: {kind(part)} as an index is an upload each time: make it a device array once")


def _device_index(where: str, part: Array) -> np.ndarray:
    if part.dtype.kind == "b":
        raise TypeError(
            f"{where}: how many elements a mask takes is known only after waiting for the device: "
            "use cupy.where(mask, x, other), or multiply by the mask"
        )
    if part.dtype.kind not in "iu":
        raise IndexError(f"{where}: an index array needs integers; got {part.dtype}")
    return part._memory


def assigned(where: str, value: Any) -> Any:
    """The right-hand side of an assignment: a device array, or a scalar (which takes the target's dtype)."""
    if isinstance(value, Array):
        return value._memory
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return value
    error = ValueError if isinstance(value, (np.ndarray, list, tuple)) else TypeError
    raise error(f"{where}: the value has to be on the device (cupy.asarray, x.set(host)); got {kind(value)}")


def assign_in_any_order(target: np.ndarray, parts: tuple, value: Any) -> None:
    """Where an index names an element twice, any of its values may stay: CuPy does not say which."""
    places = np.arange(target.size).reshape(target.shape)[parts]
    values = np.empty(places.shape, target.dtype)
    values[...] = value
    order = _any_order.permutation(places.size)
    target.flat[places.ravel()[order]] = values.ravel()[order]


# -- how the host runs what the device would -------------------------------------------------------------


@contextmanager
def silence() -> Iterator[None]:
    """CuPy never warns: log(0), 0/0 and the mean of nothing give their values in silence."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@contextmanager
def no_wrapping(where: str, indices: Any) -> Iterator[None]:
    """Name CuPy's trap where an index array is out of range: it wraps around, where NumPy raises."""
    try:
        yield
    except IndexError as error:
        arrays = any(isinstance(part, np.ndarray) for part in indices)
        if not arrays or type(error) is not IndexError:  # NumPy's AxisError is one too
            raise
        raise IndexError(f"{where}: {error}; CuPy wraps around in silence: check on the host") from None
