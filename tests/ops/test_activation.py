"""Activations: known values, far out, at the kink; and their formulas written out in NumPy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.nn import functional as F
from tinygrad_lite.ops.activation import GELU, TanhGELU

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


@few
@given(st.floats(-20, 20, width=32), st.sampled_from(sorted(FORMULAS)))
def test_in_float32_each_is_its_formula(x, name):
    y = getattr(F, name)(Tensor(np.array(x, "float32")))
    assert y.dtype == "float32"
    assert y.item() == pytest.approx(FORMULAS[name](x), rel=3e-7, abs=3e-7)


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


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_has_no_slope_computed_where_no_gradient_is_wanted(approximate):
    op = {"none": GELU, "tanh": TanhGELU}[approximate]
    for wanted in (True, False):
        node = op()
        node(Tensor(np.ones(3, "float32"), requires_grad=wanted))
        assert (node.slope is not None) == wanted


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_second_walk_over_the_same_graph_gives_the_same_gradient(name):
    x = Tensor(np.linspace(-2, 2, 9, dtype="float32"), requires_grad=True)
    y = 3 * getattr(F, name)(x).sum()
    first, second = (t.grad(y, x, retain_graph=True)[0].tolist() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", [*sorted(FORMULAS), "cheaper gelu"])
def test_in_float32_too_the_fast_gradient_is_that_of_the_formula(name):
    function = F.gelu if name == "cheaper gelu" else getattr(F, name)
    options = {"approximate": "tanh"} if name == "cheaper gelu" else {}
    x = Tensor(np.linspace(-8, 8, 2001, dtype="float32"), requires_grad=True)
    y = function(x, **options).sum()
    (fast,) = t.grad(y, x, retain_graph=True)
    (formula,) = t.grad(y, x, create_graph=True)
    np.testing.assert_allclose(fast.numpy(), formula.numpy(), atol=3e-6)


def test_integers_stay_integers_in_relu_and_become_floats_elsewhere():
    x = Tensor([-2, 0, 3])
    assert F.relu(x).tolist() == [0, 0, 3]
    assert F.relu(x).dtype == x.dtype
    assert F.sigmoid(x).tolist() == pytest.approx([FORMULAS["sigmoid"](v) for v in (-2, 0, 3)])


def test_another_approximation_is_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh'; got 'fast'"):
        F.gelu(Tensor([1.0]), approximate="fast")
