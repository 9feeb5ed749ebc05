"""Attention for NumPy: what `kernels/attention.py` computes, in blocks of heads that stay in the cache.

What makes it fast:

- P is kept as E = eˢ and w = 1/Σ E, a number for each query: o and g, which are shorter, are multiplied by w
  instead, and most rows need no maximum (`exponentials`).
- Keys and values are copied transposed, a block at a time, for small products of a row by a column take BLAS
  1.6 times as long as those of a row by a row.
- Views of heads are taken as they are, and the results lie in memory as the queries, keys and values do, so
  merging the heads copies nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lite.kernels import attention as plain
from tinygrad_lite.kernels.cpu.softmax import exponentials
from tinygrad_lite.kernels.matmul import rows_of
from tinygrad_lite.threads import in_runs, slices

BLOCK = 1 << 18  # weights, at a time
PASSES = 4  # over the weights, beside the products


def attend(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    bias: np.ndarray | None,
    is_open: np.ndarray | None,
    scale: float,
    Z: np.ndarray | None,
) -> tuple[np.ndarray, Any]:
    """o = (P∘Z)·V, P = softmax(scale·Q·Kᵀ + bias); and what `gradients` takes of this: here E and w."""
    if q.dtype == "float16":  # in which E·V could overflow where P·V does not
        return plain.attend(q, k, v, bias, is_open, scale, Z)
    if bias is not None:
        bias = np.broadcast_to(bias, (*q.shape[:-1], k.shape[-2]))
    if is_open is not None:
        is_open = np.broadcast_to(is_open, (*q.shape[:-1], 1))
    axis = _longest(q)
    q, k, v, bias, is_open, Z = (_to_front(x, axis) for x in (q, k, v, bias, is_open, Z))
    E = np.empty((*q.shape[:-1], k.shape[-2]), q.dtype)
    w = np.empty((*q.shape[:-1], 1), q.dtype)
    o = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))

    def run(start: int, stop: int) -> None:
        for block in _blocks(start, stop, E):
            K = _transposed(k[block])
            K *= scale
            S = q[block] @ K
            if bias is not None:
                S += bias[block]
            e = E[block]
            totals = exponentials(rows_of(S), out=rows_of(e))
            np.divide(
                1 if is_open is None else is_open[block], totals.reshape(*S.shape[:-1], 1), out=w[block]
            )
            np.matmul(e if Z is None else np.multiply(e, Z[block], out=S), v[block], out=o[block])
            o[block] *= w[block]

    in_runs(run, len(E), E.size * (q.shape[-1] + v.shape[-1] + 8 * PASSES))
    return _from_front(o, axis), (E, w)


def gradients(
    g: np.ndarray,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    o: np.ndarray,
    kept: Any,
    scale: float,
    Z: np.ndarray | None,
    needs_bias: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """(dq, dk, dv, dS), the last for the bias, of which it is the gradient before it is summed."""
    if q.dtype == "float16":
        return plain.gradients(g, q, k, v, o, kept, scale, Z, needs_bias)
    axis = _longest(q)
    g, q, k, v, o, Z = (_to_front(x, axis) for x in (g, q, k, v, o, Z))
    E, w = kept
    dq, dk, dv, dS = (np.empty_like(x) for x in (q, k, v, E if needs_bias else E[:0]))

    def run(start: int, stop: int) -> None:
        for block in _blocks(start, stop, E):
            G = g[block] * w[block]
            ds = np.matmul(G, _transposed(v[block]), out=dS[block] if needs_bias else None)
            e = E[block]
            if Z is not None:
                ds *= Z[block]
            ds -= np.vecdot(G, o[block])[..., None]
            ds *= e
            np.matmul((e if Z is None else e * Z[block]).swapaxes(-1, -2), G, out=dv[block])
            np.matmul(ds, k[block], out=dq[block])
            np.matmul(ds.swapaxes(-1, -2), q[block], out=dk[block])
            dq[block] *= scale
            dk[block] *= scale

    in_runs(run, len(E), E.size * (3 * q.shape[-1] + 2 * v.shape[-1] + 8 * PASSES))
    dq, dk, dv, dS = (_from_front(x, axis) for x in (dq, dk, dv, dS if needs_bias else None))
    return dq, dk, dv, dS


# -- batches ---------------------------------------------------------------------------------------------


def _longest(q: np.ndarray) -> int | None:
    """The longest dimension of the batch of q (…, L, E), which is cut into blocks; None for one matrix."""
    return max(range(q.ndim - 2), key=lambda d: q.shape[d], default=None)


def _to_front(x: Any, axis: int | None) -> Any:
    """An array, with that dimension first, as a view; or None."""
    return x if x is None else x[None] if axis is None else x.swapaxes(0, axis)


def _from_front(x: Any, axis: int | None) -> Any:
    """What `_to_front` gave, as it was."""
    return x if x is None else x[0] if axis is None else x.swapaxes(0, axis)


def _blocks(start: int, stop: int, E: np.ndarray) -> Iterator[slice]:
    """Slices of start … stop with about BLOCK weights in each."""
    return slices(start, stop, max(1, BLOCK * len(E) // max(1, E.size)))


def _transposed(x: np.ndarray) -> np.ndarray:
    """(…, n, m) → (…, m, n), copied."""
    return x.swapaxes(-1, -2).copy()
