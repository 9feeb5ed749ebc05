"""Sums over dimensions, for NumPy and CuPy; `kernels/cpu/reduce.py` has the same functions for NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.backend import Array


def total(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    """Σ x over `dims`; float16 is summed, and left, in float32, where 65,504 is not the end."""
    return x.sum(axis=dims, keepdims=keepdim, dtype="float32" if x.dtype == "float16" else None)


def unbroadcast(x: Array, shape: tuple[int, ...], dtype: Any, total: Callable[..., Array] = total) -> Array:
    """Sum x down to `shape`, which broadcasts to its own, and cast it to `dtype`."""
    if x.shape != shape:
        lead = x.ndim - len(shape)
        stretched = [lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1]
        x = total(x, (*range(lead), *stretched), True).reshape(shape)
    return x if x.dtype == dtype else x.astype(dtype)
