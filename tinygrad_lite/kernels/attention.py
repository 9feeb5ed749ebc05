"""Attention and its gradients, as array expressions for NumPy and CuPy.

`kernels/cpu/attention.py` has the same functions for NumPy, in blocks of heads.

    q (…, L, E), k (…, S, E), v (…, S, D)   queries, keys, values
    bias                                    what broadcasts to (…, L, S), or None
    is_open                                 what broadcasts to (…, L, 1), false where no key is open; or None
    Z (…, L, S)                             by what dropout multiplies the weights, or None
    o, g (…, L, D)                          the output, and a gradient of its shape
"""

from __future__ import annotations

from typing import Any

from tinygrad_lite.backend import Array
from tinygrad_lite.kernels.softmax import softmax, total


def attend(
    q: Array, k: Array, v: Array, bias: Array | None, is_open: Array | None, scale: float, Z: Array | None
) -> tuple[Array, Any]:
    """o = (P∘Z)·V, P = softmax(scale·Q·Kᵀ + bias); and what `gradients` takes of this: here P."""
    S = (q * scale) @ k.swapaxes(-1, -2)
    P = softmax(S if bias is None else S + bias, -1)
    if is_open is not None:
        P = P * is_open
    return (P if Z is None else P * Z) @ v, P


def gradients(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    o: Array,
    kept: Any,
    scale: float,
    Z: Array | None,
    needs_bias: bool,
) -> tuple[Array, Array, Array, Array | None]:
    """(dq, dk, dv, dS), the last for the bias, of which it is the gradient before it is summed."""
    P, dP = kept, g @ v.swapaxes(-1, -2)
    dv = (P if Z is None else P * Z).swapaxes(-1, -2) @ g
    dS = P * ((dP if Z is None else dP * Z) - total(o * g, -1))
    return dS @ k * scale, dS.swapaxes(-1, -2) @ q * scale, dv, dS if needs_bias else None
