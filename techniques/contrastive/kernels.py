"""The softmax over the similarities of all rows, block by block: no array of M × M is ever there.

    sᵢⱼ = uᵢ·uⱼ/τ for unit rows u,  sᵢᵢ = −∞,  lseᵢ = log Σⱼ exp sᵢⱼ,  Pᵢⱼ = exp(sᵢⱼ − lseᵢ)

Since s is symmetric, a block serves its rows and its columns: on the CPU half of s is made. Exponentials are
then taken of s − 1/τ, which lies between −2/τ and 0. Where that is too low for the dtype, and on the GPU,
blocks hold whole rows, and the highest s of each row is taken out. Gained at 8,192 rows of 128, one thread,
for value and gradient: 0.50 s instead of 0.73 s with all of P, and 26 MB instead of 433.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement

import numpy as np

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.threads import in_runs, slices

BLOCK = 256  # rows; a block of s is then 256 kB of float32, and stays in the cache
EXP = 16  # multiply-adds that the exponential of an element costs, in the measure of `in_runs`

Block = tuple[slice, slice, np.ndarray]
"""Rows, columns, and what is in them."""


def log_sums(u: Array, temperature: float) -> Array:
    """lse: (M, d) → (M,)."""
    if not _has_safe_shift(u, temperature):
        return _log_sums_by_rows(u, temperature)

    def sums_in(blocks: Iterator[Block]) -> np.ndarray:
        sums, ones = np.zeros(len(u), u.dtype), np.ones(BLOCK, u.dtype)
        for a, b, E in blocks:
            sums[a] += E @ ones[: E.shape[1]]
            if a != b:
                sums[b] += ones[: E.shape[0]] @ E
        return sums

    return np.log(_sum_over_blocks(u, temperature, sums_in)) + 1 / temperature


def weighted_rows(u: Array, lse: Array, temperature: float) -> Array:
    """(P + Pᵀ)·u: (M, d), (M,) → (M, d)."""
    if not _has_safe_shift(u, temperature):
        return _weighted_rows_by_rows(u, lse, temperature)
    scale = np.exp(1 / temperature - lse)  # Pᵢⱼ = scaleᵢ·exp(sᵢⱼ − 1/τ)

    def products_in(blocks: Iterator[Block]) -> np.ndarray:
        g = np.zeros_like(u)
        for a, b, E in blocks:
            E *= scale[a, None] + scale[b]
            g[a] += E @ u[b]
            if a != b:
                g[b] += E.T @ u[a]
        return g

    return _sum_over_blocks(u, temperature, products_in)


# -- half of s, in square blocks -------------------------------------------------------------------------


def _has_safe_shift(u: Array, temperature: float) -> bool:
    """Whether exp(−2/τ) is a normal number of the dtype; for NumPy alone."""
    return isinstance(u, np.ndarray) and 2 / temperature < -math.log(np.finfo(u.dtype).tiny)


def _sum_over_blocks(
    u: np.ndarray, temperature: float, work: Callable[[Iterator[Block]], np.ndarray]
) -> np.ndarray:
    """What `work` makes of blocks that threads share, summed."""
    pairs = list(combinations_with_replacement(slices(0, len(u), BLOCK), 2))

    def run(start: int, stop: int) -> np.ndarray:
        return work(_exponentials(u, temperature, pairs[start:stop]))

    first, *others = in_runs(run, len(pairs), len(pairs) * BLOCK**2 * (u.shape[1] + EXP))
    for other in others:
        first += other
    return first


def _exponentials(u: np.ndarray, temperature: float, pairs: list[tuple[slice, slice]]) -> Iterator[Block]:
    """exp(s − 1/τ) in rows a and columns b, for pairs (a, b); each is valid until the next is drawn."""
    memory = np.empty(BLOCK * BLOCK, u.dtype)
    for a, b in pairs:
        rows, columns = u[a] / temperature, u[b]
        E = memory[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        np.matmul(rows, columns.T, out=E)
        E -= 1 / temperature
        np.exp(E, out=E)
        if a == b:
            np.fill_diagonal(E, 0)
        yield a, b, E


# -- all of s, in blocks of whole rows -------------------------------------------------------------------


def _log_sums_by_rows(u: Array, temperature: float) -> Array:
    xp = array_module(u)
    lse = xp.empty(len(u), dtype=u.dtype)
    for rows in slices(0, len(u), BLOCK):
        s = _similarities(u, rows, temperature)
        highest = s.max(axis=1)
        lse[rows] = highest + xp.log(xp.exp(s - highest[:, None]).sum(axis=1))
    return lse


def _weighted_rows_by_rows(u: Array, lse: Array, temperature: float) -> Array:
    xp = array_module(u)
    g = xp.zeros_like(u)
    for rows in slices(0, len(u), BLOCK):
        P = xp.exp(_similarities(u, rows, temperature) - lse[rows, None])
        g[rows] += P @ u
        g += P.T @ u[rows]
    return g


def _similarities(u: Array, rows: slice, temperature: float) -> Array:
    """s in some rows and all columns."""
    s = (u[rows] / temperature) @ u.T
    own = array_module(u).arange(rows.start, rows.stop)
    s[own - rows.start, own] = -math.inf
    return s
