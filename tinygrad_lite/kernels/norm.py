"""Normalization in few passes over the data: of channels (batch_norm, group_norm) and of rows (layer_norm).

Sums are products with a vector of ones, for which BLAS reads the data at the speed of memory. Where a short
row, one number a channel, meets every pixel, several pixels are taken as one long row, and the short one is
repeated.
"""

from __future__ import annotations

import math

from tinygrad_lite.backend import Array, array_module

LONG = 256  # the length from which on NumPy's loop over rows costs little

# -- over channels: data is (P, L, C), P places that are normalized apart, L pixels, C channels -----------


def channels_last(x: Array) -> Array:
    """(N, C, ...) as (N, L, C), L pixels: a view if the channels are last in memory, else a copy."""
    xp = array_module(x)
    return xp.ascontiguousarray(xp.moveaxis(x, 1, -1)).reshape(x.shape[0], math.prod(x.shape[2:]), x.shape[1])


def channels_second(data: Array, shape: tuple[int, ...]) -> Array:
    """What `channels_last` made of an array of this `shape`, back in it: a view."""
    return array_module(data).moveaxis(data.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def widen(data: Array) -> Array:
    """(P, L, C) as (P, L/k, k·C), with rows of LONG elements or somewhat more, where L allows it: a view."""
    P, L, C = data.shape
    enough = math.ceil(LONG / C)
    k = next((k for k in range(enough, 4 * enough) if L % k == 0), 1) if enough < L else max(L, 1)
    return data.reshape(P, L // k, k * C)


def repeat(v: Array, wide: Array) -> Array:
    """(P, C), a number for each channel, as the rows of `wide` meet them: (P, 1, k·C)."""
    return array_module(v).tile(v[:, None], (1, 1, wide.shape[2] // v.shape[1]))


def totals(data: Array) -> Array:
    """Σ over pixels, for each place and channel: (P, C)."""
    P, L, C = data.shape
    return (array_module(data).ones((1, L), dtype=data.dtype) @ data).reshape(P, C)


def over_groups(v: Array, groups: int) -> Array:
    """(P, C) summed over each of `groups` runs of channels, and each sum given to its whole run: (P, C)."""
    C = v.shape[1]
    if groups == C:
        return v
    group = array_module(v).arange(C) // (C // groups)
    return v @ (group[:, None] == group).astype(v.dtype)


def scale_channels(data: Array, scale: Array, shift: Array) -> Array:
    """x·scale + shift, a number of each (C,) for a channel."""
    wide = widen(data)
    y = wide * repeat(scale[None], wide)
    y += repeat(shift[None], wide)
    return y.reshape(data.shape)


def normalize_channels(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + ε) + b; and m and v (P, C), mean and variance over a place's pixels and a group."""
    n = x.shape[1] * x.shape[2] // groups
    wide = widen(x)
    m = over_groups(totals(x), groups) / n
    y = wide - repeat(m, wide)
    v = over_groups(totals((y * y).reshape(x.shape)), groups) / n
    r = 1 / array_module(x).sqrt(v + eps)
    y *= repeat(r if weight is None else r * weight, wide)
    if bias is not None:
        y += repeat(bias[None], wide)
    return y.reshape(x.shape), m, v


def normalize_channels_back(
    G: Array, x: Array, groups: int, weight: Array | None, m: Array, v: Array, eps: float
) -> tuple[Array, Array, Array]:
    """What goes back to x; and Σ G·x̂ and Σ G over all but channels, which are the weight's and the bias's.

    With h = w·G, r = 1/√(v + ε) and x̂ = r·(x − m) it is r·(h − mean h − x̂·mean h·x̂): for each channel one
    number times G, one times x − m, and one more.
    """
    n = x.shape[1] * x.shape[2] // groups
    wide, G_wide = widen(x), widen(G)
    w = 1 if weight is None else weight
    r = 1 / array_module(x).sqrt(v + eps)
    d = wide - repeat(m, wide)
    dweight = totals((G_wide * d).reshape(x.shape)) * r
    dbias = totals(G)
    d *= repeat(-r * r * over_groups(w * dweight, groups) / n, wide)
    d += repeat(-r * over_groups(w * dbias, groups) / n, wide)
    d += G_wide * repeat(r * w, wide)
    return d.reshape(x.shape), dweight.sum(axis=0), dbias.sum(axis=0)


# -- over rows: data is (M, D), each row is normalized ----------------------------------------------------


def normalize_rows(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + ε) + b; and m and v (M, 1), the mean and variance of each row."""
    D = x.shape[1]
    ones = array_module(x).ones((D, 1), dtype=x.dtype)
    m = x @ ones / D
    y = x - m
    v = (y * y) @ ones / D
    y *= 1 / array_module(x).sqrt(v + eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, m, v


def normalize_rows_back(
    G: Array, x: Array, weight: Array | None, m: Array, v: Array, eps: float
) -> tuple[Array, Array, Array]:
    """What goes back to x; and Σ G·x̂ and Σ G over the rows, which are the weight's and the bias's.

    With h = w·G, r = 1/√(v + ε) and x̂ = r·(x − m) it is r·(h − mean h − x̂·mean h·x̂); the means are products
    of G and of G·x̂ with w/D.
    """
    xp = array_module(x)
    M, D = x.shape
    w = xp.ones(D, dtype=x.dtype) if weight is None else weight
    r = 1 / xp.sqrt(v + eps)
    d = x - m
    Gd = G * d
    dweight, dbias = r[:, 0] @ Gd, xp.ones(M, dtype=x.dtype) @ G
    d *= r * r * (Gd @ w / D)[:, None]
    d += (G @ w / D)[:, None]
    dx = G * w
    dx -= d
    dx *= r
    return dx, dweight, dbias
