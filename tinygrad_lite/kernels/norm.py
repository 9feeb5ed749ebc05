"""Normalization in plain array expressions for NumPy and CuPy: of channels, and of rows.

`kernels/cpu/norm.py` has the same functions for NumPy, in blocks and with fewer passes. Sums are products
with ones, for which BLAS reads the data at the speed of memory.

    x        (N, C, …)      the input; of layer_norm (M, D), rows
    w, b     (C,)           weight and bias, or None; of layer_norm (D,)
    m, v                    mean and variance: batch_norm (C,), group_norm (N, C), layer_norm (M, 1)
    G        as x           the gradient of the output
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_lite.backend import Array, array_module

MANY = 1 << 12  # float32 numbers whose sum, one by one, still is right to some 1e-7

# -- over channels: data is (P, L, C), P places that are normalized apart, L pixels, C channels ------------


def batch_norm(x: Array, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + ε) + b, m and v of each channel over batch and pixels; and m and v."""
    C, n = x.shape[1], x.size // x.shape[1]
    data = channels_last(x).reshape(1, n, C)
    y, m, v = _normalize(data, w, b, eps, lambda totals: totals / n)
    return channels_second(y, x.shape), m[0], v[0]


def batch_norm_back(
    G: Array, x: Array, w: Array | None, m: Array, v: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The gradients of x, w and b."""
    C, n = x.shape[1], x.size // x.shape[1]
    grad, data = (channels_last(a).reshape(1, n, C) for a in (G, x))
    dx, dw, db = _normalize_back(grad, data, w, m[None], v[None], eps, lambda totals: totals / n)
    return channels_second(dx, x.shape), dw, db


def group_norm(
    x: Array, groups: int, w: Array | None, b: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + ε) + b, m and v of each group of channels over a sample's pixels; and m and v."""
    data = channels_last(x)
    y, m, v = _normalize(data, w, b, eps, mean_of_group(data, groups))
    return channels_second(y, x.shape), m, v


def group_norm_back(
    G: Array, x: Array, groups: int, w: Array | None, m: Array, v: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The gradients of x, w and b."""
    data = channels_last(x)
    dx, dw, db = _normalize_back(channels_last(G), data, w, m, v, eps, mean_of_group(data, groups))
    return channels_second(dx, x.shape), dw, db


def affine(x: Array, scale: Array, shift: Array) -> Array:
    """x·scale + shift, a number of each (C,) for a channel."""
    y = channels_last(x) * scale
    y += shift
    return channels_second(y, x.shape)


def channels_last(x: Array) -> Array:
    """(N, C, …) as (N, L, C), L pixels: a view if the channels are last in memory, else a copy."""
    N, C, *size = x.shape
    return array_module(x).ascontiguousarray(x.reshape(N, C, math.prod(size)).swapaxes(1, 2))


def channels_second(data: Array, shape: tuple[int, ...]) -> Array:
    """What `channels_last` made of an array of this `shape`, back in it: a view."""
    N, C, *size = shape
    last = len(size) + 1
    return data.reshape(N, *size, C).transpose(0, last, *range(1, last))


def mean_of_group(data: Array, groups: int) -> Callable[[Array], Array]:
    """From totals over pixels (P, C) to the mean of the group that each channel is in: (P, C)."""
    L, C = data.shape[1:]
    group = array_module(data).arange(C) // (C // groups)
    is_same, n = (group[:, None] == group).astype(data.dtype), L * C // groups
    return lambda totals: totals @ is_same / n


def _normalize(
    x: Array, w: Array | None, b: Array | None, eps: float, mean: Callable[[Array], Array]
) -> tuple[Array, Array, Array]:
    m = mean(_totals(x))
    y = x - m[:, None]
    v = mean(_totals(y * y))
    r = 1 / array_module(x).sqrt(v + eps)
    y *= (r if w is None else r * w)[:, None]
    if b is not None:
        y += b
    return y, m, v


def _normalize_back(
    G: Array, x: Array, w: Array | None, m: Array, v: Array, eps: float, mean: Callable[[Array], Array]
) -> tuple[Array, Array, Array]:
    """With h = w·G, r = 1/√(v + ε) and x̂ = r·(x − m), dx is r·(h − mean h − x̂·mean h·x̂).

    For each channel it is a number times G, one times x, and one more.
    """
    r = 1 / array_module(x).sqrt(v + eps)
    db = _totals(G)
    dw = (_totals(G * x) - m * db) * r
    h, hx = (db, dw) if w is None else (w * db, w * dw)
    along_x = -r * r * mean(hx)
    dx = x * along_x[:, None]
    dx -= (r * mean(h) + along_x * m)[:, None]
    dx += G * (r if w is None else r * w)[:, None]
    return dx, dw.sum(axis=0), db.sum(axis=0)


def _totals(data: Array) -> Array:
    """Σ over pixels, for each place and channel: (P, C). No more than MANY are added one by one."""
    P, L, C = data.shape
    k = 1 if L <= MANY else math.gcd(L, 64)
    sums = array_module(data).ones((1, L // k), dtype=data.dtype) @ data.reshape(P * k, L // k, C)
    if k == 1:
        return sums[:, 0]
    return sums.reshape(P, k, C).sum(axis=1, dtype="float64").astype(data.dtype)


# -- over rows: x is (M, D), each row is normalized -------------------------------------------------------


def layer_norm(x: Array, w: Array | None, b: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """w·(x − m)/√(v + ε) + b, m and v of each row; and m and v."""
    D = x.shape[1]
    ones = array_module(x).ones((D, 1), dtype=x.dtype)
    m = x @ ones / D
    y = x - m
    v = (y * y) @ ones / D
    y *= 1 / array_module(x).sqrt(v + eps)
    if w is not None:
        y *= w
    if b is not None:
        y += b
    return y, m, v


def layer_norm_back(
    G: Array, x: Array, w: Array | None, m: Array, v: Array, eps: float
) -> tuple[Array, Array, Array]:
    """The gradients of x, w and b.

    With h = w·G, r = 1/√(v + ε) and x̂ = r·(x − m), dx is r·(h − mean h − x̂·mean h·x̂); the means are products
    of G and of G·x̂ with w/D.
    """
    xp = array_module(x)
    M, D = x.shape
    weight = xp.ones(D, dtype=x.dtype) if w is None else w
    r = 1 / xp.sqrt(v + eps)
    d = x - m
    Gd = G * d
    dw, db = r[:, 0] @ Gd, xp.ones(M, dtype=x.dtype) @ G
    d *= r * r * (Gd @ weight / D)[:, None]
    d += (G @ weight / D)[:, None]
    dx = G * weight
    dx -= d
    dx *= r
    return dx, dw, db
