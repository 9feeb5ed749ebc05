"""Operations that rearrange: NumPy beside them, round trips, views, messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tinygrad_lite import Tensor
from tinygrad_lite.nn import functional as F

few = settings(max_examples=60, deadline=None)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def count(*shape):
    """0, 1, 2, … in a shape: every element is told from every other."""
    return np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)


def gradient(function, x, upstream):
    leaf = Tensor(x, requires_grad=True)
    return t.grad(function(leaf), leaf, upstream)[0].numpy()


# -- round trips, and gradients that go the way back ---------------------------------------------------


@few
@given(shapes, st.randoms())
def test_a_permutation_is_numpys_and_its_gradient_goes_back(shape, random):
    dims = list(range(len(shape)))
    random.shuffle(dims)
    x = count(*shape)
    y = t.permute(Tensor(x), dims)
    np.testing.assert_array_equal(y.numpy(), x.transpose(dims))
    np.testing.assert_array_equal(gradient(lambda z: t.permute(z, dims), x, x.transpose(dims)), x)


@few
@given(shapes)
def test_reshaping_keeps_the_order(shape):
    x = count(*shape)
    for target in ((-1,), (1, x.size), shape[::-1]):
        y = x.reshape(target)
        np.testing.assert_array_equal(Tensor(x).reshape(target).numpy(), y)
        np.testing.assert_array_equal(gradient(lambda z, target=target: z.reshape(target), x, y), x)


@few
@given(hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(3, 1, 2), max_dims=4, min_side=0))
def test_the_gradient_of_expand_is_sum_to_size_and_the_other_way_round(shapes):
    (shape,), whole = shapes.input_shapes, shapes.result_shape
    small, large = count(*shape), count(*whole)
    np.testing.assert_array_equal(Tensor(small).expand(whole).numpy(), np.broadcast_to(small, whole))
    np.testing.assert_array_equal(
        gradient(lambda z: z.expand(whole), small, large), Tensor(large).sum_to_size(shape).numpy()
    )
    np.testing.assert_array_equal(
        gradient(lambda z: z.sum_to_size(shape), large, small), np.broadcast_to(small, whole)
    )


@few
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(-3, 2))
def test_what_cat_joins_split_cuts_apart(lengths, dim):
    pieces = [count(*(n if i == dim % 3 else 2 for i in range(3))) for n in lengths]
    whole = t.cat([Tensor(p) for p in pieces], dim)
    np.testing.assert_array_equal(whole.numpy(), np.concatenate(pieces, dim))
    for piece, back in zip(pieces, t.split(whole, lengths, dim), strict=True):
        np.testing.assert_array_equal(back.numpy(), piece)


@few
@given(st.integers(0, 7), st.integers(1, 9))
def test_split_by_size_gives_torchs_lengths(n, size):
    pieces = t.split(Tensor(np.zeros(n)), size)
    full, rest = divmod(n, size)
    assert [len(p) for p in pieces] == [size] * full + [rest] * (rest > 0 or n == 0)


@few
@given(st.lists(st.integers(0, 2), min_size=6, max_size=6), st.integers(0, 3))
def test_pad_is_numpys_with_the_last_dim_first(widths, pairs):
    x = count(2, 3, 2)
    pad = widths[: 2 * pairs]
    numpys = [(0, 0)] * (3 - pairs) + [tuple(pad[i : i + 2]) for i in range(0, len(pad), 2)][::-1]
    y = F.pad(Tensor(x), pad, value=7.5)
    np.testing.assert_array_equal(y.numpy(), np.pad(x, numpys, constant_values=7.5))
    upstream = np.random.default_rng(0).standard_normal(y.shape)
    inside = tuple(slice(low, low + n) for (low, _), n in zip(numpys, x.shape, strict=True))
    np.testing.assert_array_equal(gradient(lambda z: F.pad(z, pad, value=7.5), x, upstream), upstream[inside])


@few
@given(st.integers(1, 3), st.integers(-3, 2))
def test_stack_is_numpys(number, dim):
    arrays = [count(2, 3) + 10 * k for k in range(number)]
    np.testing.assert_array_equal(t.stack([Tensor(a) for a in arrays], dim).numpy(), np.stack(arrays, dim))


# -- known values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: x.squeeze(), (2, 3)),
        (lambda x: x.squeeze(0), (2, 1, 3)),
        (lambda x: x.squeeze(1), (1, 2, 1, 3)),
        (lambda x: x.squeeze((0, -2)), (2, 3)),
        (lambda x: x.unsqueeze(0), (1, 1, 2, 1, 3)),
        (lambda x: x.unsqueeze(-1), (1, 2, 1, 3, 1)),
        (lambda x: x.unsqueeze(2), (1, 2, 1, 1, 3)),
        (lambda x: x.flatten(), (6,)),
        (lambda x: x.flatten(1), (1, 6)),
        (lambda x: x.flatten(0, 1), (2, 1, 3)),
        (lambda x: x.flatten(-2, -1), (1, 2, 3)),
        (lambda x: x.transpose(1, -1), (1, 3, 1, 2)),
        (lambda x: x.T, (3, 1, 2, 1)),
        (lambda x: x.reshape(3, -1), (3, 2)),
        (lambda x: x.reshape([6]), (6,)),
        (lambda x: x.expand(5, -1, 4, -1), (5, 2, 4, 3)),
        (lambda x: x.expand((7, 1, 2, 1, 3)), (7, 1, 2, 1, 3)),
        (lambda x: x.permute(3, 2, 1, 0), (3, 1, 2, 1)),
        (lambda x: x.permute((0, -1, 1, 2)), (1, 3, 2, 1)),
        (lambda x: t.split(x, 2, -1)[1], (1, 2, 1, 1)),
    ],
)
def test_shapes_are_torchs(function, shape):
    assert function(Tensor(np.zeros((1, 2, 1, 3)))).shape == shape


def test_a_tensor_of_no_dimensions_flattens_to_one():
    assert Tensor(3.0).flatten().tolist() == [3]
    assert Tensor(3.0).squeeze().shape == ()


def test_joining_different_dtypes_casts_gradients_back():
    single, double = (Tensor(np.ones(2, d), requires_grad=True) for d in ("float32", "float64"))
    for join in (t.cat, t.stack):
        y = join([single, double])
        single.grad = double.grad = None
        (y * y).sum().backward()
        assert (y.dtype, single.grad.dtype, double.grad.dtype) == ("float64", "float32", "float64")


def test_joining_arrays_beside_tensors_keeps_the_graph():
    x = Tensor(np.ones(2), requires_grad=True)
    t.cat([np.ones(3), x, x]).sum().backward()
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize(
    "view", [lambda x: x.reshape(6), lambda x: x.T, lambda x: x.expand(4, 2, 3), lambda x: x[0]]
)
def test_views_copy_nothing(view):
    x = Tensor(count(2, 3))
    assert np.shares_memory(view(x).data, x.data)


@pytest.mark.parametrize("value", [1, 1.5, np.float64(1.5), np.int64(1)])
def test_padding_keeps_the_dtype(value):
    assert F.pad(Tensor([1.0]), (1, 1), value=value).dtype == "float32"


# -- messages ------------------------------------------------------------------------------------------

A, B = Tensor(np.zeros((2, 3))), Tensor(np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: A.reshape(4, 2), ValueError, r"reshape: shape \(2, 3\) cannot become \(4, 2\)"),
        (lambda: A.reshape(-1, -1), ValueError, r"reshape: shape \(2, 3\) cannot become \(-1, -1\)"),
        (lambda: A.expand(2, 4), ValueError, r"expand: shape \(2, 3\) does not broadcast to \(2, 4\)"),
        (lambda: A.expand(3), ValueError, r"expand: shape \(2, 3\) does not broadcast to \(3,\)"),
        (
            lambda: A.expand(-1, 2, 3),
            ValueError,
            r"expand: shape \(2, 3\) does not broadcast to \(-1, 2, 3\)",
        ),
        (lambda: A.sum_to_size(3, 2), ValueError, r"sum_to_size: \(3, 2\) does not broadcast to .* \(2, 3\)"),
        (
            lambda: A.permute(0, 0),
            ValueError,
            r"permute: dims must name each of 2 dimensions once; got \(0, 0\)",
        ),
        (
            lambda: A.permute(0, 2),
            ValueError,
            r"permute: dims must name each of 2 dimensions once; got \(0, 2\)",
        ),
        (lambda: A.permute(0), ValueError, r"permute: .* got \(0,\)"),
        (
            lambda: A.transpose(0, 2),
            IndexError,
            "transpose: dim 2 is out of range for a tensor of 2 dimensions",
        ),
        (lambda: A.flatten(2), IndexError, "flatten: dim 2 is out of range"),
        (lambda: A.flatten(1, 0), ValueError, "flatten: start_dim 1 comes after end_dim 0"),
        (lambda: A.squeeze(5), IndexError, "squeeze: dim 5 is out of range"),
        (lambda: A.unsqueeze(4), IndexError, "unsqueeze: dim 4 is out of range"),
        (lambda: A.split(1, 7), IndexError, "split: dim 7 is out of range"),
        (
            lambda: Tensor(1.0).split(1),
            IndexError,
            "split: dim 0 is out of range for a tensor of 0 dimensions",
        ),
        (lambda: A.split(0), ValueError, "split: split_size must be at least 1; got 0"),
        (
            lambda: A.split([-1, 4], 1),
            ValueError,
            r"split: lengths must be at least 0; got \[-1, 4\]",
        ),
        (
            lambda: A.split([1, 1], 1),
            ValueError,
            r"split: lengths \[1, 1\] do not add up to 3, the length of dim 1",
        ),
        (lambda: t.cat([]), ValueError, "cat: needs a list of at least one tensor, .*; got 0 tensors"),
        (lambda: t.cat(t.ones(2)), ValueError, r"as in cat\(\[x, y\], dim\); got Tensor"),
        (
            lambda: t.cat([A, B]),
            ValueError,
            r"cat: shapes must be equal but for dim 0; got \(2, 3\), \(2, 4\)",
        ),
        (lambda: t.cat([A, Tensor(1.0)]), ValueError, r"cat: shapes must be equal .* got \(2, 3\), \(\)"),
        (lambda: t.cat([A, A], 2), IndexError, "cat: dim 2 is out of range"),
        (
            lambda: t.cat([Tensor(1.0)] * 2),
            IndexError,
            "cat: dim 0 is out of range for a tensor of 0 dimensions",
        ),
        (lambda: t.stack([A, B]), ValueError, r"stack: needs tensors of one shape; got \(2, 3\), \(2, 4\)"),
        (lambda: t.stack([]), ValueError, "stack: needs tensors of one shape; got none"),
        (lambda: t.stack([A, A], 4), IndexError, "unsqueeze: dim 4 is out of range"),
        (
            lambda: F.pad(A, (1,)),
            ValueError,
            r"pad: needs pairs of widths ≥ 0 for at most 2 dimensions; got \(1,\)",
        ),
        (lambda: F.pad(A, (1,) * 6), ValueError, "pad: needs pairs of widths"),
        (lambda: F.pad(A, (1, -1)), ValueError, r"pad: needs pairs of widths ≥ 0 .* got \(1, -1\)"),
        (lambda: F.pad(A, (1, 1), mode="reflect"), ValueError, "pad: only mode 'constant' .* got 'reflect'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_clone_shares_no_memory_and_keeps_the_layout():
    x = t.Tensor(np.arange(6.0).reshape(2, 3).T)
    y = x.clone()
    assert not np.shares_memory(x.numpy(), y.numpy())
    assert y.numpy().strides == x.numpy().strides
    assert y.tolist() == x.tolist()
