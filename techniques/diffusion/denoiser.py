"""The two halves of a trained diffusion model: predict the noise (training), denoise (sampling)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from techniques.diffusion.samplers import ddpm
from techniques.diffusion.schedule import NoiseScheduler, ReverseStep
from techniques.models.evaluate import eval_mode
from tinygrad_lite import Tensor, nn, no_grad
from tinygrad_lite.backend import Array, ambient_rng, array_module, device_of, to_device
from tinygrad_lite.tensor import TensorLike


class DiffusionModel(nn.Module):
    """A network that predicts noise, together with the scheduler that says what its times mean.

    Args:
        network: takes x_t (N, ...), a Tensor, and the arrays of times t (N,) and of labels (N,), or None for
            these; returns the noise in x_t.
        scheduler: the levels that t stands for.
    """

    def __init__(self, network: nn.Module, scheduler: NoiseScheduler) -> None:
        super().__init__()
        self.network = network
        self.scheduler = scheduler

    def forward(self, noisy_data: TensorLike, noise_level: Array, labels: Array | None = None) -> Tensor:
        """The predicted noise in x_t (N, ...) at the times t (N,), as `add_noise` gives both."""
        x_t = noisy_data if isinstance(noisy_data, Tensor) else Tensor(noisy_data)
        return self.network(x_t, noise_level, labels)

    @property
    def device(self) -> str:
        """Where the network's parameters are: "cpu" or "cuda:0"."""
        return next(self.parameters()).device

    def denoiser(
        self, labels: Array | None = None, guidance_scale: float = 1.0, clip: float | None = 1.0
    ) -> Denoiser:
        """This model as the samplers call it: (x, σ) → D; see `Denoiser`."""
        return Denoiser(
            self, None if labels is None else to_device(labels, self.device), guidance_scale, clip
        )

    def denoise(
        self,
        noise: Array,
        step: ReverseStep,
        labels: Array | None = None,
        clip: float | None = 1.0,
        rng: np.random.Generator | None = None,
    ) -> Array:
        """One ancestral (DDPM) step between the two levels of `step`, in the scaling x_t of training.

        Args:
            noise: x_t (N, ...) at the step's level; standard normal draws at the first.
            step: of the scheduler's `reverse_steps`.
            labels: classes (N,) to ask for, or None.
            clip: the bound of the data; see `Denoiser`.
            rng: where the step's new noise comes from; the ambient generator by default.

        Returns:
            x_t at the step's next level; after the last step that is the sample.
        """
        rng = ambient_rng() if rng is None else rng
        (x,) = ddpm(
            self.denoiser(labels, clip=clip),
            noise * sqrt(1 + step.sigma**2),
            (step.sigma, step.next_sigma),
            lambda x: to_device(rng.standard_normal(x.shape, dtype=x.dtype), device_of(x)),
        )
        return x / sqrt(1 + step.next_sigma**2)


@dataclass(frozen=True)
class Denoiser:
    """D(x, σ), the model's estimate of the data x₀ in x = x₀ + σ·n: arrays in, arrays out.

    The model sees x_t = x/√(1+σ²) and predicts the noise ε̂, in eval mode and without a graph; D = x − σ·ε̂.

    Args:
        model: predicts the noise.
        labels: classes (N,) to ask for, or None.
        guidance_scale: s in D = u + s·(c − u), c with the labels and u without: 1 is off and calls the
            network once a step; the paper's w is s − 1 (Ho & Salimans 2022, arXiv:2207.12598, eq. 6).
        clip: keep D within ± clip, where the data lie; the samplers' ε then follows from that D. None: off.

    Raises:
        ValueError: for a guidance scale without labels.
    """

    model: DiffusionModel
    labels: Array | None = None
    guidance_scale: float = 1.0
    clip: float | None = 1.0

    def __post_init__(self) -> None:
        if self.guidance_scale != 1 and self.labels is None:
            raise ValueError(
                f"denoiser: guidance_scale = {self.guidance_scale} leads towards classes; got no labels"
            )

    def __call__(self, x: Array, sigma: float) -> Array:
        """D, of x's shape and dtype."""
        D = self._estimate(x, sigma, self.labels)
        if self.guidance_scale != 1:
            u = self._estimate(x, sigma, None)
            D = u + self.guidance_scale * (D - u)
        return D if self.clip is None else D.clip(-self.clip, self.clip)

    def _estimate(self, x: Array, sigma: float, labels: Array | None) -> Array:
        t = array_module(x).full(len(x), self.model.scheduler.time_of(sigma), dtype=x.dtype)
        with no_grad(), eval_mode(self.model):
            predicted_noise = self.model(x / sqrt(1 + sigma**2), t, labels)
        return x - sigma * predicted_noise.data
