"""Clipping of gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinygrad_lite import Tensor
from tinygrad_lite.optim import clip_grad_norm_


def with_gradients(*gradients, device=None):
    parameters = [Tensor(np.zeros_like(g), device=device, requires_grad=True) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = Tensor(g.copy(), device=device)
    return parameters


def test_a_gradient_of_3_and_4_has_length_5_and_is_scaled_to_1(device):
    p, q = with_gradients(np.array([3.0]), np.array([[4.0]]), device=device)
    norm = clip_grad_norm_([p, q], max_norm=1.0)
    assert norm.item() == 5.0
    assert p.grad.numpy().tolist() == [pytest.approx(0.6)]
    assert q.grad.numpy().tolist() == [[pytest.approx(0.8)]]


def test_a_short_gradient_is_left_as_it_is():
    (p,) = with_gradients(np.array([0.3, 0.4]))
    assert clip_grad_norm_([p], max_norm=1.0).item() == 0.5
    assert p.grad.tolist() == [0.3, 0.4]


GRADIENTS = arrays("float64", array_shapes(min_dims=0, max_dims=2, max_side=4), elements=st.floats(-100, 100))


@settings(deadline=None, max_examples=50)
@given(st.lists(GRADIENTS, min_size=1, max_size=4), st.floats(0, 10))
def test_afterwards_no_gradient_is_longer_and_its_direction_is_the_same(gradients, max_norm):
    parameters = with_gradients(*gradients)
    norm = clip_grad_norm_(iter(parameters), max_norm).item()
    before = np.concatenate([g.ravel() for g in gradients])
    after = np.concatenate([p.grad.numpy().ravel() for p in parameters])
    assert norm == pytest.approx(np.linalg.norm(before))
    assert np.linalg.norm(after) <= max_norm + 1e-9
    np.testing.assert_allclose(after, before * min(1, max_norm / (norm + 1e-6)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dtype_stays_what_it_is(dtype, device):
    (p,) = with_gradients(np.array([3.0, 4.0], dtype=dtype), device=device)
    norm = clip_grad_norm_([p], max_norm=1)
    assert (norm.dtype, p.grad.dtype) == (dtype, dtype)


def test_one_tensor_is_clipped_by_itself():
    (p,) = with_gradients(np.array([30.0, 40.0]))
    assert clip_grad_norm_(p, max_norm=5.0).item() == 50.0
    np.testing.assert_allclose(p.grad.numpy(), [3.0, 4.0])


def test_parameters_without_gradient_are_left_out():
    (p,) = with_gradients(np.array([3.0, 4.0]))
    assert clip_grad_norm_([Tensor([1.0], requires_grad=True), p], max_norm=10.0).item() == 5.0


def test_without_any_gradient_the_length_is_0():
    assert clip_grad_norm_([Tensor([1.0], requires_grad=True)], max_norm=1.0).item() == 0.0


def test_one_nan_makes_the_length_and_all_gradients_nan():
    p, q = with_gradients(np.array([1.0, np.nan]), np.array([2.0]))
    assert np.isnan(clip_grad_norm_([p, q], max_norm=1.0).item())
    assert np.isnan(q.grad.item())


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="clip_grad_norm_: max_norm must be at least 0; got -1"):
        clip_grad_norm_([], max_norm=-1)


def test_a_graph_of_the_gradients_from_before_refuses_to_run():
    x = Tensor([3.0, 4.0], requires_grad=True)
    (x * x * x).sum().backward(create_graph=True)
    penalty = (x.grad * x.grad).sum()
    clip_grad_norm_([x], max_norm=1.0)
    with pytest.raises(RuntimeError, match="was written in place"):
        penalty.backward()
