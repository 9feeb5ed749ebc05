"""The contrastive loss, explicit: its value, its gradient, and where they come from."""

from __future__ import annotations

import math

from tinygrad_lite import Function, Tensor, cat, exp, log_softmax, maximum, sqrt, sum, transpose, where
from tinygrad_lite.tensor import TensorLike

EPS = 1e-12  # a row shorter than this has no direction: it is divided by EPS, and gets no gradient


class NTXent(Function):
    """Normalized temperature-scaled cross-entropy of two views.

    Shapes:    z (2N, d), rows i and i±N are the two views of one sample → a scalar.
    Value:     uᵢ = zᵢ/‖zᵢ‖,  sᵢⱼ = uᵢ·uⱼ/τ,  sᵢᵢ = −∞,  P = softmax(s) by row;  L = −mean log P[i, i±N].
    Gradient:  G = (P − Y)/2N, with Y[i, i±N] = 1        cross-entropy through the softmax
               g = (G + Gᵀ)·u/τ                          s holds u on both sides
               ∂L/∂zᵢ = (gᵢ − uᵢ(uᵢ·gᵢ))/‖zᵢ‖            what points along uᵢ cannot turn uᵢ
    Numerics:  sᵢᵢ is masked before the softmax, never subtracted after it; the largest of each row of s is
               taken out before the exponential.
    Known:     equal rows give log(2N − 1); the length of a row does not matter.
    Source:    Chen et al. 2020, arXiv:2002.05709, equation (1).
    """

    private = ("norm", "u", "P")

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, z):
        rows = self.xp.arange(z.shape[0])
        self.partner = (rows + z.shape[0] // 2) % z.shape[0]
        self.diagonal, self.Y = rows[:, None] == rows, self.partner[:, None] == rows
        self.norm = self.length(z)
        self.u = z / self.norm
        s = (self.u / self.temperature) @ self.u.T
        s[rows, rows] = -math.inf
        s -= s.max(axis=1, keepdims=True)
        matched = s[rows, self.partner]
        self.P = self.xp.exp(s, out=s)  # P takes the memory of s: one array of 2N × 2N is enough
        Z = self.P.sum(axis=1, keepdims=True)
        self.P /= Z
        return (self.xp.log(Z[:, 0]) - matched).mean()

    def backward(self, grad, z):
        norm = self.length(z)
        u = z / norm
        P = exp(self.log_probabilities(u))
        G = (P - self.Y) / z.shape[0]
        g = (G + transpose(G, 0, 1)) @ u / self.temperature
        dz = (g - u * sum(u * g, 1, keepdim=True)) / norm
        return grad * where(norm > EPS, dz, 0)

    def backward_fused(self, grad):
        u, P = self.u, self.P
        g = P @ u
        g += P.T @ u
        g -= 2 * u[self.partner]  # (Y + Yᵀ)·u, for Y is symmetric
        g *= grad / (len(u) * self.temperature)
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
    return NTXent(temperature)(cat([z1, z2]))
