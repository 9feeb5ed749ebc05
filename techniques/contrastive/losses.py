"""The contrastive loss, explicit: its value, its gradient, and where they come from."""

from __future__ import annotations

import math

from tinygrad_lite import Function, Tensor, cat, exp, log_softmax, maximum, sqrt, sum, transpose, where

EPS = 1e-12  # a row shorter than this has no direction: it is divided by EPS, and gets no gradient


class NTXent(Function):
    """Normalized temperature-scaled cross-entropy of two views.

    Value:     uᵢ = zᵢ/‖zᵢ‖,  sᵢⱼ = uᵢ·uⱼ/τ,  sᵢᵢ = −∞,  P = softmax(s) by row;  L = −mean log P[i, i±N].
    Gradient:  G = (P − Y)/2N, with Y[i, i±N] = 1        cross-entropy through the softmax
               g = (G + Gᵀ)·u/τ                          s holds u on both sides
               ∂L/∂zᵢ = (gᵢ − uᵢ(uᵢ·gᵢ))/‖zᵢ‖            what points along uᵢ cannot turn uᵢ
    Numerics:  sᵢᵢ is masked before the softmax, never subtracted after it.
    Shapes:    z (2N, d), rows i and i+N are the two views of one sample → a scalar.
    Known:     equal rows give log(2N − 1); the length of a row does not matter.
    Source:    Chen et al. 2020, arXiv:2002.05709, equation (1).
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, z):
        rows = self.xp.arange(z.shape[0])
        self.diagonal = rows[:, None] == rows
        self.Y = (rows[:, None] + z.shape[0] // 2) % z.shape[0] == rows
        return -sum(where(self.Y, self.log_probabilities(z), 0)) / z.shape[0]

    def backward(self, grad, z):
        norm = self.length(z)
        u = z / norm
        P = exp(self.log_probabilities(z))
        G = (P - self.Y) / z.shape[0]
        g = (G + transpose(G, 0, 1)) @ u / self.temperature
        dz = (g - u * sum(u * g, 1, keepdim=True)) / norm
        return grad * where(norm > EPS, dz, 0)

    def length(self, z):
        """‖zᵢ‖, but at least EPS: (2N, 1)."""
        return sqrt(maximum(sum(z * z, 1, keepdim=True), EPS**2))

    def log_probabilities(self, z):
        """Log P: (2N, 2N), −∞ on the diagonal."""
        u = z / self.length(z)
        s = u @ transpose(u, 0, 1) / self.temperature
        return log_softmax(where(self.diagonal, -math.inf, s), 1)


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
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
    if temperature <= 0:
        raise ValueError(f"nt_xent: temperature must be positive; got {temperature}")
    return NTXent(temperature)(cat([z1, z2]))
