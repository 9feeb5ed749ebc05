"""Comparisons, and the operations with a kink: what holds at the kink, at ties, at NaN and for integers."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor

few = settings(max_examples=60, deadline=None)
COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
small = hnp.arrays(np.float64, (3, 2), elements=st.sampled_from([-1.0, 0.0, 2.0, math.nan, math.inf]))


def gradient(function, values, upstream=None):
    x = Tensor(np.array(values), requires_grad=True)
    y = function(x)
    return t.grad(y, x, np.ones(y.shape) if upstream is None else np.array(upstream))[0].tolist()


@few
@given(small, small, st.sampled_from(sorted(COMPARISONS)))
def test_comparisons_are_numpys_as_functions_and_as_operators(a, b, name):
    for y in (
        getattr(t, name)(Tensor(a), Tensor(b)),
        COMPARISONS[name](Tensor(a), b),
        COMPARISONS[name](a, Tensor(b)),
    ):
        assert (type(y), y.dtype) == (Tensor, "bool")
        np.testing.assert_array_equal(y.numpy(), COMPARISONS[name](a, b))


def test_comparisons_broadcast():
    assert (Tensor([[1.0], [3.0]]) > Tensor([0.0, 2.0])).tolist() == [[True, False], [True, True]]


def test_comparisons_are_outside_every_graph():
    x = Tensor([1.0], requires_grad=True)
    assert not (x == x).requires_grad


@pytest.mark.parametrize("number", [0.1, np.float64(0.1), np.float32(0.1)])
def test_a_number_is_compared_in_the_tensors_dtype(number):
    assert (Tensor([0.1]) == number).tolist() == [True]


def test_arrays_compare_to_an_array():
    assert type(t.gt(np.ones(2), 0)) is np.ndarray


def test_sign_is_minus_one_zero_or_one_in_the_dtype_of_its_input():
    y = t.sign(Tensor([-2.0, 0.0, 5.0]))
    assert (y.tolist(), y.dtype) == ([-1, 0, 1], "float32")


# -- kinks ---------------------------------------------------------------------------------------------


def test_abs_has_derivative_zero_at_zero():
    assert gradient(t.abs, [-2.0, 0.0, 3.0]) == [-1, 0, 1]
    assert abs(Tensor([-2.0])).tolist() == [2]


def test_equal_elements_share_the_gradient_of_maximum_and_minimum():
    for function, dominated in ((t.maximum, 0), (t.minimum, 1)):
        a, b = (Tensor(np.array(v), requires_grad=True) for v in ([1.0, 1.0], [1.0, 2.0]))
        da, db = t.grad(function(a, b).sum(), [a, b])
        assert (da.tolist(), db.tolist()) == ([0.5, dominated], [0.5, 1 - dominated])


def test_a_tensor_beside_itself_gets_the_whole_gradient():
    assert gradient(lambda x: t.maximum(x, x), [2.0]) == [1]
    assert gradient(lambda x: t.minimum(x, x), [2.0]) == [1]


def test_the_maximum_with_a_number_has_half_a_gradient_at_the_kink():
    assert gradient(lambda x: t.maximum(x, 0), [-1.0, 0.0, 2.0]) == [0, 0.5, 1]


@few
@given(hnp.arrays(np.uint8, 4), hnp.arrays(np.uint8, 4))
def test_maximum_and_minimum_of_unsigned_integers_do_not_wrap(a, b):
    np.testing.assert_array_equal(t.maximum(Tensor(a), Tensor(b)).numpy(), np.maximum(a, b))
    np.testing.assert_array_equal(t.minimum(Tensor(a), Tensor(b)).numpy(), np.minimum(a, b))


def test_nan_is_passed_on():
    x = Tensor([math.nan, 1.0])
    for y in (t.maximum(x, 0), t.minimum(x, 0), t.abs(x), t.clamp(x, 0, 2)):
        assert math.isnan(y.tolist()[0])


def test_the_bounds_of_clamp_belong_to_the_inside():
    assert gradient(lambda x: t.clamp(x, -1, 1), [-2.0, -1.0, 0.5, 1.0, 2.0]) == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("bounds", "value"),
    [
        ({"min": 0}, [0, 0, 3]),
        ({"max": 1}, [-2, 0, 1]),
        ({"min": -1, "max": 1}, [-1, 0, 1]),
        ({"min": 2, "max": 1}, [1] * 3),
    ],
)
def test_clamp_has_its_known_values(bounds, value):
    assert t.clamp(Tensor([-2.0, 0.0, 3.0]), **bounds).tolist() == value


def test_clamped_integers_stay_integers():
    for bounds in ({"min": 0}, {"max": 1}, {"min": 0, "max": 1}):
        assert t.clamp(Tensor([-2, 0, 3]), **bounds).dtype == "int64"


@pytest.mark.parametrize("bound", [0.5, 1, np.float64(0.5), np.int64(1)])
def test_bounds_of_any_kind_keep_float32(bound):
    x = Tensor([0.0, 2.0], requires_grad=True)
    y = t.clamp(x, -bound, bound)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float32", "float32")


def test_clamp_without_bounds_is_refused():
    with pytest.raises(ValueError, match="clamp: needs min, max or both; got neither"):
        t.clamp(Tensor([1.0]))


def test_clamp_to_tensors_is_refused_with_what_does_it():
    message = "clamp: min and max are numbers; got Tensor. For tensors there are maximum and minimum"
    with pytest.raises(TypeError, match=message):
        t.clamp(Tensor([1.0]), min=Tensor([0.0]))
