"""CuPy's functions, made from tables: their names, and the parameters that CuPy 13 and 14 share.

In FUNCTIONS `axis=` is optional and `*dtype=` keyword-only, as in CuPy's signatures; what is not optional
goes to NumPy by position, the rest by name. What a parameter takes follows from its name: see TAKES.
"""

import inspect
import math
from collections.abc import Callable
from operator import attrgetter, index
from typing import Any

import numpy as np

from .array import (
    Array,
    absent,
    assigned,
    defers,
    elementwise,
    index_part,
    index_parts,
    kind,
    memory,
    no_wrapping,
    scalars_and_memory,
    silence,
    wrap,
    writable,
)


def names(text: str) -> list[str]:
    return text.split()


UFUNCS = names(
    """abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_not
    bitwise_or
    bitwise_xor cbrt ceil conj copysign cos cosh divide equal exp exp2 expm1 fabs floor floor_divide
    fmax fmin fmod greater greater_equal hypot invert isfinite isinf isnan left_shift less less_equal
    log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor maximum minimum mod
    multiply negative not_equal positive power reciprocal remainder right_shift rint sign signbit sin
    sinh sqrt square subtract tan tanh true_divide trunc"""
)

AT = {  # ufunc.at is an atomic operation: for these dtypes alone (CuPy 13 has no int64)
    "add": names("int32 uint32 uint64 float16 float32 float64"),
    "maximum": names("int32 uint32 uint64 float32 float64"),
    "minimum": names("int32 uint32 uint64 float32 float64"),
    "subtract": names("int32 uint32"),
}

FUNCTIONS = {  # names: the parameters of each of them
    # reductions and scans: no where=, no initial=
    "all any amax amin max min ptp": "a, axis=, out=, keepdims=",
    "mean prod sum": "a, axis=, dtype=, out=, keepdims=",
    "std var": "a, axis=, dtype=, out=, ddof=, keepdims=",
    "median": "a, axis=, out=, *keepdims=",
    "argmax argmin": "a, axis=, *out=, *keepdims=",
    "count_nonzero": "a, axis=",
    "cumprod cumsum": "a, axis=, dtype=, out=",
    "linalg.norm": "x, ord=, axis=, keepdims=",
    "trace": "a, offset=, axis1=, axis2=, dtype=, out=",
    # comparisons of whole arrays
    "allclose isclose": "a, b, rtol=, atol=, equal_nan=",
    "array_equal": "a1, a2, equal_nan=",
    "may_share_memory shares_memory": "a, b",
    # shapes
    "broadcast_to": "array, shape",
    "diag": "v, k=",
    "diagonal": "a, offset=, axis1=, axis2=",
    "expand_dims": "a, axis",
    "flip squeeze": "a, axis=",
    "fliplr flipud ndim shape": "a",
    "moveaxis": "a, source, destination",
    "ravel": "a, order=",
    "repeat": "a, repeats, axis=",
    "reshape": "a, newshape, order=",
    "roll": "a, shift, axis=",
    "rot90": "a, k=, axes=",
    "size": "a, axis=",
    "swapaxes": "a, axis1, axis2",
    "tile": "A, reps",
    "transpose": "a, axes=",
    "tril triu": "m, k=",
    # joining, splitting, padding
    "array_split split": "ary, indices_or_sections, axis=",
    "concatenate stack": "tup, axis=, out=, *dtype=, *casting=",
    "hstack vstack": "tup, *dtype=, *casting=",
    "pad": "array, pad_width, mode=, *constant_values=, *reflect_type=",
    # products
    "dot outer": "a, b, out=",
    "inner vdot": "a, b",
    "matmul": "x1, x2, *out=",
    "tensordot": "a, b, axes=",
    # selection and order
    "argsort sort": "a, axis=, kind=",
    "nan_to_num": "x, copy=, nan=, posinf=, neginf=",
    "searchsorted": "a, v, side=",
    "take": "a, indices, axis=, out=",
    "take_along_axis": "a, indices, axis",
    # creation
    "arange": "start, stop=, step=, dtype=",
    "empty ones zeros": "shape, dtype=, order=",
    "empty_like": "prototype, dtype=, order=, *shape=",
    "ones_like zeros_like": "a, dtype=, order=, *shape=",
    "eye": "N, M=, k=, dtype=, order=",
    "full": "shape, fill_value, dtype=, order=",
    "full_like": "a, fill_value, dtype=, order=, *shape=",
    "identity": "n, dtype=",
    "linspace": "start, stop, num=, endpoint=, retstep=, dtype=, axis=",
    "tri": "N, M=, k=, dtype=",
}

METHODS = names(
    """all any argmax argmin cumprod cumsum diagonal dot max mean min prod ptp ravel repeat searchsorted
    squeeze std sum swapaxes take trace var"""
)

HOST = names(
    """bool_ broadcast_shapes can_cast complex128 complex64 complexfloating dtype e finfo float16 float32
    float64 floating generic iinfo inexact inf int16 int32 int64 int8 integer isscalar issubdtype nan
    newaxis number pi promote_types signedinteger uint16 uint32 uint64 uint8 unsignedinteger"""
)

WAITS = {  # CuPy has them; each waits for the device, or uploads, at every call: what to use instead
    "argwhere compress extract flatnonzero nonzero": "cupy.where(condition, x, y)",
    "bincount": "cupy.add.at, or a product with one-hot rows",
    "histogram unique": "the host",
    "lib.stride_tricks.sliding_window_view": "cupy.lib.stride_tricks.as_strided",
    "tril_indices triu_indices": "cupy.tril, cupy.triu, or a comparison of two aranges",
    "unravel_index": "// and %",
}


# -- from the tables to functions ------------------------------------------------------------------------


def made_from_table(name: str, parameters: str) -> Callable:
    signature = inspect.Signature([_parameter(text) for text in parameters.split(", ")])
    required = [key for key, p in signature.parameters.items() if p.default is inspect.Parameter.empty]
    compute = NOT_NUMPYS.get(name) or attrgetter(name)(np)
    where = f"cupy.{name}"

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{where}: {error}; CuPy 13 and 14 take ({parameters})") from None
        values = {key: TAKES.get(key, _host)(f"{where}({key})", value) for key, value in given.items()}
        with silence(), no_wrapping(where, [values.get("indices")]):
            result = compute(*[values.pop(key) for key in required], **values)
        return wrap(result) if given.get("out") is None else given["out"]

    return call


def _parameter(text: str) -> inspect.Parameter:
    keyword = text.startswith("*")
    sort = inspect.Parameter.KEYWORD_ONLY if keyword else inspect.Parameter.POSITIONAL_OR_KEYWORD
    default = None if text.endswith("=") else inspect.Parameter.empty
    return inspect.Parameter(text.strip("*="), sort, default=default)


def _host(where: str, value: Any) -> Any:
    """Shapes, axes, dtypes, options."""
    if isinstance(value, (Array, np.ndarray)):
        raise TypeError(f"{where}: needs Python numbers, known without waiting; got a {kind(value)}")
    return value


def _sequence(where: str, tup: Any) -> Any:
    return [memory(where, item) for item in tup] if isinstance(tup, (list, tuple)) else memory(where, tup)


TAKES: dict[str, Callable] = {  # by a parameter's name: what turns an argument into NumPy's, or refuses it
    **dict.fromkeys(names("A a a1 a2 ary array b m prototype v x x1 x2"), memory),
    "fill_value": assigned,
    "indices": index_part,
    "repeats": lambda where, repeats: index(repeats),  # a list of them is uploaded and waited for
    "out": lambda where, out: None if out is None else writable(where, out),
    "tup": _sequence,
}


def poisoned(make: Callable) -> Callable:
    """Memory never written: nan or an integer's largest value, so that whoever reads it is found out."""

    def empty(*args: Any, **kwargs: Any) -> np.ndarray:
        array = make(*args, **kwargs)
        whole = array.dtype.kind in "iu"
        array.fill(np.iinfo(array.dtype).max if whole else np.nan)  # nan is True among booleans
        return array

    return empty


def stable(function: Callable) -> Callable:
    def ordered(a: Any, axis: Any = -1, kind: Any = None) -> Any:
        if kind not in (None, "stable"):
            raise ValueError(f"kind can only be None or 'stable'; got {kind!r}")
        return function(a, axis=axis, kind="stable")

    return ordered


def as_array(function: Callable) -> Callable:
    """For NumPy's functions that may give a Python bool or int where CuPy's give a device array."""
    return lambda *args, **kwargs: np.asarray(function(*args, **kwargs))


NOT_NUMPYS = {
    "allclose": as_array(np.allclose),
    "argsort": stable(np.argsort),
    "array_equal": as_array(np.array_equal),
    "count_nonzero": as_array(np.count_nonzero),
    "empty": poisoned(np.empty),
    "empty_like": poisoned(np.empty_like),
    "sort": stable(np.sort),
}


def waiting(name: str, instead: str) -> Callable:
    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(f"cupy.{name}: waits for the device or uploads at every call; use {instead}")

    return refuse


class Ufunc:
    """cupy.ufunc: no where=, no order=, and `at` for what AT lists."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        raise absent(f"cupy.{self.name}", name)

    def __call__(self, *operands: Any, **options: Any) -> Any:
        unknown = ", ".join(sorted(set(options) - {"out", "dtype", "casting"}))
        if unknown:
            raise TypeError(f"cupy.{self.name}: CuPy takes out=, dtype= and casting=; got {unknown}=")
        return elementwise(self.name, operands, **options)

    def at(self, a: Any, indices: Any, b: Any) -> None:
        where = f"cupy.{self.name}.at"
        if self.name not in AT:
            raise NotImplementedError(f"{where}: CuPy has it for {', '.join(AT)} only")
        target, parts, value = writable(where, a), index_parts(indices), assigned(where, b)
        if a.dtype.name not in AT[self.name]:
            raise TypeError(f"{where}: CuPy 13 and 14 have it for {', '.join(AT[self.name])}; got {a.dtype}")
        with silence(), no_wrapping(where, parts):
            getattr(np, self.name).at(target, parts, value)


# -- functions that no table describes -------------------------------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> Array:
    """The explicit upload of numbers, lists and NumPy arrays; or device arrays, copied or stacked."""
    if isinstance(obj, Array):
        return obj.astype(obj.dtype if dtype is None else dtype, order, copy=copy)
    if isinstance(obj, (list, tuple)) and any(isinstance(item, Array) for item in obj):
        obj = np.stack(_sequence("cupy.array", obj))
    values = np.array(obj, dtype, order=order)
    if values.dtype.kind not in "biufc":
        raise ValueError(f"cupy.array: Unsupported dtype {values.dtype}")
    return Array(values)


def asarray(a: Any, dtype: Any = None, order: str = "K") -> Array:
    return array(a, dtype, copy=False, order=order)


def ascontiguousarray(a: Any, dtype: Any = None) -> Array:
    values = asarray(a, dtype)
    return values if values._memory.flags.c_contiguous else values.copy()


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, Array) else np.asarray(a, order=order)


def clip(a: Any, a_min: Any, a_max: Any, out: Any = None) -> Array:
    for ufunc, bound in (("maximum", a_min), ("minimum", a_max)):
        if bound is not None:
            a = elementwise(ufunc, (a, bound))
    if out is not None:
        copyto(out, a)
    return a if out is None else out


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    target, value = writable("cupy.copyto", dst), assigned("cupy.copyto", src)
    np.copyto(target, value, casting, where=True if where is None else memory("cupy.copyto(where)", where))


def einsum(subscripts: str, *operands: Any, dtype: Any = None, optimize: Any = False) -> Any:
    with silence():
        return wrap(
            np.einsum(subscripts, *_sequence("cupy.einsum", operands), dtype=dtype, optimize=optimize)
        )


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*(x._memory if isinstance(x, Array) else x for x in arrays_and_dtypes))


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        raise TypeError("cupy.where(condition): waits for the device; cupy.where(condition, x, y) does not")
    chosen = np.where(memory("cupy.where", condition), *scalars_and_memory("cupy.where", (x, y)))
    return Array(np.asarray(chosen, order="C"))


def as_strided(x: Any, shape: Any = None, strides: Any = None) -> Array:
    view = np.lib.stride_tricks.as_strided(memory("cupy.lib.stride_tricks.as_strided", x), shape, strides)
    if _overlaps(view):
        view.flags.writeable = False
    return Array(view)


def _overlaps(view: np.ndarray) -> bool:
    """Whether elements may share memory: whether a stride is shorter than what the shorter ones span."""
    reach = view.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(view.strides, view.shape, strict=True) if n > 1):
        if stride < reach:
            return True
        reach += stride * (length - 1)
    return False


def erf(x: Any) -> Array:
    """cupyx.scipy.special.erf, in the dtypes on which 13 and 14 agree."""
    values = memory("erf", x)
    if values.dtype not in (np.float32, np.float64):
        raise TypeError(f"erf: CuPy 13 and 14 agree on float32 and float64 only; got {values.dtype}")
    return Array(np.array([math.erf(v) for v in values.flat], values.dtype).reshape(values.shape))


# -- all names -------------------------------------------------------------------------------------------

CUPY: dict[str, Any] = {  # what the module cupy has, dotted where it lies deeper
    **{name: getattr(np, name) for name in HOST},
    **{name: Ufunc(name) for name in UFUNCS},
    **{name: made_from_table(name, text) for group, text in FUNCTIONS.items() for name in names(group)},
    **{name: waiting(name, text) for group, text in WAITS.items() for name in names(group)},
    "ndarray": Array,
    "array": array,
    "asarray": asarray,
    "ascontiguousarray": ascontiguousarray,
    "asnumpy": asnumpy,
    "clip": clip,
    "copyto": copyto,
    "einsum": einsum,
    "lib.stride_tricks.as_strided": as_strided,
    "result_type": result_type,
    "where": where,
}

for _name in METHODS:
    setattr(Array, _name, CUPY[_name])
Array.argsort = lambda self, axis=-1: CUPY["argsort"](self, axis)
Array.clip = lambda self, min=None, max=None, out=None: clip(self, min, max, out)
Array.conj = lambda self: CUPY["conj"](self)
Array.__matmul__ = lambda self, other: NotImplemented if defers(other) else CUPY["matmul"](self, other)
Array.__rmatmul__ = lambda self, other: CUPY["matmul"](other, self)
