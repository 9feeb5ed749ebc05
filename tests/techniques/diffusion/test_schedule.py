"""The noise scheduler: its tables against their papers' products, its noise against moments, its plan."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from techniques.diffusion.schedule import NoiseScheduler, cosine_schedule, linear_schedule
from tinygrad_lite import Tensor, manual_seed


@pytest.fixture
def data(rng):
    return rng.uniform(-1, 1, (64, 1, 4, 4)).astype("float32")


class TestTables:
    @pytest.mark.parametrize("num_steps", [50, 1000])
    def test_linear_is_the_product_over_evenly_spaced_betas(self, num_steps):
        product, products = 1.0, []
        for s in range(num_steps):
            beta = 1e-4 + (0.02 - 1e-4) * s / (num_steps - 1)
            product *= 1 - beta * 1000 / num_steps
            products.append(product)
        np.testing.assert_allclose(linear_schedule(num_steps), products, rtol=1e-12)

    @pytest.mark.parametrize("num_steps", [100, 1000])
    def test_cosine_is_a_squared_cosine_until_beta_reaches_its_bound(self, num_steps):
        def f(t):
            return math.cos((t / num_steps + 0.008) / 1.008 * math.pi / 2) ** 2

        table = cosine_schedule(num_steps)
        expected = [f(t + 1) / f(0) for t in range(num_steps - 1)]
        np.testing.assert_allclose(table[:-1], expected, rtol=1e-10)
        assert table[-1] == pytest.approx(table[-2] * 0.001, rel=1e-12)

    def test_the_last_sigmas_are_the_published_ones(self):
        assert NoiseScheduler("linear").sigmas[-1] == pytest.approx(157.4, abs=0.1)
        assert NoiseScheduler("cosine").sigmas[-1] == pytest.approx(20291, abs=1)

    @pytest.mark.parametrize("schedule", [linear_schedule, cosine_schedule])
    @pytest.mark.parametrize("num_steps", [1, 2, 10, 100])
    def test_every_length_makes_a_scheduler(self, schedule, num_steps):
        assert NoiseScheduler(schedule(num_steps)).num_steps == num_steps

    def test_the_noise_at_the_end_hardly_depends_on_the_number_of_steps(self):
        ends = [linear_schedule(n)[-1] for n in (100, 1000)]
        assert ends[0] == pytest.approx(ends[1], rel=0.6)
        assert ends[0] < 1e-4

    def test_tables_are_float64(self):
        assert linear_schedule(10).dtype == cosine_schedule(10).dtype == "float64"

    def test_an_unknown_schedule_is_refused_by_name(self):
        with pytest.raises(ValueError, match=r"NoiseScheduler: knows .*linear, cosine; got 'quadratic'"):
            NoiseScheduler("quadratic")

    @pytest.mark.parametrize("table", [[0.9, 0.9], [0.5, 0.6], [1.0, 0.5], [0.5, 0.0], [], [[0.9, 0.5]]])
    def test_a_table_that_does_not_fall_between_1_and_0_is_refused(self, table):
        with pytest.raises(ValueError, match=r"alphas_cumprod .* strictly between 1 and 0"):
            NoiseScheduler(np.array(table))


class TestAddNoise:
    def test_it_is_a_weighted_sum_of_data_and_noise(self, data, rng):
        scheduler = NoiseScheduler("linear", 100)
        noise = rng.standard_normal(data.shape, dtype="float32")
        noisy_data, noise_level = scheduler.add_noise(data, noise, level=40)
        a = scheduler.alphas_cumprod[40]
        np.testing.assert_allclose(noisy_data, a**0.5 * data + (1 - a) ** 0.5 * noise, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(noise_level, np.full(64, 40))

    @pytest.mark.parametrize("t", [0, 30, 99])
    def test_its_mean_and_variance_are_the_schedules(self, t):
        scheduler = NoiseScheduler("cosine", 100)
        data = np.full((200, 1000), 0.7, dtype="float32")
        noisy_data, _ = scheduler.add_noise(data, level=t, rng=np.random.default_rng(1))
        a = scheduler.alphas_cumprod[t]
        error = (1 - a) ** 0.5 / data.size**0.5
        assert noisy_data.mean(dtype="float64") == pytest.approx(0.7 * a**0.5, abs=4 * error)
        assert noisy_data.var(dtype="float64") == pytest.approx(1 - a, rel=4 * (2 / data.size) ** 0.5)

    def test_each_sample_has_its_own_level(self, data):
        scheduler = NoiseScheduler("cosine", 1000)
        levels = np.arange(64) * 15
        noisy_data, noise_level = scheduler.add_noise(data, np.zeros_like(data), level=levels)
        shrunk = (noisy_data / data).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(shrunk, scheduler.alphas_cumprod[levels] ** 0.5, rtol=1e-5)
        np.testing.assert_array_equal(noise_level, levels)

    def test_levels_are_drawn_uniformly_from_all_of_them(self):
        scheduler = NoiseScheduler("linear", 5)
        _, levels = scheduler.add_noise(np.zeros((5000, 1), "float32"), rng=np.random.default_rng(0))
        counts = np.bincount(levels, minlength=5)
        assert len(counts) == 5
        assert abs(counts - 1000).max() < 4 * 800**0.5

    def test_the_same_generator_gives_the_same_bits(self, data):
        scheduler = NoiseScheduler()
        draws = [scheduler.add_noise(data, rng=np.random.default_rng(3)) for _ in range(2)]
        np.testing.assert_array_equal(draws[0][0], draws[1][0])
        np.testing.assert_array_equal(draws[0][1], draws[1][1])

    def test_without_a_generator_it_draws_from_the_ambient_one(self, data):
        scheduler = NoiseScheduler()
        manual_seed(5)
        first, next_one = scheduler.add_noise(data)[0], scheduler.add_noise(data)[0]
        manual_seed(5)
        np.testing.assert_array_equal(scheduler.add_noise(data)[0], first)
        assert (first != next_one).any()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_it_keeps_the_dtype_and_gives_integer_times(self, data, dtype):
        noisy_data, noise_level = NoiseScheduler().add_noise(data.astype(dtype))
        assert noisy_data.dtype == dtype
        assert noise_level.dtype == "int64"

    def test_the_lowest_levels_noise_is_exact_to_float32(self, data, rng):
        """√(1 − ᾱ) looked up in float32 would be off by 2e-4."""
        scheduler = NoiseScheduler("linear")
        noise = rng.standard_normal(data.shape, dtype="float32")
        noisy_data, _ = scheduler.add_noise(np.zeros_like(data), noise, level=0)
        np.testing.assert_allclose(noisy_data, 0.01 * noise, rtol=1e-6)

    @pytest.mark.parametrize(
        ("data", "got"), [(np.zeros((2, 3), "uint8"), "uint8"), ([0.5], "list"), (Tensor([0.5]), "Tensor")]
    )
    def test_only_float_arrays_are_taken(self, data, got):
        with pytest.raises(TypeError, match=f"add_noise: data needs a float array.* got {got}"):
            NoiseScheduler().add_noise(data)

    def test_noise_of_another_shape_is_refused(self, data):
        with pytest.raises(
            ValueError, match=r"add_noise: noise needs data's shape \(64, 1, 4, 4\); got \(1,"
        ):
            NoiseScheduler().add_noise(data, data[:1])

    @pytest.mark.parametrize(
        "level", [-1, 100, np.zeros(63, int), np.full(64, 100), np.zeros(64), np.array(3)]
    )
    def test_levels_that_are_no_times_of_the_samples_are_refused(self, data, level):
        with pytest.raises(ValueError, match=r"add_noise: noise levels need to be \(64,\) .* 0 to 99; got"):
            NoiseScheduler("linear", 100).add_noise(data, level=level)


class TestNoiseOf:
    @settings(deadline=None, max_examples=30)
    @given(
        schedule=st.sampled_from(["linear", "cosine"]),
        shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
        seed=st.integers(0, 99),
    )
    def test_it_gives_back_the_noise_that_was_added(self, schedule, shape, seed):
        rng = np.random.default_rng(seed)
        scheduler = NoiseScheduler(schedule)
        data, noise = rng.uniform(-1, 1, (2, *shape))
        noisy_data, noise_level = scheduler.add_noise(data, noise, rng=rng)
        np.testing.assert_allclose(scheduler.noise_of(noisy_data, data, noise_level), noise, atol=1e-12)

    @pytest.mark.parametrize("t", [0, 999])
    def test_in_float32_it_is_right_to_five_digits(self, data, rng, t):
        scheduler = NoiseScheduler("cosine")
        noise = rng.standard_normal(data.shape, dtype="float32")
        recovered = scheduler.noise_of(scheduler.add_noise(data, noise, level=t)[0], data, t)
        assert recovered.dtype == "float32"
        np.testing.assert_allclose(recovered, noise, atol=2e-5)

    def test_two_shapes_are_refused(self, data):
        with pytest.raises(ValueError, match=r"noise_of: .* one shape; got \(64, 1, 4, 4\) and \(64, 1, 4\)"):
            NoiseScheduler().noise_of(data, data[..., 0], 3)


class TestReverseSteps:
    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_the_plan_is_trailing_and_ends_at_0(self, data):
        T = data.draw(st.integers(1, 60))
        n = data.draw(st.integers(1, T))
        scheduler = NoiseScheduler("cosine", T)
        steps = scheduler.reverse_steps(n)
        assert [step.t for step in steps] == [round(T - Fraction(i * T, n)) - 1 for i in range(n)]
        assert steps[0].t == T - 1
        assert steps[-1].next_sigma == 0.0
        for step, next_step in pairwise(steps):
            assert step.next_sigma == next_step.sigma < step.sigma
        assert all(step.sigma == scheduler.sigmas[step.t] for step in steps)

    def test_all_steps_visit_every_time(self):
        assert [step.t for step in NoiseScheduler("linear", 7).reverse_steps()] == [6, 5, 4, 3, 2, 1, 0]

    def test_one_step_goes_from_the_top_to_0(self):
        scheduler = NoiseScheduler("linear", 10)
        assert scheduler.reverse_steps(1) == [(9, scheduler.sigmas[9], 0.0)]

    def test_numbers_that_do_not_divide_the_levels_give_no_step_too_many(self):
        scheduler = NoiseScheduler("linear", 1000)
        assert all(len(scheduler.reverse_steps(n)) == n for n in range(1, 1001, 7))

    def test_the_sigmas_are_those_of_the_steps(self):
        scheduler = NoiseScheduler("cosine", 10)
        steps = scheduler.reverse_steps(4)
        assert scheduler.reverse_sigmas(4) == [*(step.sigma for step in steps), 0.0]

    @pytest.mark.parametrize("n", [0, -1, 11])
    def test_more_steps_than_levels_are_refused(self, n):
        with pytest.raises(ValueError, match=f"reverse_steps: n needs to be from 1 to 10.*; got {n}"):
            NoiseScheduler("linear", 10).reverse_steps(n)


class TestTimeOf:
    @pytest.mark.parametrize("schedule", ["linear", "cosine"])
    def test_the_tables_own_levels_have_their_own_times_exactly(self, schedule):
        scheduler = NoiseScheduler(schedule)
        assert [scheduler.time_of(sigma) for sigma in scheduler.sigmas] == list(range(1000))

    def test_a_level_between_two_has_a_time_between_theirs(self):
        scheduler = NoiseScheduler("linear", 10)
        assert scheduler.time_of(math.sqrt(scheduler.sigmas[3] * scheduler.sigmas[4])) == pytest.approx(3.5)

    def test_levels_beyond_the_table_have_its_last_times(self):
        scheduler = NoiseScheduler("linear", 10)
        assert (scheduler.time_of(1e-9), scheduler.time_of(1e9)) == (0, 9)
