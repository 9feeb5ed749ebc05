"""Samplers: the way back from noise to data, each a flat generator whose loop is the paper's algorithm.

All of them work on x = x₀ + σ·n. With the denoiser's D, its estimate of x₀ at the level σ, and the noise it
sees, ε = (x − D)/σ, a step to the lower level σ′ puts back less noise than there was:

    x′ = D + σ_down·ε + σ_up·n,        σ_down² + σ_up² = σ′².

Of the noise at σ′, σ_down is kept and σ_up is new: in these two numbers alone the samplers differ.

Each takes a denoiser (x, σ) → D; x at the first level; the falling levels `sigmas`, as
`NoiseScheduler.reverse_sigmas` gives them; and `noise`, a source of normal draws: noise(x) has x's shape.
Each yields x at every level it arrives at; at the last level, 0, that is D itself, the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import TypeAlias

import numpy as np

from tinygrad_lite.backend import Array, device_of, keyed_rng, to_device

Denoise: TypeAlias = Callable[[Array, float], Array]
NoiseSource: TypeAlias = Callable[[Array], Array]


def ddpm(denoiser: Denoise, x: Array, sigmas: Sequence[float], noise: NoiseSource) -> Iterator[Array]:
    """Ancestral sampling: x′ is drawn from q(x′ | x, x₀ = D) = N(D + (σ′²/σ²)·(x − D), σ′²·(1 − σ′²/σ²)).

    Source: Ho et al. 2020, arXiv:2006.11239, algorithm 2, eq. (6) and (7), with the small variance β̃.
    """
    for sigma, next_sigma in pairwise(sigmas):
        denoised = denoiser(x, sigma)
        eps = (x - denoised) / sigma
        down = next_sigma**2 / sigma
        up = next_sigma * sqrt(1 - (next_sigma / sigma) ** 2)
        x = denoised + down * eps
        if up > 0:
            x = x + up * noise(x)
        yield x


def ddim(
    denoiser: Denoise, x: Array, sigmas: Sequence[float], noise: NoiseSource | None = None, eta: float = 0.0
) -> Iterator[Array]:
    """DDIM: keep D and ε fixed and go to σ′; eta is the share of new noise: 0 draws none, 1 is `ddpm`.

    Source: Song et al. 2021, arXiv:2010.02502, eq. (12) and (16).

    Raises:
        ValueError: if eta is not from 0 to 1, or above 0 without a source of noise.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"ddim: eta needs to be from 0 to 1; got {eta}")
    if eta > 0 and noise is None:
        raise ValueError(f"ddim: eta = {eta} adds noise, and needs a source of it; got noise=None")
    for sigma, next_sigma in pairwise(sigmas):
        denoised = denoiser(x, sigma)
        eps = (x - denoised) / sigma
        up = eta * next_sigma * sqrt(1 - (next_sigma / sigma) ** 2)
        down = sqrt(next_sigma**2 - up**2)
        x = denoised + down * eps
        if noise is not None and up > 0:
            x = x + up * noise(x)
        yield x


class NoisePerSample:
    """A stream of standard normal draws for each sample, a function of (seed, the sample's index) alone.

    So it makes no difference to a sample in which batch it is computed, or beside which others.

    Args:
        seed: of all streams.
        indices: the number of each sample of the batch among all samples.
    """

    def __init__(self, seed: int, indices: Sequence[int]) -> None:
        self.streams = [keyed_rng(seed, "sample", index) for index in indices]

    def __call__(self, x: Array) -> Array:
        """The next draws of every sample's stream, with the shape, dtype and device of x (N, ...)."""
        rows = [stream.standard_normal(x.shape[1:], dtype=x.dtype) for stream in self.streams]
        return to_device(np.stack(rows), device_of(x))
