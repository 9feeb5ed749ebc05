"""Indexing, gather, scatter_add, one_hot and embedding: NumPy beside them, repetition, masks, messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.checking import gradcheck, gradgradcheck
from tinygrad_lite.nn import functional as F

few = settings(max_examples=100, deadline=None)


def count(*shape):
    """0, 1, 2, … in a shape: every element is told from every other."""
    return np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)


def by_add_at(key, shape, upstream):
    """The gradient of x[key]: NumPy's own unbuffered addition."""
    expected = np.zeros(shape)
    np.add.at(expected, key, upstream)
    return expected


def gradient_of_index(x, key, upstream):
    leaf = Tensor(x, requires_grad=True)
    return t.grad(leaf[key], leaf, upstream)[0].numpy()


# -- any key that NumPy takes --------------------------------------------------------------------------


@few
@given(st.data())
def test_basic_indexing_is_numpys(data):
    x = count(*data.draw(hnp.array_shapes(max_dims=4, max_side=4)))
    key = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True))
    y = x[key]
    np.testing.assert_array_equal(Tensor(x)[key].numpy(), y)
    upstream = np.random.default_rng(0).standard_normal(np.shape(y))
    np.testing.assert_array_equal(gradient_of_index(x, key, upstream), by_add_at(key, x.shape, upstream))


@few
@given(st.data())
def test_advanced_indexing_is_numpys_and_what_is_picked_twice_adds_up(data):
    x = count(*data.draw(hnp.array_shapes(max_dims=3, max_side=4)))
    parts = data.draw(
        hnp.integer_array_indices(x.shape, result_shape=hnp.array_shapes(max_dims=2, max_side=4))
    )
    key = parts[: data.draw(st.integers(1, len(parts)))]
    y = x[key]
    for given_key in (key, tuple(Tensor(k) for k in key), tuple(k.tolist() for k in key)):
        np.testing.assert_array_equal(Tensor(x)[given_key].numpy(), y)
        upstream = np.random.default_rng(0).standard_normal(y.shape)
        found = gradient_of_index(x, given_key, upstream)
        np.testing.assert_allclose(found, by_add_at(key, x.shape, upstream), rtol=1e-12, atol=1e-12)


TWICE = np.array([2, 0, 2])


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), TWICE),
        (TWICE, slice(None), 1),
        (..., TWICE),
        (None, TWICE),
        (TWICE, None, TWICE),
        (0, TWICE, slice(1, None)),
        (TWICE, slice(None), TWICE),
        TWICE[None],
        np.array(2),
        (np.array([True, False, True]), TWICE[:2]),
    ],
    ids=str,
)
def test_indices_beside_slices_none_and_masks_are_numpys(key):
    x = count(3, 3, 3)
    y = x[key]
    np.testing.assert_array_equal(Tensor(x)[key].numpy(), y)
    upstream = np.random.default_rng(0).standard_normal(y.shape)
    found = gradient_of_index(x, key, upstream)
    np.testing.assert_allclose(found, by_add_at(key, x.shape, upstream), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "twice", [[0, 0], (0, 0), range(1), Tensor([0, 0]), np.array([0, 0], "uint8")], ids=str
)
def test_a_row_picked_twice_by_any_sequence_gets_both_gradients(twice):
    picked = 1 if isinstance(twice, range) else 2
    x = count(2, 3)
    assert gradient_of_index(x, (twice,), np.ones((picked, 3))).tolist() == [[picked] * 3, [0] * 3]


@pytest.mark.parametrize("empty", [[], np.zeros(0, int), slice(2, 2), np.zeros(2, bool)], ids=str)
def test_nothing_can_be_picked(empty):
    x = count(2, 3)
    assert Tensor(x)[empty].shape == (0, 3)
    assert not gradient_of_index(x, empty, np.zeros((0, 3))).any()


def test_float16_gradients_stay_float16():
    x = Tensor(np.ones(3, "float16"), requires_grad=True)
    x[[1, 1]].sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == ("float16", [0, 2, 0])


# -- masks ---------------------------------------------------------------------------------------------

MASKS = {
    "elements": np.array([[True, False, True], [False, True, True]]),
    "rows": np.array([False, True]),
    "columns": (slice(None), np.array([True, False, True])),
}


@pytest.mark.parametrize("mask", MASKS)
def test_masks_differentiate_to_second_order(mask):
    x = np.random.default_rng(0).standard_normal((2, 3))
    gradcheck(lambda x: x[MASKS[mask]] ** 3, x)
    gradgradcheck(lambda x: x[MASKS[mask]] ** 3, x)


@few
@given(hnp.arrays(bool, (2, 3)))
def test_a_mask_picks_what_numpys_does(mask):
    x = count(2, 3)
    np.testing.assert_array_equal(Tensor(x)[Tensor(mask)].numpy(), x[mask])
    np.testing.assert_array_equal(gradient_of_index(x, mask, np.ones(mask.sum())), mask * 1.0)


# -- along a dimension ---------------------------------------------------------------------------------


@few
@given(st.data())
def test_gather_is_take_along_axis(data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.integers(1, 5))
    index_shape = tuple(n if i == dim % len(shape) else m for i, m in enumerate(shape))
    index = data.draw(hnp.arrays(np.int64, index_shape, elements=st.integers(0, shape[dim] - 1)))
    x = count(*shape)
    np.testing.assert_array_equal(
        t.gather(Tensor(x), dim, Tensor(index)).numpy(), np.take_along_axis(x, index, dim)
    )


@few
@given(hnp.arrays(np.int64, (2, 4), elements=st.integers(0, 2)))
def test_gather_and_scatter_add_are_adjoint(index):
    rng = np.random.default_rng(0)
    x, src = rng.standard_normal((2, 3)), rng.standard_normal((2, 4))
    leaf = Tensor(x, requires_grad=True)
    (g,) = t.grad(t.gather(leaf, 1, index), leaf, src)
    added = t.scatter_add(Tensor(np.zeros((2, 3))), 1, index, Tensor(src))
    np.testing.assert_array_equal(g.numpy(), added.numpy())


def test_scatter_add_leaves_its_input_alone():
    x = Tensor(np.ones((2, 3)))
    y = t.scatter_add(x, 1, Tensor([[0, 0]]), Tensor(np.array([[5.0, 7.0]])))
    assert (y.tolist(), x.tolist()) == ([[13, 1, 1], [1, 1, 1]], [[1, 1, 1]] * 2)


# -- classes and vocabularies --------------------------------------------------------------------------


def test_one_hot_has_its_one_at_the_label():
    y = F.one_hot(Tensor([[0, 2], [1, 1]]), 4)
    assert (y.shape, y.dtype) == ((2, 2, 4), "int64")
    np.testing.assert_array_equal(y.numpy(), np.eye(4, dtype=int)[[[0, 2], [1, 1]]])


def test_one_hot_counts_the_classes_if_not_told():
    assert F.one_hot(Tensor([0, 3])).shape == (2, 4)


def test_embedding_adds_up_the_gradients_of_a_word_that_comes_twice():
    weight = Tensor(count(5, 2), requires_grad=True)
    y = F.embedding(Tensor([[1, 4], [4, 4]]), weight)
    y.sum().backward()
    assert y.tolist() == [[[2, 3], [8, 9]], [[8, 9], [8, 9]]]
    assert weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [3, 3]]


# -- messages ------------------------------------------------------------------------------------------

X = Tensor(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: X[2], IndexError, "index 2 is out of bounds"),
        (lambda: X[[0, 2]], IndexError, "index 2 is out of bounds"),
        (lambda: X[1.0], IndexError, "only integers"),
        (
            lambda: X[[0.0]],
            IndexError,
            "getitem: an index is made of integers or booleans; got dtype float32",
        ),
        (
            lambda: X[np.ones(2)],
            IndexError,
            "getitem: an index is made of integers or booleans; got dtype float64",
        ),
        (lambda: X[0, 0, 0], IndexError, "too many indices"),
        (lambda: Tensor(1.0)[0], IndexError, "too many indices"),
        (lambda: t.gather(X, 1, [[3]]), IndexError, r"gather: index 3 is out of range; it must lie in 0 … 2"),
        (
            lambda: t.gather(X, 1, [[-1]]),
            IndexError,
            r"gather: index -1 is out of range; it must lie in 0 … 2",
        ),
        (lambda: t.gather(X, 1, [[0.0]]), IndexError, "gather: indices must be integers; got dtype float32"),
        (lambda: t.gather(X, 1, [[True]]), IndexError, "gather: indices must be integers; got dtype bool"),
        (
            lambda: t.gather(X, 2, [[0]]),
            IndexError,
            "gather: dim 2 is out of range for a tensor of 2 dimensions",
        ),
        (
            lambda: t.gather(X, 1, [0]),
            ValueError,
            r"gather: index needs as many dimensions .* index \(1,\), x \(2, 3\)",
        ),
        (
            lambda: t.gather(X, 1, [[0]] * 3),
            ValueError,
            r"none longer but dim 1; got index \(3, 1\), x \(2, 3\)",
        ),
        (
            lambda: t.scatter_add(X, 1, Tensor([[0]]), X),
            ValueError,
            r"scatter_add: src \(2, 3\) needs the shape of index \(1, 1\)",
        ),
        (
            lambda: F.one_hot(Tensor([3]), 3),
            IndexError,
            "one_hot: index 3 is out of range; it must lie in 0 … 2",
        ),
        (lambda: F.one_hot(Tensor([-1])), IndexError, "one_hot: index -1 is out of range"),
        (
            lambda: F.one_hot(Tensor([1.0]), 3),
            IndexError,
            "one_hot: indices must be integers; got dtype float32",
        ),
        (lambda: F.embedding([2], X), IndexError, "embedding: index 2 is out of range; it must lie in 0 … 1"),
        (lambda: F.embedding([0.5], X), IndexError, "embedding: indices must be integers"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_one_hot_of_no_labels_needs_to_be_told_the_classes():
    labels = np.zeros((2, 0), int)
    with pytest.raises(
        ValueError, match="one_hot: no label tells how many classes there are; give num_classes"
    ):
        F.one_hot(labels)
    assert F.one_hot(labels, 3).shape == (2, 0, 3)
