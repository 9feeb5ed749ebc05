"""Arithmetic, exponentials, powers, choice and casts: known values, special points, and NumPy beside them."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.checking import gradgradcheck

few = settings(max_examples=60, deadline=None)
INF, NAN = math.inf, math.nan


def gradients(function, *values, dtype="float64"):
    """The gradients of Σ function(…) by each of `values`, as lists."""
    leaves = [Tensor(np.array(v, dtype), requires_grad=True) for v in values]
    return [g.tolist() for g in t.grad(function(*leaves).sum(), leaves)]


@st.composite
def broadcasting(draw):
    """Two arrays whose shapes broadcast, away from 0."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_dims=3, max_side=3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return [rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes]


# -- broadcasting --------------------------------------------------------------------------------------

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, t.maximum, t.minimum]


@few
@given(broadcasting(), st.sampled_from(BINARY))
def test_values_are_numpys_and_gradients_are_sums_over_what_is_repeated(arrays, operate):
    reference = {t.maximum: np.maximum, t.minimum: np.minimum}.get(operate, operate)
    a, b = (Tensor(x, requires_grad=True) for x in arrays)
    y = operate(a, b)
    np.testing.assert_array_equal(y.numpy(), reference(*arrays))
    upstream = np.random.default_rng(1).standard_normal(y.shape)
    found = t.grad(y, [a, b], upstream)

    # the same without any broadcasting: inputs repeated by hand, whose gradients are then summed back by hand
    full = [Tensor(np.array(np.broadcast_to(x, y.shape)), requires_grad=True) for x in arrays]
    for g, whole, x in zip(found, t.grad(operate(*full), full, upstream), arrays, strict=True):
        assert g.shape == x.shape
        expected = np.zeros(x.shape)
        index = np.broadcast_to(np.arange(x.size).reshape(x.shape), y.shape)
        np.add.at(expected.reshape(-1), index.ravel(), whole.numpy().ravel())
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-12, atol=1e-12)


@few
@given(broadcasting(), st.booleans())
def test_where_broadcasts_its_three_inputs(arrays, choice):
    a, b = (Tensor(x, requires_grad=True) for x in arrays)
    y = t.where(Tensor(np.array(choice)), a, b)
    np.testing.assert_array_equal(y.numpy(), np.where(choice, *arrays))
    da, db = t.grad(y.sum(), [a, b])
    assert (da.shape, db.shape) == (a.shape, b.shape)
    assert (da if choice else db).numpy().sum() == y.numel()
    assert (db if choice else da).numpy().sum() == 0


# -- values against NumPy ------------------------------------------------------------------------------


@few
@given(
    hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=0, min_side=0, max_side=4), elements=st.floats(0.01, 50)
    ),
    st.sampled_from(["exp", "log", "sqrt"]),
)
def test_exp_log_and_sqrt_are_numpys(x, name):
    np.testing.assert_array_equal(getattr(t, name)(Tensor(x)).numpy(), getattr(np, name)(x))


@few
@given(st.floats(-30, 30))
def test_erf_is_that_of_the_standard_library(x):
    assert t.erf(Tensor(np.array(x))).item() == pytest.approx(math.erf(x), rel=1e-14, abs=1e-300)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (lambda x: -x, [-4, 2]),
        (lambda x: 3 - x, [-1, 5]),
        (lambda x: 8 / x, [2, -4]),
        (lambda x: x / 2, [2, -1]),
        (lambda x: x**3, [64, -8]),
        (lambda x: 2**x, [16, 0.25]),
        (lambda x: x.pow(2), [16, 4]),
        (lambda x: 2 * x + x * 3, [20, -10]),
        (lambda x: t.add(x, 1), [5, -1]),
        (lambda x: t.sub(1, x), [-3, 3]),
        (lambda x: t.div(x, x), [1, 1]),
        (lambda x: t.neg(t.mul(x, x)), [-16, -4]),
    ],
)
def test_arithmetic_has_its_known_values(function, value):
    assert function(Tensor([4.0, -2.0])).tolist() == value


# -- special points ------------------------------------------------------------------------------------


def test_a_square_at_zero_has_derivative_zero():
    assert gradients(lambda x: x**2, [0.0]) == [[0]]
    assert gradients(lambda x: x**2.0, [-0.0]) == [[0]]


@pytest.mark.parametrize("n", [0, 0.0])
def test_the_power_zero_is_one_with_derivative_zero_everywhere(n):
    x = np.array([0.0, -2.0, 3.0])
    assert (Tensor(x) ** n).tolist() == [1, 1, 1]
    assert gradients(lambda x: x**n, x) == [[0, 0, 0]]


def test_the_first_power_has_derivative_one_also_at_zero():
    assert gradients(lambda x: x**1, [0.0, -2.0]) == [[1, 1]]


def test_higher_derivatives_of_a_square_at_zero_are_two_and_zero():
    x = Tensor(np.array([0.0]), requires_grad=True)
    y = x**2
    values = []
    for _ in range(3):
        (y,) = t.grad(y, x, create_graph=True)
        values.append(y.item())
    assert values == [0, 2, 0]


def test_the_square_root_of_zero_has_an_infinite_derivative():
    with np.errstate(divide="ignore"):
        assert gradients(t.sqrt, [0.0]) == [[INF]]


@pytest.mark.parametrize(
    ("a", "b", "da", "db"),
    [
        (2.0, 3.0, 12.0, 8 * math.log(2)),
        (2.0, 0.0, 0.0, math.log(2)),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (-2.0, 2.0, -4.0, NAN),
    ],
)
def test_powers_at_special_points_have_torchs_derivatives(a, b, da, db):
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(gradients(operator.pow, [a], [b]), [[da], [db]])


def test_a_negative_base_needs_no_logarithm_for_a_constant_exponent():
    x = Tensor(np.array([-2.0, 3.0]), requires_grad=True)
    assert t.grad((x ** np.array([2.0, 3.0])).sum(), x)[0].tolist() == [-4, 27]


def test_second_derivatives_of_powers_hold_where_the_exponent_is_zero():
    gradgradcheck(operator.pow, [np.array([2.0, 0.7]), np.array([0.0, 0.0])])


def test_nan_and_infinity_pass():
    x = Tensor([NAN, INF, -INF])
    np.testing.assert_array_equal((x * 2).numpy(), [NAN, INF, -INF])
    np.testing.assert_array_equal(t.exp(x).numpy(), [NAN, INF, 0])
    np.testing.assert_array_equal(t.erf(x).numpy(), [NAN, 1, -1])


def test_what_where_leaves_out_has_gradient_zero_even_if_it_is_infinite():
    def safe(x):
        return t.where(x > 0, t.log(t.where(x > 0, x, 1.0)), 0.0)

    assert gradients(safe, [0.0, 2.0]) == [[0, 0.5]]


# -- choice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [Tensor([1.0]), Tensor([1]), np.ones(1), 1, 0.0])
def test_a_condition_that_is_not_boolean_is_refused(condition):
    with pytest.raises(TypeError, match="where: the condition must be boolean; got"):
        t.where(condition, Tensor([1.0]), 0.0)


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (1.0, 0.0, "float32"),
        (1, 0.5, "float32"),
        (1, 0, "int64"),
        (np.float64(1), 0.0, "float32"),
        (Tensor([1.0]), 0.0, "float32"),
        (0.0, Tensor(np.ones(1)), "float64"),
        (Tensor([1.0]), np.float64(0), "float32"),
    ],
)
def test_where_gives_numbers_the_dtype_that_tensors_give_them(a, b, dtype):
    assert t.where(Tensor([True]), a, b).dtype == dtype


# -- casts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["float64", np.float64, np.dtype("float64"), float])
def test_a_dtype_can_be_named_in_every_way(target):
    assert Tensor([1.0]).to(target).dtype == "float64"


def test_a_tensor_of_the_dtype_already_is_itself():
    x = Tensor([1.0])
    assert x.to("float32") is x


@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
@pytest.mark.parametrize("target", ["float16", "float32", "float64"])
def test_gradients_of_casts_come_back_in_the_dtype_they_left(source, target):
    x = Tensor(np.array([1.0, 2.0], source), requires_grad=True)
    y = x.to(target)
    (y * y * y).sum().backward()
    assert (y.dtype, x.grad.dtype, x.grad.tolist()) == (target, source, [3, 12])


def test_casts_differentiate_to_second_order():
    x = Tensor([1.0, 2.0], requires_grad=True)
    (g,) = t.grad((x.to("float64") ** 3).sum(), x, create_graph=True)
    (h,) = t.grad((g.to("float64") * np.array([1.0, 10.0])).sum(), x)
    assert (h.dtype, h.tolist()) == ("float32", [6, 120])


def test_a_cast_to_integers_ends_the_graph():
    y = Tensor([1.7], requires_grad=True).to("int64")
    assert (y.tolist(), y.requires_grad) == ([1], False)


@pytest.mark.parametrize("target", ["cuda:x", "cpu:1"])
def test_a_cast_to_a_device_that_is_none_is_refused(target):
    with pytest.raises(ValueError, match="device: expected"):
        Tensor([1.0]).to(target)


def test_a_cast_to_a_dtype_that_is_none_is_refused():
    with pytest.raises(TypeError, match="not understood"):
        Tensor([1.0]).to("flaot32")
    with pytest.raises(
        TypeError, match=r"to: 'gpu' is not understood: needs a dtype or a device \('cpu', 'cuda'"
    ):
        Tensor([1.0]).to("gpu")
