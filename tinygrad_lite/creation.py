"""New tensors, under torch's names. Random ones come from the ambient generator, which `manual_seed` sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.backend import Array, ambient_rng, as_array
from tinygrad_lite.ops.shape import sizes_of
from tinygrad_lite.tensor import Tensor


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, an array; `Tensor(array)` shares its memory.

    Raises:
        TypeError: for what `Tensor` refuses.
    """
    return Tensor(
        data if isinstance(data, Tensor) else as_array(data, dtype).copy(), None, device, requires_grad
    )


def zeros(
    *shape: int | tuple[int, ...],
    dtype: Any = "float32",
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros, in the shape of `zeros(2, 3)` or `zeros((2, 3))`."""
    return Tensor(np.zeros(sizes_of(shape), dtype), None, device, requires_grad)


def ones(
    *shape: int | tuple[int, ...],
    dtype: Any = "float32",
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones, in the shape of `ones(2, 3)` or `ones((2, 3))`."""
    return Tensor(np.ones(sizes_of(shape), dtype), None, device, requires_grad)


def randn(
    *shape: int | tuple[int, ...],
    dtype: Any = "float32",
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal draws, in the shape of `randn(2, 3)` or `randn((2, 3))`; the same on every device."""
    return Tensor(ambient_rng().standard_normal(sizes_of(shape)), dtype, device, requires_grad)


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """`start`, `start` + `step`, … below `end`; `arange(n)` is 0, 1, … n − 1. Integers give int64."""
    span: Array = np.arange(start) if end is None else np.arange(start, end, step)
    return Tensor(span.astype("float32") if dtype is None and span.dtype.kind == "f" else span, dtype)
