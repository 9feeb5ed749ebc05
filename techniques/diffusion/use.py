"""What a trained diffusion model is for: drawing new samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import sqrt
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.samplers import NoisePerSample, ddim
from tinygrad_lite.backend import Array, to_device, to_numpy

Sampler: TypeAlias = Callable[..., Iterator[Array]]
"""`ddpm`, `ddim`, or another generator that takes (denoiser, x, sigmas, noise)."""


def sample(
    model: DiffusionModel,
    shape: tuple[int, ...],
    labels: np.ndarray | None = None,
    *,
    num_steps: int = 50,
    sampler: Sampler = ddim,
    guidance_scale: float = 1.0,
    clip: float | None = 1.0,
    seed: int = 0,
    batch_size: int = 256,
    progress: bool = False,
) -> np.ndarray:
    """New samples, float32 of `shape`, out of noise.

    Args:
        model: what predicts the noise; best with averaged weights, `with average.applied(): sample(...)`.
        shape: (N, ...), N samples.
        labels: the class (N,) that each is asked to have; None for any.
        num_steps: steps from noise to data, each a call of the network, or two with guidance.
        sampler: `ddim` or `ddpm`; `functools.partial(ddim, eta=0.5)` for what lies between.
        guidance_scale: above 1, more of what tells a class from the others; see `Denoiser`.
        clip: the bound of the data; see `Denoiser`.
        seed: sample i is a function of (model, seed, i), to rounding, whatever the batches are.
        batch_size: samples that are drawn at a time.
        progress: show a bar on stderr, if that is a terminal.

    Raises:
        ValueError: for labels that are not (N,), num_steps out of range, or guidance without labels.
    """
    if labels is not None and np.shape(labels) != shape[:1]:
        raise ValueError(f"sample: labels need shape {shape[:1]}, one a sample; got {np.shape(labels)}")
    sigmas = model.scheduler.reverse_sigmas(num_steps)
    bounds = [*range(0, shape[0], batch_size), shape[0]]
    hide = None if progress else True  # None: unless stderr is a terminal
    samples = []
    with tqdm(total=num_steps * (len(bounds) - 1), desc="sampling", unit="step", disable=hide) as bar:
        for first, end in pairwise(bounds):
            told = None if labels is None else labels[first:end]
            denoiser = model.denoiser(told, guidance_scale, clip)
            noise = NoisePerSample(seed, range(first, end))
            start = _pure_noise(model, noise, (end - first, *shape[1:]), sigmas[0])
            for x in sampler(denoiser, start, sigmas, noise):
                bar.update()
                final = x
            samples.append(to_numpy(final))
    return np.concatenate(samples)


def denoising_path(
    model: DiffusionModel,
    shape: tuple[int, ...],
    labels: np.ndarray | None = None,
    *,
    num_frames: int = 8,
    num_steps: int = 50,
    guidance_scale: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """How `ddim` draws samples: float32 (num_frames, *shape), from pure noise to what `sample` gives.

    The frames are states x_t = x/√(1+σ²), evenly spread over the steps; for the arguments see `sample`.

    Raises:
        ValueError: for num_steps out of range, or guidance without labels.
    """
    sigmas = model.scheduler.reverse_sigmas(num_steps)
    noise = NoisePerSample(seed, range(shape[0]))
    x = _pure_noise(model, noise, shape, sigmas[0])
    states = [x, *ddim(model.denoiser(labels, guidance_scale), x, sigmas)]
    chosen = np.linspace(0, num_steps, num_frames).round().astype(int)
    return np.stack([to_numpy(states[i]) / np.float32(sqrt(1 + sigmas[i] ** 2)) for i in chosen])


def _pure_noise(model: DiffusionModel, noise: NoisePerSample, shape: tuple[int, ...], sigma: float) -> Array:
    """Where sampling starts: x_t ~ N(0, 1), which the samplers scale to x = x_t·√(1+σ²)."""
    return noise(to_device(np.empty(shape, dtype="float32"), model.device)) * sqrt(1 + sigma**2)
