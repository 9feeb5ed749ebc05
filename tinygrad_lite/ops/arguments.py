"""What several families of operations ask of their arguments."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from tinygrad_lite.backend import Array, as_array, device_of, holds_floats
from tinygrad_lite.tensor import Tensor, TensorLike


def array_of(x: Any) -> Array:
    """The array of a tensor; an array as it is; of numbers and lists of them a new one."""
    return x.data if isinstance(x, Tensor) else as_array(x)


def choice_of(cpu: ModuleType, plain: ModuleType, floats_only: bool = False) -> Callable[[Array], ModuleType]:
    """The function that gives, of two modules with the same functions of arrays, the one for where x lives.

    Args:
        cpu: for NumPy alone.
        plain: for CuPy too.
        floats_only: leave integers and numbers to the plain ones.
    """
    if floats_only:
        return lambda x: cpu if holds_floats(x) and device_of(x) == "cpu" else plain
    return lambda x: cpu if device_of(x) == "cpu" else plain


def check_one_dtype(op: str, **arguments: TensorLike | None) -> None:
    """Refuse arguments of several dtypes; those that are None do not count.

    NumPy would compute in the widest of them, and the gradients would not fit the others.

    Raises:
        TypeError: for two dtypes or more; the text names them all.
    """
    dtypes = [x.dtype for x in arguments.values() if x is not None]
    if dtypes.count(dtypes[0]) < len(dtypes):
        got = ", ".join(f"{name} {x.dtype}" for name, x in arguments.items() if x is not None)
        raise TypeError(
            f"{op}: needs one dtype for all; got {got}. Convert by .to(dtype), arrays by .astype(dtype)"
        )
