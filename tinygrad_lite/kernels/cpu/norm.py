"""Normalization in few passes over the data: over channels (batch_norm, group_norm) and over rows (layer_norm).

Sums are products with a vector of ones, which BLAS reads at the speed of memory; where a short row of numbers,
one a channel, meets every pixel, some pixels are taken as one long row, and the short one is repeated to match.
"""

from __future__ import annotations

import math

from tinygrad_lite.backend import Array, array_module

LONG = 256  # elements of a row from which on NumPy's loop over rows costs little
BLOCK = 1 << 15  # elements that are worked on while they are in the cache

# -- over channels: data is (P, L, C), P places that are normalized apart, L pixels, C channels -----------


def channels_last(x: Array) -> Array:
    """(N, C, ...) as (N, L, C), L elements a channel: a view, where the channels are last in memory."""
    xp = array_module(x)
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1)).reshape(x.shape[0], math.prod(x.shape[2:]), x.shape[1])


def channels_second(data: Array, shape: tuple[int, ...]) -> Array:
    """A view of `data`, in memory as `channels_last` made it, with `shape` (N, C, ...)."""
    return array_module(data).moveaxis(data.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def widen(data: Array) -> Array:
    """(P, L, C) as (P, L/k, k·C): a view, with rows of at least LONG elements if L allows it."""
    P, L, C = data.shape
    k = next((k for k in range(1, L + 1) if L % k == 0 and k * C >= LONG), max(L, 1))
    return data.reshape(P, L // k, k * C)


def repeat(v: Array, wide: Array) -> Array:
    """(P, C), a number for each channel, as the rows of `wide` meet them: (P, 1, k·C)."""
    return array_module(v).tile(v[:, None], (1, 1, wide.shape[-1] // v.shape[1]))


def totals(wide: Array, C: int) -> Array:
    """Σ over pixels, for each place and channel: (P, C)."""
    P, rows, width = wide.shape
    ones = array_module(wide).ones((1, rows), dtype=wide.dtype)
    return (ones @ wide).reshape(P, width // C, C).sum(axis=1)


def over_groups(v: Array, groups: int) -> Array:
    """(P, C) summed over each of `groups` runs of channels, and given to all of them: (P, C)."""
    P, C = v.shape
    if groups == C:
        return v
    sums = v.reshape(P, groups, C // groups).sum(axis=2)
    return array_module(v).repeat(sums, C // groups, axis=1)


def normalize_channels(
    data: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + eps) + b, and (P, C) m and v: the mean and variance of a group of channels at a place."""
    P, L, C = data.shape
    n = L * C // groups
    wide = widen(data)
    m = over_groups(totals(wide, C), groups) / n
    y = wide - repeat(m, wide)
    v = over_groups(totals(y * y, C), groups) / n
    scale = (v + eps) ** -0.5
    y *= repeat(scale if weight is None else scale * weight, wide)
    if bias is not None:
        y += repeat(bias[None], wide)
    return y.reshape(data.shape), m, v
