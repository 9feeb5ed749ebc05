"""A stand-in for CuPy that needs no GPU: it finds code that was written for NumPy alone.

`install()` puts it into sys.modules as cupy and cupyx. Code then runs on arrays that are not NumPy's, and
what CuPy 13 or 14 refuses, waits for or answers differently raises, with a message that says what to
write instead. Its facts were recorded from CuPy 13.6 and 14.2; tests/test_strict_cupy.py holds it to
them.

As in CuPy: reductions and x[0] are 0-d device arrays; host arrays and lists are no operands; a Python
scalar takes the array's dtype; elementwise results are C-ordered, whatever came in; where x[i] = v names
an element twice, any of its values may stay; `array * t` defers to a class with `__array_ufunc__ = None`,
`array += t` does not; nothing warns. Functions have those names and parameters that 13 and 14 share: no
where= or initial= in reductions, no where= or order= in ufuncs.

Stricter than CuPy, on purpose:
- NumPy's functions on a device array (np.exp(x)) raise. CuPy answers them, so that a forgotten `np.` hides.
- float(x), bool(x), iteration, formatting and pickling raise. CuPy copies to the host and waits.
- Masks as indices, where(c) with one argument and all that functions.WAITS lists raise: they wait.
- Lists and host arrays as indices raise, and slices bounded by device scalars: uploads, and waits.
- NumPy scalars of another dtype than the array's raise, as do Python floats that its dtype cannot hold.
- Index arrays out of range raise. CuPy wraps around in silence.
- Writing into broadcast_to or an overlapping as_strided raises. CuPy writes, and it shows in every row.
- `empty` is poisoned with nan, or with an integer's largest value.
- x == None raises, and repr shows no values.

It is no GPU, and cannot show: speed, memory, streams, what runs beside the host; kernels of one's own;
the order of sums, and so the last bits; small float32 results flushed to zero; float16 sums kept in
float32; what nan or 1e20 gives as an integer; more than one device.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

import numpy as np

from . import cuda, draws, functions
from .array import Array, absent


def _module(name: str, members: dict[str, Any]) -> ModuleType:
    def refuse(attribute: str) -> Any:
        raise absent(f"module {name}", attribute)

    module = module_from_spec(ModuleSpec(name, loader=None, is_package=True))
    vars(module).update(members, __getattr__=refuse)
    return module


def get_array_module(*args: Any) -> ModuleType:
    return MODULES["cupy"] if any(isinstance(arg, Array) for arg in args) else np


_MEMBERS: dict[str, dict[str, Any]] = {
    "cupy": {"__version__": "13.6.0", "get_array_module": get_array_module},
    "cupy.cuda": cuda.CUDA,
    "cupy.cuda.runtime": cuda.RUNTIME,
    "cupy.lib": {},
    "cupy.lib.stride_tricks": {},
    "cupy.linalg": {},
    "cupy.random": {"Generator": draws.Generator, "default_rng": draws.Generator},
    "cupyx": {},
    "cupyx.scipy": {},
    "cupyx.scipy.special": {"erf": functions.erf},
}
for _dotted, _member in functions.CUPY.items():
    _owner, _, _name = f"cupy.{_dotted}".rpartition(".")
    _MEMBERS[_owner][_name] = _member

MODULES = {name: _module(name, members) for name, members in _MEMBERS.items()}
for _name, _child in MODULES.items():
    _owner, _, _last = _name.rpartition(".")
    if _owner:
        setattr(MODULES[_owner], _last, _child)


def install() -> ModuleType:
    """Put the stand-in into sys.modules as cupy and cupyx, and return cupy; a second call changes nothing.

    Raises:
        RuntimeError: if the real CuPy is loaded already.
    """
    if sys.modules.get("cupy", MODULES["cupy"]) is not MODULES["cupy"]:
        raise RuntimeError("strict_cupy: the real CuPy is loaded already; install the stand-in before it")
    sys.modules.update(MODULES)
    return MODULES["cupy"]


def uninstall() -> None:
    """Take out of sys.modules what `install` put there."""
    for name, module in MODULES.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
