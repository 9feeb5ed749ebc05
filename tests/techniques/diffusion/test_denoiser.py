"""The model's two halves, with networks whose predictions are known."""

from math import sqrt

import numpy as np
import pytest

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.samplers import ddpm
from techniques.diffusion.schedule import NoiseScheduler
from tinygrad_lite import Tensor, manual_seed, nn


class ExactForGaussian(nn.Module):
    """E[ε | x_t] for data N(label/10, 0.5²), and for data N(0, 0.5²) where there are no labels."""

    def __init__(self, scheduler):
        self.scheduler, self.calls = scheduler, []
        self.unused = nn.Parameter(np.zeros(1, "float32"))

    def forward(self, x_t, t, labels=None):
        x_t = x_t if isinstance(x_t, np.ndarray) else x_t.data
        self.calls.append((x_t, t, labels))
        mean = np.zeros(len(t)) if labels is None else labels / 10
        alphas_cumprod = np.interp(t, np.arange(self.scheduler.num_steps), self.scheduler.alphas_cumprod)
        shape = (-1, *[1] * (x_t.ndim - 1))
        a, m = alphas_cumprod.reshape(shape), mean.reshape(shape)
        eps = np.sqrt(1 - a) * (x_t - np.sqrt(a) * m) / (a * 0.25 + 1 - a)
        return Tensor(eps.astype(x_t.dtype))


@pytest.fixture
def model():
    scheduler = NoiseScheduler("linear", 50)
    return DiffusionModel(ExactForGaussian(scheduler), scheduler)


@pytest.fixture
def x(rng):
    return rng.standard_normal((3, 2, 4))


def posterior_mean(x, sigma, mean=0.0):
    return mean + 0.25 / (0.25 + sigma**2) * (x - mean)


def test_a_network_with_dropout_denoises_without_it_and_keeps_its_mode(x):
    class Dropping(nn.Module):
        def __init__(self):
            self.scale, self.dropout = nn.Parameter(np.ones(1, "float32")), nn.Dropout(0.5)

        def forward(self, x_t, t, labels=None):
            return self.dropout(self.scale * x_t.clone())

    model = DiffusionModel(Dropping(), NoiseScheduler("linear", 50)).train()
    x = x.astype("float32")
    np.testing.assert_allclose(model.denoiser(clip=None)(x, 2.0), x - 2 * x / sqrt(5), rtol=1e-5, atol=1e-6)
    assert all(module.training for module in model.modules())


class TestForward:
    def test_it_predicts_the_noise_that_add_noise_added(self, model):
        """Given x₀'s distribution only, so on average: the error is what x_t leaves open."""
        rng = np.random.default_rng(0)
        data = 0.5 * rng.standard_normal((20_000, 1))
        noise = rng.standard_normal(data.shape)
        noisy_data, noise_level = model.scheduler.add_noise(data, noise, level=20)
        predicted = model(noisy_data, noise_level).numpy()
        a = model.scheduler.alphas_cumprod[20]
        assert ((predicted - noise) ** 2).mean() == pytest.approx(0.25 * a / (0.25 * a + 1 - a), rel=0.03)


class TestDenoiser:
    @pytest.mark.parametrize("t", [0, 17, 49])
    def test_it_is_the_mean_of_the_data_given_what_is_seen(self, model, x, t):
        sigma = float(model.scheduler.sigmas[t])
        D = model.denoiser(clip=None)(sigma * x, sigma)
        np.testing.assert_allclose(D, posterior_mean(sigma * x, sigma), rtol=1e-9, atol=1e-9)

    def test_the_network_sees_the_scaling_of_training_and_the_levels_time(self, model, x):
        sigma = float(model.scheduler.sigmas[17])
        model.denoiser()(x, sigma)
        (seen, t, _), *others = model.network.calls
        np.testing.assert_allclose(seen, x / sqrt(1 + sigma**2), rtol=1e-12)
        np.testing.assert_array_equal(t, [17, 17, 17])
        assert not others

    def test_it_asks_for_its_labels(self, model, x):
        D = model.denoiser(np.array([1, 5, 9]), clip=None)(x, float(model.scheduler.sigmas[9]))
        mean = np.array([0.1, 0.5, 0.9]).reshape(3, 1, 1)
        expected = posterior_mean(x, model.scheduler.sigmas[9], mean)
        np.testing.assert_allclose(D, expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
    def test_guidance_goes_so_far_from_without_labels_to_with_them(self, model, x, scale):
        labels, sigma = np.array([1, 5, 9]), float(model.scheduler.sigmas[9])
        guided = model.denoiser(labels, scale, clip=None)(x, sigma)
        c, u = (model.denoiser(given, clip=None)(x, sigma) for given in (labels, None))
        np.testing.assert_allclose(guided, u + scale * (c - u), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(("scale", "calls"), [(1.0, 1), (2.0, 2)])
    def test_a_scale_of_1_calls_the_network_once(self, model, x, scale, calls):
        model.denoiser(np.array([1, 5, 9]), scale)(x, 1.0)
        assert len(model.network.calls) == calls

    def test_guidance_without_labels_is_refused(self, model):
        with pytest.raises(ValueError, match=r"denoiser: guidance_scale = 2.0 .* classes; got no labels"):
            model.denoiser(guidance_scale=2.0)

    def test_what_it_gives_stays_within_the_clip(self, model, x):
        sigma = float(model.scheduler.sigmas[3])
        D = model.denoiser(clip=0.2)(x, sigma)
        np.testing.assert_array_equal(D, model.denoiser(clip=None)(x, sigma).clip(-0.2, 0.2))
        assert abs(D).max() == 0.2

    def test_the_data_are_within_1_unless_told_otherwise(self, model, x):
        D = model.denoiser()(9 * x, float(model.scheduler.sigmas[0]))
        assert (D.min(), D.max()) == (-1, 1)

    def test_float32_stays_float32(self, model, x):
        assert model.denoiser()(x.astype("float32"), 1.0).dtype == "float32"


class TestDenoise:
    def test_one_step_is_one_of_ddpm_in_the_scaling_of_training(self, model, x):
        step = model.scheduler.reverse_steps(7)[2]
        noise = np.random.default_rng(1).standard_normal(x.shape)
        (expected,) = ddpm(
            model.denoiser(),
            x * sqrt(1 + step.sigma**2),
            (step.sigma, step.next_sigma),
            lambda _: noise,
        )
        x_t = model.denoise(x, step, rng=np.random.default_rng(1))
        np.testing.assert_allclose(x_t, expected / sqrt(1 + step.next_sigma**2), rtol=1e-12, atol=1e-12)

    def test_all_steps_draw_from_the_distribution_of_the_data(self):
        """300 ancestral steps with the exact network, from N(0, 1) to N(0, 0.5²)."""
        scheduler = NoiseScheduler("cosine", 300)
        model, rng = DiffusionModel(ExactForGaussian(scheduler), scheduler), np.random.default_rng(0)
        noise = rng.standard_normal((20_000, 1))
        for step in scheduler.reverse_steps():
            noise = model.denoise(noise, step, clip=None, rng=rng)
        assert noise.mean() == pytest.approx(0, abs=0.015)
        assert noise.std() == pytest.approx(0.5, rel=0.03)

    def test_the_last_step_gives_what_the_denoiser_says_and_draws_nothing(self, model, x):
        last = model.scheduler.reverse_steps()[-1]
        x_t = model.denoise(x, last, rng=None)
        D = model.denoiser()(x * sqrt(1 + last.sigma**2), last.sigma)
        np.testing.assert_array_equal(x_t, D)

    def test_without_a_generator_it_draws_from_the_ambient_one(self, model, x):
        step = model.scheduler.reverse_steps()[0]
        manual_seed(4)
        first, second = model.denoise(x, step), model.denoise(x, step)
        manual_seed(4)
        np.testing.assert_array_equal(model.denoise(x, step), first)
        assert (first != second).any()
