"""Matrix products and linear: NumPy beside them, vectors, batches, messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.nn import functional as F

few = settings(max_examples=60, deadline=None)


@few
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3))
def test_values_and_the_shapes_of_gradients_are_those_of_numpy(shapes):
    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes.input_shapes)
    y = a @ b
    assert y.shape == shapes.result_shape
    np.testing.assert_allclose(y.numpy(), a.numpy() @ b.numpy(), rtol=1e-12, atol=1e-13)
    da, db = t.grad(y, [a, b], np.ones(y.shape))
    assert (da.shape, db.shape) == (a.shape, b.shape)


@few
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
def test_the_product_is_linear_in_each_factor(shapes):
    # so Σ a·∂y/∂a = y, and the same for b: every gradient is held by a sum, whatever the batches and vectors
    rng = np.random.default_rng(0)
    a, b = (Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes.input_shapes)
    y = a @ b
    upstream = rng.standard_normal(y.shape)
    total = pytest.approx((y.numpy() * upstream).sum(), abs=1e-10)
    da, db = t.grad(y, [a, b], upstream)
    assert (da.numpy() * a.numpy()).sum() == total
    assert (db.numpy() * b.numpy()).sum() == total


def test_the_operator_takes_an_array_on_either_side():
    x = Tensor(np.eye(2), requires_grad=True)
    assert (np.ones((3, 2)) @ x).shape == (3, 2)
    assert (x @ np.ones(2)).tolist() == [1, 1]


def test_only_the_gradients_that_are_wanted_are_computed():
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    node = (x @ Tensor(np.ones((2, 2)))).grad_fn
    assert node.backward_fused(np.ones((2, 2)), *node._link[1])[1] is None


def test_integers_multiply_too():
    y = Tensor([[1, 2]]) @ Tensor([[3], [4]])
    assert (y.tolist(), y.dtype, y.requires_grad) == ([[11]], "int64", False)


@pytest.mark.parametrize(
    ("a", "b", "got"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), r"\(2, 3\) and \(2, 3\)"),
        (np.ones(3), np.ones(2), r"\(3,\) and \(2,\)"),
        (np.ones((2, 3)), np.ones(2), r"\(2, 3\) and \(2,\)"),
        (np.ones(2), np.ones((3, 2)), r"\(2,\) and \(3, 2\)"),
        (np.ones((2, 3)), np.array(1.0), r"\(2, 3\) and \(\)"),
        (np.array(1.0), np.ones(3), r"\(\) and \(3,\)"),
    ],
)
def test_factors_that_do_not_fit_are_refused_with_both_shapes(a, b, got):
    with pytest.raises(
        ValueError, match=rf"matmul: needs \(…, n, k\) and \(…, k, m\), or vectors.* got {got}"
    ):
        Tensor(a) @ Tensor(b)


def test_numbers_and_lists_are_no_matrices():
    for other in (2.0, [1.0, 2.0]):
        with pytest.raises(ValueError, match="matmul: needs"):
            Tensor([1.0, 2.0]) @ other


def test_batches_that_do_not_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"^matmul: batches of .*4\) and .*3\) could not be broadcast"):
        Tensor(np.ones((2, 3, 4))) @ Tensor(np.ones((5, 4, 3)))


# -- linear --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (0, 5), (2, 0, 5)])
def test_linear_is_the_product_with_the_transposed_weight_plus_the_bias(shape, rng):
    x, w, b = (Tensor(rng.standard_normal(s), requires_grad=True) for s in (shape, (2, 5), (2,)))
    y = F.linear(x, w, b)
    composed = x @ w.T + b
    np.testing.assert_allclose(y.numpy(), composed.numpy(), rtol=1e-12)
    upstream = rng.standard_normal(y.shape)
    for g, h in zip(t.grad(y, [x, w, b], upstream), t.grad(composed, [x, w, b], upstream), strict=True):
        np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=1e-12, atol=1e-13)


def test_linear_does_not_write_into_its_inputs(rng):
    x, w, b = (Tensor(rng.standard_normal(s)) for s in ((3, 5), (2, 5), (2,)))
    before = [z.numpy().copy() for z in (x, w, b)]
    F.linear(x, w, b)
    for z, was in zip((x, w, b), before, strict=True):
        np.testing.assert_array_equal(z.numpy(), was)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 4), (2, 5), None), r"linear: needs x \(…, in\), weight \(out, in\); got \(3, 4\), \(2, 5\)"),
        (((), (2, 5), None), r"linear: needs x .* got \(\), \(2, 5\)"),
        (((3, 5), (5,), None), r"linear: needs x .* got \(3, 5\), \(5,\)"),
        (((3, 5), (2, 5), (3,)), r"linear: bias needs shape \(2,\); got \(3,\)"),
        (((3, 5), (2, 5), (1,)), r"linear: bias needs shape \(2,\); got \(1,\)"),
        (((3, 5), (2, 5), (3, 2)), r"linear: bias needs shape \(2,\); got \(3, 2\)"),
    ],
)
def test_linear_refuses_shapes_that_do_not_fit(shapes, message):
    tensors = [None if shape is None else Tensor(np.ones(shape)) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        F.linear(*tensors)


def test_linear_refuses_an_input_of_another_dtype_and_says_how_to_convert():
    x, w = np.zeros((2, 3)), np.zeros((4, 3), dtype="float32")
    got = r"linear: needs one dtype for all; got input float64, weight float32\. Convert .* \.astype\(dtype\)"
    with pytest.raises(TypeError, match=got):
        F.linear(x, w)
