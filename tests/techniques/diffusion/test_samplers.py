"""The samplers, where the exact denoiser is known: against their papers' own formulas, and in the limit."""

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from techniques.diffusion.samplers import NoisePerSample, ddim, ddpm
from techniques.diffusion.schedule import NoiseScheduler

SCHEDULES = ["linear", "cosine"]


def gaussian_denoiser(mean, std):
    """E[x₀ | x₀ + σ·n = x] of data N(mean, std²), independent in every dimension."""
    return lambda x, sigma: mean + std**2 / (std**2 + sigma**2) * (x - mean)


def curved_denoiser(x, sigma):
    """Anything smooth that is not linear, to compare two formulas on."""
    return np.tanh(x / (1 + sigma)) + 0.1 * np.sin(x)


class Recorded:
    """A source of noise that keeps what it gave."""

    def __init__(self, rng):
        self.rng, self.draws = rng, []

    def __call__(self, x):
        self.draws.append(self.rng.standard_normal(x.shape))
        return self.draws[-1]


def last(states):
    *_, x = states
    return x


def levels(n, low=0.02, high=20.0):
    """n + 1 falling levels, dense at the low end, without a final 0."""
    return (np.linspace(high ** (1 / 7), low ** (1 / 7), n + 1) ** 7).tolist()


def rough(sigmas):
    """The same ends, in steps of ln σ that are in turn 1, 3 and 0.3 long."""
    steps = np.resize([1, 3, 0.3], len(sigmas) - 1)
    share = np.concatenate([[0], np.cumsum(steps)]) / steps.sum()
    return np.exp(np.log(sigmas[0]) + share * np.log(sigmas[-1] / sigmas[0])).tolist()


# -- the papers' own formulas, in their scaling x_t = √ᾱ·x₀ + √(1−ᾱ)·ε -----------------------------------


def by_ddpm(denoiser, x_t, alphas_cumprod, draws):
    """DDPM's equations 6 and 7 between the given levels; each draw is used in turn."""
    draws = iter(draws)
    for a, next_a in pairwise(alphas_cumprod):
        x0 = denoiser(x_t / np.sqrt(a), np.sqrt((1 - a) / a))
        alpha = a / next_a
        beta = 1 - alpha
        mean = (np.sqrt(next_a) * beta * x0 + np.sqrt(alpha) * (1 - next_a) * x_t) / (1 - a)
        x_t = mean + (np.sqrt(beta * (1 - next_a) / (1 - a)) * next(draws) if next_a < 1 else 0)
    return x_t


def by_ddim(denoiser, x_t, alphas_cumprod, draws, eta):
    """DDIM's equations 12 and 16."""
    draws = iter(draws)
    for a, next_a in pairwise(alphas_cumprod):
        x0 = denoiser(x_t / np.sqrt(a), np.sqrt((1 - a) / a))
        eps = (x_t - np.sqrt(a) * x0) / np.sqrt(1 - a)
        s = eta * np.sqrt((1 - next_a) / (1 - a)) * np.sqrt(1 - a / next_a)
        x_t = np.sqrt(next_a) * x0 + np.sqrt(1 - next_a - s**2) * eps
        x_t = x_t + (s * next(draws) if s > 0 else 0)
    return x_t


def plan(schedule, n, num_steps=50):
    """A sampler's levels, and the same levels as ᾱ."""
    scheduler = NoiseScheduler(schedule, num_steps)
    times = [step.t for step in scheduler.reverse_steps(n)]
    return scheduler.reverse_sigmas(n), [*scheduler.alphas_cumprod[times], 1.0]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("n", [1, 7, 50])
class TestPapers:
    def test_ddpm_is_the_posterior_of_equations_6_and_7(self, schedule, n, rng):
        sigmas, alphas_cumprod = plan(schedule, n)
        noise, x_t = Recorded(rng), rng.standard_normal((5, 3))
        x = last(ddpm(curved_denoiser, x_t * np.sqrt(1 + sigmas[0] ** 2), sigmas, noise))
        assert len(noise.draws) == n - 1
        expected = by_ddpm(curved_denoiser, x_t, alphas_cumprod, noise.draws)
        np.testing.assert_allclose(x, expected, rtol=1e-11, atol=1e-11)

    @pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
    def test_ddim_is_equations_12_and_16(self, schedule, n, eta, rng):
        sigmas, alphas_cumprod = plan(schedule, n)
        noise, x_t = Recorded(rng), rng.standard_normal((5, 3))
        x = last(ddim(curved_denoiser, x_t * np.sqrt(1 + sigmas[0] ** 2), sigmas, noise, eta))
        expected = by_ddim(curved_denoiser, x_t, alphas_cumprod, noise.draws, eta)
        np.testing.assert_allclose(x, expected, rtol=1e-11, atol=1e-11)

    def test_ddim_with_eta_1_is_ddpm(self, schedule, n, rng):
        sigmas, _ = plan(schedule, n)
        x = rng.standard_normal((5, 3)) * sigmas[0]
        runs = [
            list(sampler(curved_denoiser, x, sigmas, Recorded(np.random.default_rng(1)), **options))
            for sampler, options in [(ddpm, {}), (ddim, {"eta": 1.0})]
        ]
        np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12, atol=1e-12)


def test_ddim_without_noise_is_eulers_method_for_the_probability_flow(rng):
    """dx/dσ = (x − D)/σ."""
    sigmas = [*levels(9), 0.0]
    x = euler = rng.standard_normal((5, 3)) * sigmas[0]
    for sigma, next_sigma in pairwise(sigmas):
        euler = euler + (next_sigma - sigma) * (euler - curved_denoiser(euler, sigma)) / sigma
    np.testing.assert_allclose(last(ddim(curved_denoiser, x, sigmas)), euler, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spacing", [levels, lambda n: rough(levels(n))])
def test_ddims_error_halves_when_its_steps_double(spacing, rng):
    """On Gaussian data the flow's end is exact: distances from the mean shrink by √((s²+σ₁²)/(s²+σ₀²))."""
    mean, std = rng.standard_normal(4), np.array([0.1, 0.5, 1.0, 3.0])
    errors = []
    for n in (96, 192, 384):
        sigmas = spacing(n)
        x = mean + 20 * np.array([[1.0], [-0.5]])
        shrink = np.sqrt((std**2 + sigmas[-1] ** 2) / (std**2 + sigmas[0] ** 2))
        end = last(ddim(gaussian_denoiser(mean, std), x, sigmas))
        errors.append(np.abs(end - mean - shrink * (x - mean)).max())
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.08)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.04)


# -- how much the output varies: on Gaussian data a sampler is linear, so impulses tell exactly -----------


class Impulses:
    """A source of noise whose k-th draw, from 1 on, is 1 in row k and 0 elsewhere."""

    def __init__(self):
        self.draws = 0

    def __call__(self, x):
        self.draws += 1
        return (np.arange(len(x)) == self.draws).astype(x.dtype)


def output_std(sampler, denoiser, sigmas):
    """√(Σ w²), w the outputs for a unit impulse of the start (in row 0) and of each draw."""
    x = np.zeros(len(sigmas))
    x[0] = sigmas[0]
    return float(np.sqrt((last(sampler(denoiser, x, sigmas, Impulses())) ** 2).sum()))


ANCESTRAL = [ddpm, lambda *args: ddim(*args, eta=1.0), lambda *args: ddim(*args, eta=0.5)]


@pytest.mark.parametrize("sampler", [*ANCESTRAL, ddim])
def test_noise_around_one_point_has_the_std_of_the_level(sampler):
    """Where all data are one point, D is exact, and at every level the noise has that level's std."""
    sigmas = [20.0, 5.0, 4.9, 1.0, 0.3]
    assert output_std(sampler, gaussian_denoiser(0, 0), sigmas) == pytest.approx(0.3, rel=1e-12)


@pytest.mark.parametrize("sampler", [*ANCESTRAL, ddim])
@pytest.mark.parametrize("std", [0.1, 1.0])
def test_with_many_steps_the_output_has_the_std_of_the_data(sampler, std):
    sigmas = [*levels(400, low=0.002), 0.0]
    assert output_std(sampler, gaussian_denoiser(0, std), sigmas) == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("sampler", [*ANCESTRAL, ddim])
def test_few_steps_make_it_too_small(sampler):
    """A first-order step is too smooth."""
    sigmas = [*levels(10, low=0.002, high=80), 0.0]
    assert 0.5 < output_std(sampler, gaussian_denoiser(0, 0.5), sigmas) / 0.5 < 0.85


def test_a_mixtures_modes_keep_their_weights():
    """Three modes with an exact denoiser; the start's quantiles stand for random draws."""
    modes, weights, std = np.array([-1.0, 0.0, 1.0]), np.array([0.5, 0.2, 0.3]), 0.05

    def denoiser(x, sigma):
        variance = std**2 + sigma**2
        density = weights * np.exp(-((x[:, None] - modes) ** 2) / (2 * variance))
        mode = modes + std**2 / variance * (x[:, None] - modes)
        return (density * mode).sum(1) / density.sum(1)

    x = np.array([NormalDist().inv_cdf((i + 0.5) / 2000) for i in range(2000)]) * 80
    end = last(ddim(denoiser, x, [*levels(300, high=80), 0.0]))
    found = np.bincount(np.abs(end[:, None] - modes).argmin(1)) / 2000
    np.testing.assert_allclose(found, weights, atol=0.01)


# -- habits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [ddpm, ddim])
class TestEverySampler:
    def test_the_last_state_is_what_the_denoiser_says(self, sampler, rng):
        said = []

        def denoiser(x, sigma):
            said.append(curved_denoiser(x, sigma))
            return said[-1]

        x = last(sampler(denoiser, rng.standard_normal((4, 2)), [3.0, 1.0, 0.0], Recorded(rng)))
        np.testing.assert_array_equal(x, said[-1])

    def test_it_calls_the_denoiser_once_a_step_at_the_steps_level(self, sampler, rng):
        called = []

        def denoiser(x, sigma):
            called.append(sigma)
            return x * 0

        states = list(sampler(denoiser, rng.standard_normal((4, 2)), [3.0, 1.0, 0.5, 0.0], Recorded(rng)))
        assert called == [3.0, 1.0, 0.5]
        assert len(states) == 3

    def test_it_keeps_float32_and_leaves_the_start_as_it_was(self, sampler, rng):
        x = rng.standard_normal((4, 2), dtype="float32")
        start, noise = x.copy(), NoisePerSample(0, range(4))
        scheduler = NoiseScheduler("cosine")
        states = list(sampler(lambda x, sigma: x * 0.5, x, scheduler.reverse_sigmas(10), noise))
        assert {state.dtype for state in states} == {np.dtype("float32")}
        np.testing.assert_array_equal(x, start)


def test_an_eta_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"ddim: eta needs to be from 0 to 1; got 1.5"):
        next(ddim(curved_denoiser, np.zeros(1), [1.0, 0.0], eta=1.5))


def test_eta_without_a_source_of_noise_is_refused():
    with pytest.raises(ValueError, match=r"ddim: eta = 0.5 adds noise, .* got noise=None"):
        next(ddim(curved_denoiser, np.zeros(1), [1.0, 0.0], eta=0.5))


class TestNoisePerSample:
    def test_a_sample_draws_the_same_in_every_batch(self):
        x = np.zeros((6, 2, 3), "float32")
        whole, part = NoisePerSample(7, range(6)), NoisePerSample(7, [4, 2])
        for _ in range(3):
            np.testing.assert_array_equal(whole(x)[[4, 2]], part(x[:2]))

    def test_samples_seeds_and_draws_differ(self):
        x = np.zeros((2, 5), "float32")
        source = NoisePerSample(0, range(2))
        draws = [*source(x), *source(x), *NoisePerSample(1, range(2))(x)]
        assert len({draw.tobytes() for draw in draws}) == 6

    def test_draws_are_standard_normal(self):
        draws = NoisePerSample(0, range(100))(np.zeros((100, 1000)))
        assert draws.mean() == pytest.approx(0, abs=0.013)
        assert draws.std() == pytest.approx(1, abs=0.01)
