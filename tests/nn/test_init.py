"""Initializers: the statistics that their docstrings promise, and what fixes their draws."""

import math

import numpy as np
import pytest

from tinygrad_lite import Tensor, manual_seed
from tinygrad_lite.nn import init


def drawn(initializer, *args, shape=(300, 200), device=None, dtype="float32", **options):
    manual_seed(3)
    return initializer(Tensor(np.full(shape, np.nan, dtype=dtype), device=device), *args, **options).numpy()


def assert_uniform(values, bound):
    assert abs(values).max() <= bound
    assert abs(values).max() == pytest.approx(bound, rel=1e-3)
    assert values.mean() == pytest.approx(0, abs=0.01 * bound)
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)


def assert_normal(values, std):
    assert values.mean() == pytest.approx(0, abs=0.02 * std)
    assert values.std() == pytest.approx(std, rel=0.01)
    assert (abs(values) < std).mean() == pytest.approx(0.6827, abs=0.01)


def test_constants():
    assert drawn(init.constant_, 2.5, shape=(2,)).tolist() == [2.5, 2.5]
    assert drawn(init.zeros_, shape=(2,)).tolist() == [0.0, 0.0]
    assert drawn(init.ones_, shape=(2,)).tolist() == [1.0, 1.0]


def test_uniform_fills_its_interval():
    assert_uniform(drawn(init.uniform_, 2.0, 6.0) - 4, 2.0)


def test_normal_has_its_mean_and_deviation():
    assert_normal(drawn(init.normal_, 5.0, 0.5) - 5, 0.5)


def test_xavier_uses_the_mean_of_both_fans():
    assert_uniform(drawn(init.xavier_uniform_, gain=2.0), 2 * math.sqrt(6 / 500))
    assert_normal(drawn(init.xavier_normal_, gain=2.0), 2 * math.sqrt(2 / 500))


def test_kaiming_keeps_the_forward_or_the_backward_pass():
    assert_uniform(drawn(init.kaiming_uniform_, nonlinearity="relu"), math.sqrt(6 / 200))
    assert_normal(drawn(init.kaiming_normal_, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 300))


def test_a_kernel_counts_in_the_fans():
    assert_normal(drawn(init.kaiming_normal_, shape=(50, 40, 5, 6)), math.sqrt(2 / (40 * 30)))
    assert_normal(drawn(init.xavier_normal_, shape=(50, 40, 5, 6)), math.sqrt(2 / (90 * 30)))


def test_relu_layers_after_kaiming_keep_the_size_of_the_signal(rng):
    x = rng.standard_normal((200, 256))
    for _ in range(10):
        weight = drawn(init.kaiming_normal_, shape=(256, 256), nonlinearity="relu")
        x = np.maximum(x @ weight.T, 0)
    assert 0.3 < (x * x).mean() < 3


@pytest.mark.parametrize(
    ("nonlinearity", "gain"),
    [
        ("linear", 1),
        ("sigmoid", 1),
        ("tanh", 5 / 3),
        ("relu", math.sqrt(2)),
        ("leaky_relu", math.sqrt(2 / 1.25)),
    ],
)
def test_gains(nonlinearity, gain):
    assert init.calculate_gain(nonlinearity, 0.5) == pytest.approx(gain)


@pytest.mark.parametrize("initializer", [init.uniform_, init.normal_])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_every_float_can_be_filled_on_every_device(initializer, dtype, device):
    values = drawn(initializer, shape=(100,), dtype=dtype, device=device)
    assert values.dtype == dtype
    assert len(set(values.tolist())) > 90


@pytest.mark.parametrize("initializer", [init.uniform_, init.normal_])
def test_a_double_is_drawn_to_its_last_bit(initializer):
    values = drawn(initializer, shape=(100,), dtype="float64")
    assert (values != values.astype("float32")).all()


def test_the_same_seed_draws_the_same_and_the_next_draw_differs():
    first, again = drawn(init.normal_, shape=(5,)), drawn(init.normal_, shape=(5,))
    further = init.normal_(Tensor(np.zeros(5))).numpy()
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, further).any()


def test_a_tensor_is_filled_in_place_and_says_so_to_its_graphs():
    weight = Tensor([2.0, 3.0], requires_grad=True)
    loss = (weight * weight).sum()
    assert init.ones_(weight) is weight
    assert weight.grad_fn is None
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


@pytest.mark.parametrize("shape", [(3,), (0, 4)])
def test_a_weight_without_fans_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"kaiming_normal_: needs a weight \(out, in, …kernel\) that is not empty"
    ):
        init.kaiming_normal_(Tensor(np.zeros(shape)))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="kaiming_uniform_: mode must be 'fan_in' or 'fan_out'; got 'fan'"):
        init.kaiming_uniform_(Tensor(np.zeros((2, 2))), mode="fan")


def test_an_unknown_nonlinearity_is_refused():
    with pytest.raises(ValueError, match=r"calculate_gain: knows linear, sigmoid, .*; got 'selu'"):
        init.calculate_gain("selu")
