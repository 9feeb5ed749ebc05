"""The noise scheduler: how much noise each level has, adding it in training, and the plan of the way back.

Two scalings name the same level. Training and the network see x_t = √ᾱ·x₀ + √(1−ᾱ)·ε, and a time t from 0
(hardly any noise) to T − 1; samplers see x = x_t/√ᾱ = x₀ + σ·ε, with σ = √((1−ᾱ)/ᾱ), so that
√ᾱ = 1/√(1+σ²). Tables and look-ups are float64: in float32, 1 − ᾱ would lose four digits at t = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinygrad_lite.backend import Array, ambient_rng, device_of, is_array, to_device, to_numpy

# -- tables --------------------------------------------------------------------------------------------


def linear_schedule(num_steps: int = 1000) -> np.ndarray:
    """ᾱ (T,), float64, of the linear schedule: β rises evenly from 1e-4 to 0.02, times 1000/T.

    The factor keeps the noise at the end the same for every T. Source: Ho et al. 2020, arXiv:2006.11239,
    section 4, with T = 1000.
    """
    return _alphas_cumprod(np.linspace(1e-4, 0.02, num_steps) * 1000 / num_steps)


def cosine_schedule(num_steps: int = 1000) -> np.ndarray:
    """ᾱ (T,), float64, of the cosine schedule: ᾱ = f(t)/f(0), f(t) = cos²((t/T + 0.008)/1.008 · π/2).

    Source: Nichol & Dhariwal 2021, arXiv:2102.09672, eq. (17).
    """
    t_over_T = np.linspace(0, 1, num_steps + 1)
    f = np.cos((t_over_T + 0.008) / 1.008 * np.pi / 2) ** 2
    return _alphas_cumprod(1 - f[1:] / f[:-1])


def _alphas_cumprod(betas: np.ndarray) -> np.ndarray:
    """ᾱ_t = Π (1 − β_s) over s ≤ t; β at most 0.999, so that some of the data is left at the end."""
    return np.cumprod(1 - np.minimum(betas, 0.999))


SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}

# -- the scheduler -------------------------------------------------------------------------------------


class ReverseStep(NamedTuple):
    """One step of the way back: from the level sigma, of which the time is t, to the level next_sigma."""

    t: int
    sigma: float
    next_sigma: float


class NoiseScheduler:
    """Adds noise in training, and plans the reverse process.

    Args:
        alphas_cumprod: "cosine", "linear", or a table of ᾱ (T,) that falls, strictly between 1 and 0.
        num_steps: T, the number of levels, for a schedule by name.

    Attributes:
        alphas_cumprod: ᾱ (T,), float64.
        sigmas: σ = √((1−ᾱ)/ᾱ) (T,), float64, rising.
        num_steps: T.

    Raises:
        ValueError: for an unknown name, or another table.
    """

    def __init__(self, alphas_cumprod: str | np.ndarray = "cosine", num_steps: int = 1000) -> None:
        if isinstance(alphas_cumprod, str):
            if alphas_cumprod not in SCHEDULES:
                names = ", ".join(SCHEDULES)
                raise ValueError(f"NoiseScheduler: knows the schedules {names}; got {alphas_cumprod!r}")
            alphas_cumprod = SCHEDULES[alphas_cumprod](num_steps)
        table = np.asarray(alphas_cumprod, dtype=np.float64)
        if table.ndim != 1 or not table.size or (np.diff([1, *table, 0]) >= 0).any():
            raise ValueError(
                "NoiseScheduler: needs a table of alphas_cumprod (T,) that falls, strictly between 1 and 0 "
                f"(at 0 nothing of the data would be left); got shape {table.shape}, {_summary(table)}"
            )
        self.alphas_cumprod = table
        self.sigmas = np.sqrt((1 - table) / table)
        self.num_steps = len(table)

    def add_noise(
        self,
        data: Array,
        noise: Array | None = None,
        level: Array | int | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Array, Array]:
        """x_t = √ᾱ_t·x₀ + √(1−ᾱ_t)·ε, and the times t: (noisy_data, noise_level).

        Args:
            data: x₀ (N, ...), floats; pictures in [−1, 1].
            noise: ε, of data's shape; standard normal draws by default.
            level: the times t, (N,) integers or one for all; uniform draws by default.
            rng: what to draw from; the ambient generator by default.

        Returns:
            x_t, of data's shape and dtype, and t, int64 (N,): what the network takes.

        Raises:
            TypeError: if data is not a float array.
            ValueError: for noise of another shape, or times that are not (N,) from 0 to T − 1.
        """
        if not is_array(data) or data.dtype.kind != "f":
            got = data.dtype if is_array(data) else type(data).__name__
            raise TypeError(f"add_noise: data needs a float array, pictures from −1 to 1; got {got}")
        rng = ambient_rng() if rng is None else rng
        if level is None:
            level = rng.integers(self.num_steps, size=len(data))
        t = self._times("add_noise", level, len(data))
        if noise is None:
            noise = to_device(rng.standard_normal(data.shape).astype(data.dtype), device_of(data))
        if noise.shape != data.shape:
            raise ValueError(f"add_noise: noise needs data's shape {data.shape}; got {noise.shape}")
        signal, spread = self._coefficients(t, data)
        return signal * data + spread * noise, to_device(t, device_of(data))

    def noise_of(self, noisy_data: Array, data: Array, noise_level: Array | int) -> Array:
        """The noise that `add_noise` added: ε = (x_t − √ᾱ_t·x₀)/√(1−ᾱ_t).

        In float32 it is right to about 1e-7/√(1−ᾱ_t), which is 1e-5 at the lowest level.

        Raises:
            ValueError: for noisy_data of another shape, or times that are not (N,) from 0 to T − 1.
        """
        if noisy_data.shape != data.shape:
            raise ValueError(
                f"noise_of: noisy_data and data need one shape; got {noisy_data.shape} and {data.shape}"
            )
        signal, spread = self._coefficients(self._times("noise_of", noise_level, len(data)), data)
        return (noisy_data - signal * data) / spread

    def reverse_steps(self, n: int | None = None) -> list[ReverseStep]:
        """The way back in n steps (all T by default), from the highest level to σ = 0, exactly.

        The times are trailing: tᵢ = round(T − i·T/n) − 1, which begins at T − 1 for every n. This is the
        whole plan: whoever follows it has nothing left to compute.

        Raises:
            ValueError: unless 1 ≤ n ≤ T.
        """
        T = self.num_steps
        n = T if n is None else n
        if not 1 <= n <= T:
            raise ValueError(f"reverse_steps: n needs to be from 1 to {T}, the scheduler's levels; got {n}")
        times = [round(T * (n - i) / n) - 1 for i in range(n)]
        sigmas = [*self.sigmas[times].tolist(), 0.0]
        return [ReverseStep(t, sigmas[i], sigmas[i + 1]) for i, t in enumerate(times)]

    def reverse_sigmas(self, n: int | None = None) -> list[float]:
        """The n + 1 levels of `reverse_steps(n)`, the last 0: what a sampler takes."""
        steps = self.reverse_steps(n)
        return [steps[0].sigma, *(step.next_sigma for step in steps)]

    def time_of(self, sigma: float) -> float:
        """The time t of a level σ > 0: whole numbers for the table's levels; in between, linear in ln σ."""
        return float(np.interp(np.log(sigma), np.log(self.sigmas), np.arange(self.num_steps)))

    def _times(self, name: str, level: Array | int, size: int) -> np.ndarray:
        """`level` as int64 (size,) on the host, checked."""
        t = to_numpy(np.full(size, level) if isinstance(level, int) else level)
        if t.shape != (size,) or t.dtype.kind not in "iu" or (t < 0).any() or (t >= self.num_steps).any():
            raise ValueError(
                f"{name}: noise levels need to be ({size},) integer times from 0 to {self.num_steps - 1}; "
                f"got {t.dtype} {t.shape}, {_summary(t)}"
            )
        return t.astype(np.int64)

    def _coefficients(self, t: np.ndarray, data: Array) -> tuple[Array, Array]:
        """√ᾱ and √(1−ᾱ) at the times t, with data's dtype and device, shaped to be multiplied with data."""
        alphas_cumprod = self.alphas_cumprod[t].reshape(-1, *[1] * (data.ndim - 1))
        pair = np.sqrt([alphas_cumprod, 1 - alphas_cumprod]).astype(data.dtype)
        signal, spread = (to_device(coefficient, device_of(data)) for coefficient in pair)
        return signal, spread


def _summary(array: np.ndarray) -> str:
    return f"values from {array.min()} to {array.max()}" if array.size else "no values"
