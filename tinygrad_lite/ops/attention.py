"""Attention: for each query the mean of the values, weighted by how well their keys fit it."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.backend import Array, ambient_rng, array_module, broadcasts_to, device_of
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import attention as plain
from tinygrad_lite.kernels.cpu import attention as cpu
from tinygrad_lite.ops.arguments import array_of, check_one_dtype, choice_of
from tinygrad_lite.ops.elementwise import to, where
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.ops.shape import sum_to_size, transpose
from tinygrad_lite.ops.softmax import softmax
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


class Attention(Function):
    """O = P·V, P = softmax(c·Q·Kᵀ + B) by row: how much each of L queries takes from each of S values.

    With dropout P is multiplied, elementwise, by Z before it meets V: 0, or 1 over the share that is kept.

    Gradient:  ∂L/∂V = (P∘Z)ᵀ·G,  dP = (G·Vᵀ)∘Z,  dS = P∘(dP − rowsum(P∘dP)),  rowsum(P∘dP) = rowsum(O∘G),
               ∂L/∂Q = c·dS·K,  ∂L/∂K = c·dSᵀ·Q,  ∂L/∂B = dS.
    Numerics:  a query to which every key is closed gets zeros, and gives no gradient.
    Shapes:    Q (…, L, E), K (…, S, E), V (…, S, D), B what broadcasts to (…, L, S), or None → (…, L, D).
    Source:    Vaswani et al. 2017, arXiv:1706.03762, eq. (1).
    """

    private = ("weights",)

    def __init__(self, scale: float, is_open: Array | None, kept: Array | None, dropout_p: float) -> None:
        self.scale, self.is_open = scale, is_open
        self.kept, self.gain = kept, 1 / (1 - dropout_p) if dropout_p < 1 else 0.0

    def forward(self, q, k, v, bias):
        kernels, Z = _kernels(q), self.multipliers(q.dtype)
        output, self.weights = kernels.attend(q, k, v, bias, self.is_open, self.scale, Z)
        return output

    def backward(self, grad, q, k, v, bias, output):
        S = (q * self.scale) @ transpose(k, -1, -2)
        P = softmax(S if bias is None else S + bias, -1)
        P = P if self.is_open is None else P * self.is_open
        Z = 1 if self.kept is None else self.multipliers(q.dtype)
        dv = transpose(P * Z, -1, -2) @ grad
        dP = grad @ transpose(v, -1, -2) * Z
        dS = P * (dP - sum(output * grad, -1, keepdim=True))
        dq, dk = dS @ k * self.scale, transpose(dS, -1, -2) @ q * self.scale
        return dq, dk, dv, sum_to_size(dS, bias.shape) if self.needs_input_grad[3] else None

    def backward_fused(self, grad, q, k, v, bias, output):
        needs_bias = self.needs_input_grad[3]
        dq, dk, dv, dS = _kernels(grad).gradients(
            grad, q, k, v, output, self.weights, self.scale, self.multipliers(grad.dtype), needs_bias
        )
        return dq, dk, dv, sum_to_size(dS, bias.shape) if needs_bias else None

    def multipliers(self, dtype):
        """By what dropout multiplies the weights; None where there is none."""
        return None if self.kept is None else to(self.kept, dtype) * self.gain


def scaled_dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale·Q·Kᵀ + mask)·V: (…, L, E), (…, S, E), (…, S, D) → (…, L, D).

    Args:
        query: (…, L, E), what is looked for.
        key: (…, S, E), what each value is found by.
        value: (…, S, D).
        attn_mask: of a shape that broadcasts to (…, L, S). Booleans: true where a query may take from a
            value. Floats: added to scale·Q·Kᵀ.
        dropout_p: the share of weights that are set to 0, while the others are divided by 1 − dropout_p.
        is_causal: whether query i may take from keys 0 … i only, instead of `attn_mask`.
        scale: 1/√E by default.

    Raises:
        ValueError: for shapes that do not fit, both a mask and is_causal, or dropout_p outside 0 … 1.
        TypeError: for a mask of integers; for query, key and value of several dtypes.
    """
    _check_shapes(query, key, value)
    shape = (*query.shape[:-1], key.shape[-2])
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"{OP}: dropout_p is a probability, from 0 to 1; got {dropout_p}")
    if is_causal and attn_mask is not None:
        raise ValueError(f"{OP}: takes attn_mask or is_causal=True, not both")
    xp = array_module(array_of(query))
    if is_causal:
        attn_mask = xp.arange(shape[-2])[:, None] >= xp.arange(shape[-1])
    bias, is_open = (None, None) if attn_mask is None else _bias(attn_mask, shape, query.dtype)
    kept = ambient_rng(xp).random(shape, dtype="float32") >= dropout_p if dropout_p > 0 else None
    c = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return Attention(c, is_open, kept, dropout_p)(query, key, value, bias)


OP = "scaled_dot_product_attention"


def _bias(mask: TensorLike, shape: tuple[int, ...], dtype: Any) -> tuple[TensorLike, Array | None]:
    """What to add to the logits of `shape`; and which queries have a key that is open, None if all have.

    Where the mask is closed that is so low that the softmax is 0, but finite, since ∞ − ∞ is not defined.
    """
    if mask.ndim == 0 or not broadcasts_to(tuple(mask.shape), shape):
        raise ValueError(f"{OP}: attn_mask needs a shape that broadcasts to {shape}; got {tuple(mask.shape)}")
    array = array_of(mask)
    if array.dtype.kind not in "bf":
        raise TypeError(f"{OP}: attn_mask is made of booleans or floats; got dtype {array.dtype}")
    xp = array_module(array)
    takes_part = array if array.dtype == bool else array > -math.inf
    added = xp.zeros((), dtype=dtype) if array.dtype == bool else to(mask, dtype)
    bias = where(takes_part, added, float(xp.finfo(dtype).min) / 2)
    is_open = takes_part.any(axis=-1, keepdims=True)
    all_known_open = device_of(is_open) == "cpu" and bool(is_open.all())
    return bias, None if all_known_open else is_open


def _check_shapes(query: TensorLike, key: TensorLike, value: TensorLike) -> None:
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if min(len(q), len(k), len(v)) < 2 or k != (*q[:-2], k[-2], q[-1]) or v[:-1] != k[:-1]:
        raise ValueError(
            f"{OP}: needs query (…, L, E), key (…, S, E), value (…, S, D) with equal leading dimensions; got "
            f"{q}, {k}, {v}"
        )
    if 0 in k[-2:]:
        raise ValueError(f"{OP}: needs at least one key, of length 1 or more; got key {k}")
    check_one_dtype(OP, query=query, key=key, value=value)
