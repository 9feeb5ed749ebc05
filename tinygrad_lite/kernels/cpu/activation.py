"""Activations for NumPy: what `kernels/activation.py` computes, in blocks and in place.

What they take, in ns an element of a million in float32 on one core with AVX-512, and what the plain ones do:
relu 0.12 (0.37), sigmoid 0.8 (5.2), silu 0.9 (5.1), silu_back 1.5 (5.9); gelu with slope 3.2 (11), tanh_gelu
with slope 2.2 (7.3).
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lite.kernels import activation as plain
from tinygrad_lite.kernels.cpu.blocks import in_blocks

# Far out e^(−x) is infinite, and 1/(1 + ∞) is the 0 that is right: no pass is spent on keeping x in bounds.
_without_warnings = np.errstate(over="ignore", invalid="ignore")


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), as a clip: with numbers as bounds it takes a third of the time of NumPy's maximum."""
    return x.clip(0, math.inf)


@_without_warnings
def sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + e⁻ˣ)."""
    (y,) = in_blocks(_sigmoid, x, passes=8)
    return y


def _sigmoid(x: np.ndarray, y: np.ndarray) -> None:
    np.negative(x, out=y)
    _turn_into_logistic(y)


def _turn_into_logistic(z: np.ndarray) -> None:
    """1/(1 + eᶻ)."""
    np.exp(z, out=z)
    z += 1
    np.divide(1, z, out=z)


@_without_warnings
def silu(x: np.ndarray) -> np.ndarray:
    """x/(1 + e⁻ˣ)."""
    (y,) = in_blocks(_silu, x, passes=7)
    return y


def _silu(x: np.ndarray, y: np.ndarray) -> None:
    np.negative(x, out=y)
    np.exp(y, out=y)
    y += 1
    np.divide(x, y, out=y)


@_without_warnings
def silu_back(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient times σ·(1 + x·(1 − σ)).

    Computed anew: to keep σ from the forward would halve the time, for as much memory again as x takes.
    """
    (dx,) = in_blocks(_silu_back, x, grad, passes=13, scratch=1)
    return dx


def _silu_back(x: np.ndarray, grad: np.ndarray, dx: np.ndarray, s: np.ndarray) -> None:
    _sigmoid(x, s)
    np.subtract(1, s, out=dx)
    dx *= x
    dx += 1
    dx *= s
    dx *= grad


# -- those that keep their slope, which has most in common with the value --------------------------------


@_without_warnings
def gelu(x: np.ndarray, with_slope: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """x·Φ; the slope is Φ + x·φ.

    In float32 Φ(x) = 1/(1 + e^(x·T(x²))), with a rational T by which Φ and x·Φ err by less than 2e-7.
    """
    if x.dtype == np.float64:
        return plain.gelu(x, with_slope)
    if with_slope:
        y, slope = in_blocks(_gelu_and_slope, x, passes=22, results=2, scratch=2)
        return y, slope
    (y,) = in_blocks(_gelu, x, passes=17, scratch=2)
    return y, None


# T(u) = T0 + T1·u + B1/(u + A1 + B2/(u + A2)), as a continued fraction: a division costs no more than a
# product, and gives two degrees instead of one. Fitted to log((1 − Φ)/Φ)/x at u = x² for |x| ≤ 6, so that
# the largest error of Φ and x·Φ is least: least squares, weighted anew by the errors until they are even.
T0, T1 = -2.458988297, -0.03491354557
B1, A1 = 8.175864789, -10.12936673
B2, A2 = 655.7485857, 33.45525400


def _gelu(x: np.ndarray, y: np.ndarray, u: np.ndarray, Phi: np.ndarray) -> None:
    np.multiply(x, x, out=u)
    np.add(u, A2, out=Phi)
    np.divide(B2, Phi, out=Phi)
    Phi += A1
    Phi += u
    np.divide(B1, Phi, out=Phi)
    Phi += T0
    np.multiply(u, T1, out=y)
    Phi += y
    Phi *= x
    _turn_into_logistic(Phi)
    np.multiply(x, Phi, out=y)


def _gelu_and_slope(x: np.ndarray, y: np.ndarray, slope: np.ndarray, u: np.ndarray, Phi: np.ndarray) -> None:
    _gelu(x, y, u, Phi)
    u *= -0.5
    u -= math.log(math.sqrt(2 * math.pi))
    np.exp(u, out=u)  # φ
    u *= x
    np.add(Phi, u, out=slope)


@_without_warnings
def tanh_gelu(x: np.ndarray, with_slope: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """y = x·(1 + tanh v)/2 = x·s, s = σ(2v);  the slope is s + y·(1 − s)·2·dv/dx."""
    if with_slope:
        y, slope = in_blocks(_tanh_gelu_and_slope, x, passes=19, results=2, scratch=2)
        return y, slope
    (y,) = in_blocks(_tanh_gelu, x, passes=12, scratch=2)
    return y, None


C = math.sqrt(8 / math.pi)  # 2v = C·x·(1 + CUBIC·x²)
CUBIC = 0.044715


def _tanh_gelu(x: np.ndarray, y: np.ndarray, u: np.ndarray, s: np.ndarray) -> None:
    np.multiply(x, x, out=u)
    np.multiply(u, -C * CUBIC, out=s)
    s -= C
    s *= x
    _turn_into_logistic(s)
    np.multiply(x, s, out=y)


def _tanh_gelu_and_slope(
    x: np.ndarray, y: np.ndarray, slope: np.ndarray, u: np.ndarray, s: np.ndarray
) -> None:
    _tanh_gelu(x, y, u, s)
    u *= 3 * C * CUBIC
    u += C
    u *= y
    np.subtract(1, s, out=slope)
    slope *= u
    slope += s
