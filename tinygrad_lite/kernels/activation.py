"""Activations and their derivatives, as array expressions for NumPy and CuPy alike.

The slope of `gelu` and `tanh_gelu` has most in common with the value: given `with_slope` they return
(y, dy/dx), else (y, None).
"""

from __future__ import annotations

import math

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.kernels.erf import erf


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return array_module(x).maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """1/(1 + e⁻ˣ), from e^(−|x|)."""
    xp = array_module(x)
    z = xp.exp(-abs(x))
    return xp.where(x >= 0, 1, z) / (1 + z)


def silu(x: Array) -> Array:
    """x·σ."""
    return x * sigmoid(x)


def silu_back(grad: Array, x: Array) -> Array:
    """The gradient times σ·(1 + x·(1 − σ))."""
    s = sigmoid(x)
    return grad * s * (1 + x * (1 - s))


def gelu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """x·Φ; the slope is Φ + x·φ, with φ = e^(−x²/2)/√(2π)."""
    Phi = 0.5 * (1 + erf(x * math.sqrt(0.5)))
    if not with_slope:
        return x * Phi, None
    phi = array_module(x).exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return x * Phi, Phi + x * phi


def tanh_gelu(x: Array, with_slope: bool) -> tuple[Array, Array | None]:
    """y = x·(1 + tanh u)/2 = x·s, s = σ(2u);  the slope is s + y·(1 − s)·2·du/dx."""
    c = math.sqrt(8 / math.pi)
    s = sigmoid(c * (x + 0.044715 * x * x * x))
    y = x * s
    return y, s + y * (1 - s) * c * (1 + 3 * 0.044715 * x * x) if with_slope else None
