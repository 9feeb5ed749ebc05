"""Activations' kernels for NumPy against plain ones and exact values: dtypes, layouts, blocks, threads."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.test_blocks import LAYOUTS, blocks_and_threads, layouts, lies_as, shapes
from tinygrad_lite.kernels import activation as plain
from tinygrad_lite.kernels.cpu import activation as cpu

few = settings(max_examples=60, deadline=None)
numbers = st.sampled_from([1, 3])  # of threads

OF_ONE = ["relu", "sigmoid", "silu"]
WITH_SLOPE = ["gelu", "tanh_gelu"]
TOLERANCE = {"float16": 8e-3, "float32": 3e-6, "float64": 1e-14}
FAR = [-math.inf, -1e30, -1e4, -100.0, 100.0, 1e4, 1e30, math.inf, math.nan]


def hold_close(fast, slow):
    """Equal but for rounding: some units in the last place of 1, or of what is larger."""
    tolerance = TOLERANCE[str(fast.dtype)]
    assert fast.dtype == slow.dtype
    np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance, strict=True)


@pytest.mark.parametrize("name", [*OF_ONE, "silu_back", *WITH_SLOPE])
@few
@given(shapes, layouts, layouts, st.sampled_from(sorted(TOLERANCE)), numbers, st.integers(0, 99))
def test_each_gives_what_the_plain_kernel_gives(name, shape, of_x, of_grad, dtype, number, seed):
    x, grad = (3 * np.random.default_rng(seed).standard_normal((2, *shape))).astype(dtype)
    x, grad = LAYOUTS[of_x](x), LAYOUTS[of_grad](grad)
    arguments = (grad, x) if name == "silu_back" else (x, True) if name in WITH_SLOPE else (x,)
    with blocks_and_threads(number):
        fast = getattr(cpu, name)(*arguments)
    slow = getattr(plain, name)(*arguments)
    for f, s in zip(fast, slow, strict=True) if name in WITH_SLOPE else [(fast, slow)]:
        hold_close(f, s)
        assert lies_as(f, x)


@pytest.mark.parametrize("name", WITH_SLOPE)
@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
def test_without_a_slope_the_value_is_the_same(name, dtype, rng):
    x = rng.standard_normal(99).astype(dtype)
    y, slope = getattr(cpu, name)(x, False)
    assert slope is None
    np.testing.assert_array_equal(y, getattr(cpu, name)(x, True)[0], strict=True)


@pytest.mark.parametrize("name", OF_ONE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out_each_has_its_limit_and_nan_stays(name, dtype):
    limits = {
        "relu": [0, 0, 0, 0, 100, 1e4, 1e30, math.inf, math.nan],
        "sigmoid": [0, 0, 0, 0, 1, 1, 1, 1, math.nan],
        "silu": [math.nan, 0, 0, 0, 100, 1e4, 1e30, math.inf, math.nan],  # −∞·0, as in PyTorch
    }
    y = getattr(cpu, name)(np.array(FAR, dtype))
    np.testing.assert_allclose(y, np.array(limits[name], dtype), rtol=1e-7, atol=1e-40)


@pytest.mark.parametrize("name", ["silu_back", *WITH_SLOPE])
def test_far_out_the_slope_is_0_and_1_and_nothing_warns(name):
    x = np.array(FAR, "float32")
    slope = cpu.silu_back(np.ones_like(x), x) if name == "silu_back" else getattr(cpu, name)(x, True)[1]
    np.testing.assert_array_equal(slope[2:6], [0, 0, 1, 1])
    assert np.isnan(slope[-1])


class TestGELUInFloat32:
    x = np.linspace(-7, 7, 4001, dtype="float32")
    Phi = np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x.tolist()])
    phi = np.exp(-(x.astype("float64") ** 2) / 2) / math.sqrt(2 * math.pi)

    def test_the_value_errs_by_3e_7_and_by_rounding(self):
        y, _ = cpu.gelu(self.x, False)
        error = np.abs(y - self.x * self.Phi)
        assert (error - np.spacing(np.abs(y))).max() < 3e-7

    def test_the_slope_errs_by_4e_7(self):
        _, slope = cpu.gelu(self.x, True)
        assert np.abs(slope - (self.Phi + self.x * self.phi)).max() < 4e-7

    def test_far_below_0_it_fades_to_0_from_below(self):
        y, _ = cpu.gelu(np.linspace(-40, -6, 500, dtype="float32"), False)
        assert (y <= 0).all()
        assert (np.diff(y) <= 0).all()
        assert y[-1] > -1e-8


def test_the_slope_of_silu_keeps_its_digits_far_out():
    x = np.array([-8.0, -12.0, -15.0, -18.0, -40.0, -80.0])
    slope = cpu.silu_back(np.ones(6, "float32"), x.astype("float32"))
    np.testing.assert_allclose(slope, plain.silu_back(np.ones(6), x), rtol=1e-5)
