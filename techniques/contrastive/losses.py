"""The contrastive loss, explicit: its value, its gradient, and where they come from."""

from __future__ import annotations

import math

from techniques.contrastive.kernels import log_sums, weighted_rows
from tinygrad_lite import Function, Tensor, cat, exp, log_softmax, maximum, sqrt, sum, transpose, where
from tinygrad_lite.backend import python_number
from tinygrad_lite.tensor import TensorLike

EPS = 1e-12  # a row shorter than this has no direction: it is divided by EPS, and gets no gradient


class NTXent(Function):
    """Normalized temperature-scaled cross-entropy of two views.

    Shapes:    z (2N, d), rows i and i±N are the two views of one sample → a scalar.
    Value:     uᵢ = zᵢ/‖zᵢ‖,  sᵢⱼ = uᵢ·uⱼ/τ,  sᵢᵢ = −∞,  P = softmax(s) by row;  L = −mean log P[i, i±N].
    Gradient:  G = (P − Y)/2N, with Y[i, i±N] = 1        cross-entropy through the softmax
               g = (G + Gᵀ)·u/τ                          s holds u on both sides
               ∂L/∂zᵢ = (gᵢ − uᵢ(uᵢ·gᵢ))/‖zᵢ‖            what points along uᵢ cannot turn uᵢ
    Numerics:  sᵢᵢ is masked, never subtracted after the sum. Neither s nor P is kept: blocks of them are
               made forward, for the sums, and again in the fused backward; see `kernels.py`.
    Known:     equal rows give log(2N − 1); the length of a row does not matter.
    Source:    Chen et al. 2020, arXiv:2002.05709, equation (1).
    """

    private = ("norm", "u", "lse")

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, z):
        self.num_rows, n = len(z), len(z) // 2
        self.norm = self.length(z)
        self.u = z / self.norm
        self.lse = log_sums(self.u, self.temperature)
        matched = (self.u[:n] * self.u[n:]).sum(axis=1)  # s[i, i±N]·τ, the same for both
        return self.lse.mean() - matched.mean() / self.temperature

    def backward(self, grad, z):
        norm = self.length(z)
        u = z / norm
        P, Y = exp(self.log_probabilities(u)), self.partners
        G = (P - Y) / z.shape[0]
        g = (G + transpose(G, 0, 1)) @ u / self.temperature
        dz = (g - u * sum(u * g, 1, keepdim=True)) / norm
        return grad * where(norm > EPS, dz, 0)

    def backward_fused(self, grad):
        u, n = self.u, self.num_rows // 2
        g = weighted_rows(u, self.lse, self.temperature)
        g -= 2 * self.xp.roll(u, n, axis=0)  # (Y + Yᵀ)·u, for Y is symmetric
        g *= grad / (2 * n * self.temperature)
        g -= u * (u * g).sum(axis=1, keepdims=True)
        g /= self.norm
        return self.xp.where(self.norm > EPS, g, 0)

    def length(self, z):
        """‖zᵢ‖, but at least EPS: (2N, 1)."""
        return sqrt(maximum(sum(z * z, 1, keepdim=True), EPS**2))

    def log_probabilities(self, u):
        """Log P: (2N, 2N), −∞ on the diagonal."""
        s = u @ transpose(u, 0, 1) / self.temperature
        return log_softmax(where(self.diagonal, -math.inf, s), 1)

    @property
    def diagonal(self):
        """Where j = i: (2N, 2N)."""
        rows = self.xp.arange(self.num_rows)
        return rows[:, None] == rows

    @property
    def partners(self):
        """Where j = i±N: (2N, 2N)."""
        return self.xp.roll(self.diagonal, self.num_rows // 2, axis=1)


def nt_xent(z1: TensorLike, z2: TensorLike, temperature: float = 0.5) -> Tensor:
    """NT-Xent of two views: each row must find the other view of its sample among all 2N − 1 other rows.

    Args:
        z1: (N, d), the projections of the first views; their lengths do not matter.
        z2: (N, d), those of the second views of the same samples, in the same order.
        temperature: τ > 0; low ones push harder against the nearest wrong rows.

    Returns:
        The mean over all 2N rows.

    Raises:
        ValueError: unless both are 2-D, of one shape, with at least one row; for τ ≤ 0.
    """
    shapes = tuple(z1.shape), tuple(z2.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][0] == 0:
        raise ValueError(
            f"nt_xent: needs two views (N, d) of the same N samples; got {shapes[0]} and {shapes[1]}"
        )
    if not temperature > 0:
        raise ValueError(f"nt_xent: temperature must be positive; got {temperature}")
    return NTXent(python_number(temperature))(cat([z1, z2]))
