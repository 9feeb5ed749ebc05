"""Activations: known values, far out, at the kink; and their formulas written out in NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.nn import functional as F

few = settings(max_examples=60, deadline=None)

FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x / 2 * math.erfc(-x / math.sqrt(2)),
}


@few
@given(st.floats(-20, 20), st.sampled_from(sorted(FORMULAS)))
def test_each_is_its_formula(x, name):
    assert getattr(F, name)(Tensor(np.array(x))).item() == pytest.approx(
        FORMULAS[name](x), rel=1e-12, abs=1e-14
    )


@few
@given(st.floats(-20, 20))
def test_the_cheaper_gelu_is_close_to_gelu(x):
    x = Tensor(np.array(x))
    assert F.gelu(x, approximate="tanh").item() == pytest.approx(F.gelu(x).item(), abs=5e-4)


def test_relu_has_derivative_zero_at_zero():
    x = Tensor([-1.0, 0.0, -0.0, 2.0], requires_grad=True)
    F.relu(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_far_out_nothing_overflows_and_gradients_are_finite(name, dtype):
    far = {"float16": 100, "float32": 200, "float64": 1000}[dtype]
    x = Tensor(np.array([-far, far], dtype), requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    limits = {"sigmoid": [0, 1], "tanh": [-1, 1]}.get(name, [0, far])
    assert (y.tolist(), y.dtype) == (limits, dtype)
    assert np.isfinite(x.grad.numpy()).all()
    assert x.grad.dtype == dtype


def test_sigmoid_is_exact_far_out_and_in_the_middle():
    assert t.sigmoid(Tensor([-math.inf, 0.0, math.inf])).tolist() == [0, 0.5, 1]


@few
@given(st.floats(-50, 50))
def test_sigmoid_is_one_minus_that_of_the_opposite(x):
    a, b = (t.sigmoid(Tensor(np.array(v))).item() for v in (x, -x))
    assert a + b == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_no_elements_and_no_dimensions_are_fine(name):
    function = getattr(F, name)
    assert function(Tensor(np.zeros((0, 3)))).shape == (0, 3)
    assert function(Tensor(0.0)).shape == ()


def test_another_approximation_is_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh'; got 'fast'"):
        F.gelu(Tensor([1.0]), approximate="fast")
