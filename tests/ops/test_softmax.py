"""Softmax and its logarithm: what they keep, what they ignore, and where they do not overflow."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor

few = settings(max_examples=60, deadline=None)
logits = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=st.floats(-20, 20)
)


@few
@given(logits, st.integers(-2, 1))
def test_both_are_their_formulas(x, dim):
    p = np.exp(x) / np.exp(x).sum(axis=dim, keepdims=True)
    np.testing.assert_allclose(t.softmax(Tensor(x), dim).numpy(), p, rtol=1e-10)
    np.testing.assert_allclose(t.log_softmax(Tensor(x), dim).numpy(), np.log(p), rtol=1e-10, atol=1e-10)


@few
@given(logits, st.floats(-1000, 1000))
def test_an_offset_changes_nothing(x, offset):
    for function in (t.softmax, t.log_softmax):
        shifted = function(Tensor(x + offset), -1).numpy()
        np.testing.assert_allclose(shifted, function(Tensor(x), -1).numpy(), rtol=1e-9, atol=1e-11)


@few
@given(logits)
def test_probabilities_add_up_to_one_and_gradients_to_zero(x):
    leaf = Tensor(x, requires_grad=True)
    p = t.softmax(leaf, 0)
    np.testing.assert_allclose(p.numpy().sum(0), 1, rtol=1e-12)
    (g,) = t.grad(p, leaf, np.random.default_rng(0).standard_normal(p.shape))
    np.testing.assert_allclose(g.numpy().sum(0), 0, atol=1e-12)


def test_equal_logits_share():
    assert t.softmax(Tensor([[5.0] * 4]), 1).tolist() == [[0.25] * 4]
    assert t.log_softmax(Tensor(np.full(4, 5.0)), 0).tolist() == pytest.approx([-math.log(4)] * 4)


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_nothing_overflows(size):
    x = Tensor([[size, 0.0], [-size, 0.0]], requires_grad=True)
    p, q = t.softmax(x, 1), t.log_softmax(x, 1)
    (p * q).sum().backward()
    assert p.tolist() == [[1, 0], [0, 1]]
    assert q.tolist() == [[0, -np.float32(size)], [-np.float32(size), 0]]
    assert np.isfinite(x.grad.numpy()).all()


def test_a_logit_of_minus_infinity_has_probability_zero_and_gradient_zero():
    x = Tensor([[1.0, -math.inf, 1.0]], requires_grad=True)
    p = t.softmax(x, 1)
    p[0, 0].backward()
    assert p.tolist() == [[0.5, 0, 0.5]]
    assert x.grad.tolist() == [[0.25, 0, -0.25]]


def test_rows_without_a_sample_are_fine():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    t.softmax(x, 1).sum().backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [2, -3])
def test_a_dim_that_is_not_there_is_refused_by_name(name, dim):
    with pytest.raises(IndexError, match=f"{name}: dim {dim} is out of range for a tensor of 2 dimensions"):
        getattr(t, name)(Tensor(np.ones((2, 3))), dim)
