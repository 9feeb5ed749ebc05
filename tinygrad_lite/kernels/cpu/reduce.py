"""Sums over dimensions for NumPy, whose own loop is slow where what lies together is short."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite.kernels import reduce as plain
from tinygrad_lite.kernels.cpu.blocks import memory_order
from tinygrad_lite.threads import in_runs

WORTH = 1 << 17  # elements below which the search for an order costs more than it saves
LONG = 512  # elements in memory order that NumPy sums as fast, and more exactly: it adds them in pairs


def total(x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """Σ x over `dims`, as products with ones: of images over their pixels in 0.1 to 0.5 of NumPy's time."""
    if x.size < WORTH or x.dtype.char not in "fd":
        return plain.total(x, dims, keepdim)
    order = memory_order(x)
    blocks = _as_blocks(x, dims, order)
    if blocks is None:
        return plain.total(x, dims, keepdim)
    ones = np.ones((1, blocks.shape[1]), x.dtype)
    sums = np.empty((len(blocks), 1, blocks.shape[2]), x.dtype)

    def run(start: int, stop: int) -> None:
        np.matmul(ones, blocks[start:stop], out=sums[start:stop])

    in_runs(run, len(blocks), 8 * x.size)
    kept = sums.reshape([1 if d in dims else x.shape[d] for d in order])
    kept = kept.transpose(sorted(range(x.ndim), key=order.__getitem__))
    return kept if keepdim else kept.reshape([n for d, n in enumerate(x.shape) if d not in dims])


def unbroadcast(x: np.ndarray, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Sum x down to `shape`, which broadcasts to its own, and cast it to `dtype`."""
    return plain.unbroadcast(x, shape, dtype, total)


def _as_blocks(x: np.ndarray, dims: tuple[int, ...], order: list[int]) -> np.ndarray | None:
    """x as a view (A, R, C), of which R is summed; None in another order of memory, or for no gain."""
    dense, longer = x.transpose(order), [d for d in order if x.shape[d] > 1]
    summed = [i for i, d in enumerate(longer) if d in dims]
    if not summed or summed[-1] - summed[0] >= len(summed) or not dense.flags.c_contiguous:
        return None
    A, R = (math.prod(x.shape[d] for d in part) for part in (longer[: summed[0]], dims))
    C = x.size // (A * R)
    return None if C == 1 and R > LONG else dense.reshape(A, R, C)
