"""Where arrays live: NumPy on the CPU, CuPy on the GPU; their data types and random draws.

The array module follows the data: code asks `array_module(x)` for the module of its arrays and is then
written once for both. This file alone imports CuPy, and only when a GPU is asked for.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A NumPy or a CuPy array."""

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int64 = np.dtype("int64")


# -- arrays and their module -----------------------------------------------------------------------------


def array_module(*values: Any) -> ModuleType:
    """The module (numpy or cupy) that the arrays among `values` belong to; numpy where there is none.

    Raises:
        TypeError: if arrays of both are among them: nothing is moved between devices without being asked.
    """
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return np
    on_gpu = [isinstance(v, cupy.ndarray) for v in values if isinstance(v, (np.ndarray, cupy.ndarray))]
    if not any(on_gpu):
        return np
    if not all(on_gpu):
        places = ", ".join(f"{tuple(v.shape)} on {device_of(v)}" for v in values if is_array(v))
        raise TypeError(f"arrays on different devices meet: {places}; move one of them with .to(device)")
    return cupy


def is_array(value: Any) -> bool:
    """Whether `value` is an array, on either device."""
    if isinstance(value, np.ndarray):
        return True
    cupy = sys.modules.get("cupy")
    return cupy is not None and isinstance(value, cupy.ndarray)


def as_array(data: Any, dtype: Any = None, device: str | None = None) -> Array:
    """`data` as an array: arrays keep memory and dtype, Python floats become float32, Python ints int64.

    Raises:
        TypeError: for data that is no rectangle of numbers.
    """
    if not is_array(data):
        weak = not isinstance(data, np.generic)
        try:
            data = np.asarray(data)
        except ValueError as error:
            raise TypeError(f"tensor: needs a rectangular list of numbers ({error})") from None
        if weak and dtype is None and data.dtype == float64:
            data = data.astype(float32)
    if data.dtype.kind not in "biuf":
        raise TypeError(f"tensor: needs real numbers or booleans; got dtype {data.dtype}")
    if dtype is not None and data.dtype != dtype:
        data = data.astype(dtype)
    return data if device is None else to_device(data, device)


def python_number(value: Any) -> Any:
    """A NumPy scalar as a Python number, which never widens the dtype of an array; else `value` itself."""
    return value.item() if isinstance(value, np.generic) else value


def holds_floats(value: Any) -> bool:
    """Whether `value` is a float array or a NumPy float, or a list or tuple with one in it."""
    if isinstance(value, (list, tuple)):
        return any(holds_floats(v) for v in value)
    return (is_array(value) or isinstance(value, np.generic)) and value.dtype.kind == "f"


def broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether an array of `shape` can be repeated to the shape `target`."""
    lead = len(target) - len(shape)
    return lead >= 0 and all(n in (1, m) for n, m in zip(shape, target[lead:], strict=True))


def check_broadcast(op: str, values: Sequence[Any]) -> None:
    """Refuse values of which the arrays have shapes that do not broadcast together.

    Raises:
        ValueError: with the name of the op and the shapes.
    """
    shapes = [tuple(v.shape) for v in values if is_array(v)]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"{op}: shapes {' and '.join(map(str, shapes))} could not be broadcast together: from the last "
            "dimension back, lengths must be equal, or 1"
        ) from None


# -- devices ---------------------------------------------------------------------------------------------

_cuda: dict[str, Any] = {}  # what the probe found: {"module": cupy} or {"problem": text}


def cuda_problem() -> str | None:
    """Why no GPU can be used, in one line; None if one can. Probed once, with a small product."""
    if not _cuda:
        try:
            import cupy

            ones = cupy.ones((2, 2), dtype="float32")
            cupy.asnumpy(ones @ ones)
            _cuda["module"] = cupy
        except ImportError:
            _cuda["problem"] = "CuPy is not installed: pip install cupy-cuda12x (or cupy-cuda13x)"
        except (RuntimeError, OSError, AttributeError) as error:  # CuPy's errors are RuntimeErrors
            _cuda["problem"] = f"CuPy is installed but cannot use a GPU: {error}"
    return _cuda.get("problem")


def parse_device(device: str) -> tuple[str, int]:
    """("cpu", 0) or ("cuda", index) from "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: for any other text.
    """
    kind, _, index = str(device).partition(":")
    if kind not in ("cpu", "cuda") or (index and (kind == "cpu" or not index.isdigit())):
        raise ValueError(f"device: expected 'cpu', 'cuda' or 'cuda:1'; got {device!r}")
    return kind, int(index or 0)


def device_of(array: Array) -> str:
    """Where an array lives: "cpu" or "cuda:0"."""
    return "cpu" if isinstance(array, (np.ndarray, np.generic)) else f"cuda:{array.device.id}"


def to_device(array: Array, device: str) -> Array:
    """`array` on `device`: itself if it is there already, else a copy.

    Raises:
        ValueError: for an unknown device.
        RuntimeError: where the GPU cannot be used; the text says why.
    """
    kind, index = parse_device(device)
    if kind == "cpu":
        return to_numpy(array)
    problem = cuda_problem()
    if problem is not None:
        raise RuntimeError(f"device {device!r} cannot be used. {problem}")
    cupy = _cuda["module"]
    with cupy.cuda.Device(index):
        return cupy.asarray(array)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array: itself if it is one, else copied back from the GPU."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get() if is_array(array) else array)


# -- random draws ----------------------------------------------------------------------------------------


def keyed_rng(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """A generator that is a function of (seed, purpose, step): the same three give the same draws, for ever.

    So a resumed run needs no generator state, and two purposes never share a stream.

    Example:
        >>> int(keyed_rng(0, "noise", 3).integers(100)) == int(keyed_rng(0, "noise", 3).integers(100))
        True
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), step])


class _Ambient:
    """The generators behind draws that take no `rng`: initializers and dropout."""

    def __init__(self) -> None:
        self.reseed(0, "ambient", 0)

    def reseed(self, seed: int, purpose: str, step: int) -> None:
        self.key = (seed, purpose, step)
        self.host = keyed_rng(*self.key)
        self.gpu: Any = None

    def of(self, xp: ModuleType) -> Any:
        if xp is np:
            return self.host
        if self.gpu is None:
            seed, purpose, step = self.key
            key = keyed_rng(seed, f"{purpose} on the GPU", step).integers(2**62)
            self.gpu = xp.random.default_rng(int(key))
        return self.gpu


_ambient = _Ambient()


def manual_seed(seed: int, purpose: str = "ambient", step: int = 0) -> None:
    """Set the ambient generators, from which initializers and dropout draw, to (seed, purpose, step)."""
    _ambient.reseed(seed, purpose, step)


def ambient_rng(xp: ModuleType = np) -> Any:
    """The ambient generator of an array module, as `manual_seed` left it."""
    return _ambient.of(xp)
