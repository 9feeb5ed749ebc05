"""Reductions: NumPy beside them, ties, empty and infinite ones, dtypes, messages."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor

few = settings(max_examples=60, deadline=None)
INF, NAN = math.inf, math.nan


def logsumexp_by_hand(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


REFERENCES = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "amin": np.min,
    "logsumexp": logsumexp_by_hand,
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, ddof=0, keepdims=keepdims),
}


@st.composite
def reductions(draw):
    """An array, and what to reduce of it: None, a dimension, or several, from either end."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    x = np.random.default_rng(draw(st.integers(0, 99))).standard_normal(shape)
    some = st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple)
    dim = draw(st.none() | st.integers(-len(shape), len(shape) - 1) | some)
    return x, dim, draw(st.booleans())


@few
@given(reductions(), st.sampled_from(sorted(REFERENCES)))
def test_values_are_numpys(reduction, name):
    x, dim, keepdim = reduction
    options = {"correction": 0} if name == "var" else {}
    y = getattr(t, name)(Tensor(x), dim, keepdim=keepdim, **options)
    expected = REFERENCES[name](x, axis=dim, keepdims=keepdim)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-13)


@few
@given(reductions(), st.sampled_from(sorted(REFERENCES)))
def test_every_element_gets_a_gradient_of_the_inputs_shape(reduction, name):
    x = Tensor(reduction[0], requires_grad=True)
    options = {"correction": 0} if name == "var" else {}
    getattr(t, name)(x, reduction[1], keepdim=reduction[2], **options).sum().backward()
    assert x.grad.shape == x.shape
    if name in (
        "amax",
        "amin",
        "sum",
        "mean",
        "logsumexp",
    ):  # each spreads 1, or n for a sum, over what it reduces
        total = x.numel() if name == "sum" else getattr(t, name)(x, reduction[1]).numel()
        assert x.grad.numpy().sum() == pytest.approx(total)


def test_a_list_of_dims_is_as_good_as_a_tuple():
    assert t.sum(Tensor(np.ones((2, 3, 5))), [0, 2]).tolist() == [10, 10, 10]


# -- sums, means, variances ----------------------------------------------------------------------------


def test_the_mean_over_two_dims_divides_by_their_lengths():
    assert t.mean(Tensor(np.ones((2, 3, 5))), (0, 1)).tolist() == [1] * 5
    assert t.mean(Tensor(np.ones((2, 3, 5))), (1,)).tolist() == [[1] * 5] * 2


def test_a_sum_of_no_elements_is_zero_with_an_empty_gradient():
    x = Tensor(np.zeros((3, 0)), requires_grad=True)
    y = t.sum(x, 1)
    y.sum().backward()
    assert (y.tolist(), x.grad.shape) == ([0, 0, 0], (3, 0))


def test_integers_and_booleans_are_counted():
    assert t.sum(Tensor([True, True, False])).item() == 2
    assert t.sum(Tensor([1, 2])).dtype == "int64"
    assert t.mean(Tensor([1, 2])).item() == 1.5


def test_float16_is_summed_and_averaged_beyond_its_largest_number():
    x = Tensor(np.ones(70_000, "float16"), requires_grad=True)
    average = t.mean(x)
    average.backward()
    assert (average.item(), average.dtype, x.grad.dtype) == (1, "float16", "float16")
    ones = Tensor(np.ones(4096, "float16"))
    assert t.sum(ones).item() == 4096  # one by one in float16, it would stay at 2048


def test_the_variance_divides_by_the_correction_asked_for():
    x = Tensor([1.0, 2.0, 6.0])
    assert [t.var(x, correction=c).item() for c in (0, 1, 2)] == pytest.approx([14 / 3, 7, 14])


@pytest.mark.parametrize("correction", [1, np.int64(1), np.float64(1)])
def test_a_correction_of_any_kind_keeps_float32(correction):
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = t.var(x, correction=correction)
    y.backward()
    assert (y.dtype, x.grad.dtype) == ("float32", "float32")


def test_the_variance_of_equal_elements_is_zero_with_gradient_zero():
    x = Tensor([3.0, 3.0], requires_grad=True)
    y = t.var(x)
    y.backward()
    assert (y.item(), x.grad.tolist()) == (0, [0, 0])


@pytest.mark.parametrize(("n", "correction"), [(1, 1), (0, 0), (2, 2)])
def test_a_variance_of_too_few_is_refused(n, correction):
    with pytest.raises(
        ValueError, match=rf"var: needs more than {correction} elements \(the correction\); got {n}"
    ):
        t.var(Tensor(np.ones(n)), correction=correction)


# -- largest and smallest ------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [t.amax, t.amin, t.max, t.min])
def test_elements_that_tie_share_the_gradient(function):
    x = Tensor([2.0, 2.0, 2.0, 2.0], requires_grad=True)
    function(x).backward()
    assert x.grad.tolist() == [0.25] * 4


def test_ties_are_counted_in_each_row():
    x = Tensor([[3.0, 3.0, 1.0], [0.0, 5.0, 1.0]], requires_grad=True)
    (t.amax(x, 1) * Tensor([2.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [[1, 1, 0], [0, 10, 0]]


@pytest.mark.parametrize(("function", "values"), [(t.max, [[5, 4]]), (t.min, [[1, 0]])])
def test_along_a_dim_the_first_of_the_tied_gets_the_gradient(function, values):
    x = Tensor([[5.0, 0.0], [1.0, 4.0], [5.0, 4.0], [1.0, 0.0]], requires_grad=True)
    found, indices = function(x, 0, keepdim=True)
    found.sum().backward()
    assert found.tolist() == values
    assert indices.tolist() == [[0, 1]] if function is t.max else [[1, 0]]
    assert x.grad.numpy().sum(0).tolist() == [1, 1]
    assert x.grad.tolist()[2:] == [[0, 0], [0, 0]]


def test_max_and_min_name_their_results():
    x = Tensor([[1.0, 7.0], [9.0, 3.0]])
    assert (t.max(x, 1).values.tolist(), t.max(x, 1).indices.tolist()) == ([7, 9], [1, 0])
    assert (x.min(-1).values.tolist(), x.min(-1).indices.tolist()) == ([1, 3], [0, 1])


@few
@given(reductions())
def test_argmax_and_argmin_are_numpys(reduction):
    x, dim, keepdim = reduction
    dim = dim if isinstance(dim, int) else None
    np.testing.assert_array_equal(
        t.argmax(Tensor(x), dim, keepdim).numpy(), np.argmax(x, dim, keepdims=keepdim)
    )
    np.testing.assert_array_equal(
        t.argmin(Tensor(x), dim, keepdim).numpy(), np.argmin(x, dim, keepdims=keepdim)
    )


def test_the_smallest_of_unsigned_integers_does_not_wrap():
    x = Tensor(np.array([0, 5], "uint8"))
    assert (t.amin(x).item(), t.min(x, 0).values.item(), t.min(x, 0).indices.item()) == (0, 0, 0)


def test_infinite_elements_are_largest_and_smallest():
    x = Tensor([-INF, 0.0, INF], requires_grad=True)
    t.amax(x).backward()
    t.amin(x).backward(np.float32(2))
    assert x.grad.tolist() == [2, 0, 1]


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_the_largest_of_no_elements_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: there is no element over dim 1 of shape \(3, 0\)"):
        getattr(t, name)(Tensor(np.zeros((3, 0))), 1)
    assert getattr(t, name)(Tensor(np.zeros((3, 0))), 0).shape == (0,)


# -- logsumexp -----------------------------------------------------------------------------------------


def test_logsumexp_of_n_equal_numbers_adds_log_n():
    assert t.logsumexp(Tensor(np.full(7, 800.0)), 0).item() == pytest.approx(800 + math.log(7))
    assert t.logsumexp(Tensor(np.full(7, -800.0)), 0).item() == pytest.approx(-800 + math.log(7))


def test_logsumexp_takes_infinite_elements():
    with np.errstate(divide="ignore"):
        y = t.logsumexp(Tensor([[-INF, -INF], [-INF, 1.0], [INF, 1.0]]), 1)
    assert y.tolist() == [-INF, 1, INF]


def test_the_gradient_of_logsumexp_is_the_softmax():
    x = Tensor(np.array([1.0, 3.0, -2.0]), requires_grad=True)
    t.logsumexp(x, 0).backward()
    np.testing.assert_allclose(x.grad.numpy(), t.softmax(x, 0).numpy(), rtol=1e-15)


def test_a_dim_may_be_an_integer_of_numpy():
    assert t.sum(Tensor(np.ones((2, 3))), np.int64(1)).tolist() == [3, 3]


# -- messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sum", "mean", "var", "amax", "amin", "logsumexp", "argmax", "argmin", "max", "min"]
)
@pytest.mark.parametrize("dim", [2, -3])
def test_a_dim_that_is_not_there_is_refused_by_name(name, dim):
    with pytest.raises(IndexError, match=f"{name}: dim {dim} is out of range for a tensor of 2 dimensions"):
        getattr(t, name)(Tensor(np.ones((2, 3))), dim)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "amax", "amin", "logsumexp"])
def test_a_dim_named_twice_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name}: dim \(1, -1\) names a dimension twice"):
        getattr(t, name)(Tensor(np.ones((2, 3))), (1, -1))


def test_logsumexp_takes_no_dimensions_and_integers():
    assert t.logsumexp(Tensor(2.0), ()).item() == 2
    assert t.logsumexp(Tensor([1, 2, 3]), 0).item() == pytest.approx(np.log(np.exp([1, 2, 3]).sum()))
