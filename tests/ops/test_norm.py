"""ops/norm.py: known values, invariances, second implementations, special points, messages."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite.kernels.norm import channels_last, channels_second
from tinygrad_lite.nn.functional import batch_norm, group_norm, layer_norm, normalize

NORMS = {
    "batch_norm": lambda x: batch_norm(x, None, None, training=True, eps=0.0),
    "group_norm": lambda x: group_norm(x, 3, eps=0.0),
    "layer_norm": lambda x: layer_norm(x, x.shape[-1:], eps=0.0),
}


def draws(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def numbers(tensor):
    return tensor.numpy()


def channels_last_in_memory(x):
    """The same numbers, laid out as a convolution lays out its output."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, 3, 1, 2)


def gradients(output, *leaves):
    upstream = draws(*output.shape, seed=9, dtype=output.dtype)
    return [g.numpy() for g in t.grad(output, leaves, upstream)]


# -- second implementations: loops over what is averaged, no line shared -----------------------------------


def standardized(values, eps):
    """Numbers less their mean, over the root of their variance, one by one."""
    flat = [float(v) for v in np.ravel(values)]
    m = math.fsum(flat) / len(flat)
    v = math.fsum((x - m) ** 2 for x in flat) / len(flat)
    return np.reshape([(x - m) / math.sqrt(v + eps) for x in flat], np.shape(values))


def batch_norm_by_loops(x, w, b, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        y[:, c] = w[c] * standardized(x[:, c], eps) + b[c]
    return y


def group_norm_by_loops(x, groups, w, b, eps):
    y = np.empty_like(x)
    size = x.shape[1] // groups
    for n in range(x.shape[0]):
        for start in range(0, x.shape[1], size):
            y[n, start : start + size] = standardized(x[n, start : start + size], eps)
    for c in range(x.shape[1]):
        y[:, c] = w[c] * y[:, c] + b[c]
    return y


def layer_norm_by_loops(x, w, b, eps):
    rows = x.reshape(-1, w.size)
    return np.reshape([w.ravel() * standardized(row, eps) + b.ravel() for row in rows], x.shape)


spatial = st.lists(st.integers(1, 4), max_size=2)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 4), c=st.integers(1, 4), pixels=spatial)
def test_batch_norm_is_what_loops_over_channels_give(n, c, pixels):
    x, w, b = draws(n, c, *pixels), draws(c, seed=1), draws(c, seed=2)
    y = batch_norm(t.Tensor(x), None, None, t.Tensor(w), t.Tensor(b), training=True, eps=0.1)
    np.testing.assert_allclose(numbers(y), batch_norm_by_loops(x, w, b, 0.1), atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 3), groups=st.integers(1, 3), size=st.integers(1, 3), pixels=spatial)
def test_group_norm_is_what_loops_over_samples_and_groups_give(n, groups, size, pixels):
    c = groups * size
    x, w, b = draws(n, c, *pixels), draws(c, seed=1), draws(c, seed=2)
    y = group_norm(t.Tensor(x), groups, t.Tensor(w), t.Tensor(b), eps=0.1)
    np.testing.assert_allclose(numbers(y), group_norm_by_loops(x, groups, w, b, 0.1), atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    batch=st.lists(st.integers(1, 3), max_size=2), last=st.lists(st.integers(1, 4), min_size=1, max_size=2)
)
def test_layer_norm_is_what_a_loop_over_rows_gives(batch, last):
    x, w, b = draws(*batch, *last), draws(*last, seed=1), draws(*last, seed=2)
    y = layer_norm(t.Tensor(x), last, t.Tensor(w), t.Tensor(b), eps=0.1)
    np.testing.assert_allclose(numbers(y), layer_norm_by_loops(x, w, b, 0.1), atol=1e-12)


# -- what a normalized output is like ----------------------------------------------------------------------

AVERAGED = {"batch_norm": (0, 2, 3), "layer_norm": (3,)}


@pytest.mark.parametrize("name", AVERAGED)
def test_the_output_has_mean_0_and_variance_1(name):
    y = numbers(NORMS[name](t.Tensor(draws(5, 6, 4, 7) * 3 + 2)))
    np.testing.assert_allclose(y.mean(AVERAGED[name]), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(AVERAGED[name]), 1, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_scale_and_offset_of_the_input_change_nothing(norm):
    x = draws(5, 6, 4, 7)
    np.testing.assert_allclose(numbers(norm(t.Tensor(3 * x + 2))), numbers(norm(t.Tensor(x))), atol=1e-12)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_no_gradient_points_along_the_output_or_along_a_constant(norm):
    x = t.Tensor(draws(5, 6, 4, 7), requires_grad=True)
    y = norm(x)
    (g,) = gradients(y, x)
    assert abs((g * numbers(y)).sum()) < 1e-10
    assert abs(g.sum()) < 1e-10


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_float32_far_from_0_keeps_its_digits(norm):
    x = draws(5, 6, 4, 7)
    y = numbers(norm(t.Tensor((x + 1000).astype("float32"))))
    np.testing.assert_allclose(y, numbers(norm(t.Tensor(x))), atol=2e-3)


def test_one_group_is_the_layer_norm_of_whole_samples():
    x = t.Tensor(draws(3, 4, 5, 2))
    np.testing.assert_allclose(numbers(group_norm(x, 1)), numbers(layer_norm(x, (4, 5, 2))), atol=1e-12)


def test_a_group_for_each_channel_is_the_batch_norm_of_a_single_image():
    x = t.Tensor(draws(1, 4, 5, 2))
    alone = batch_norm(x, None, None, training=True)
    np.testing.assert_allclose(numbers(group_norm(x, 4)), numbers(alone), atol=1e-12)


def test_a_constant_input_gives_the_bias():
    x, b = t.Tensor(np.full((3, 4), 7.0)), t.Tensor(draws(4))
    np.testing.assert_array_equal(numbers(layer_norm(x, (4,), None, b)), np.tile(b.numpy(), (3, 1)))


# -- running statistics ------------------------------------------------------------------------------------


def test_training_moves_the_running_statistics_by_momentum_with_the_variance_over_n_minus_1():
    x = draws(5, 3, 2, 4)
    mean, var = t.Tensor(draws(3, seed=1)), t.Tensor(np.ones(3))
    m = 0.7 * mean.numpy() + 0.3 * x.mean((0, 2, 3))
    v = 0.7 * var.numpy() + 0.3 * x.var((0, 2, 3), ddof=1)
    batch_norm(t.Tensor(x), mean, var, training=True, momentum=0.3)
    np.testing.assert_allclose(mean.numpy(), m, rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), v, rtol=1e-12)


def test_without_training_it_is_affine_by_the_running_statistics_and_leaves_them():
    x, mean, var, w, b = (
        draws(2, 3, 4),
        draws(3, seed=1),
        np.array([0.5, 1, 2]),
        draws(3, seed=2),
        draws(3, seed=3),
    )
    given_mean, given_var = t.Tensor(mean.copy()), t.Tensor(var.copy())
    y = batch_norm(t.Tensor(x), given_mean, given_var, t.Tensor(w), t.Tensor(b), eps=0.1)
    column = (slice(None), None)
    by_hand = (x - mean[column]) / np.sqrt(var[column] + 0.1) * w[column] + b[column]
    np.testing.assert_allclose(numbers(y), by_hand, atol=1e-12)
    np.testing.assert_array_equal(given_mean.numpy(), mean)
    np.testing.assert_array_equal(given_var.numpy(), var)


def test_without_weight_and_bias_the_running_statistics_standardize():
    x, mean, var = draws(2, 3), np.array([1.0, 0, -1]), np.array([0.5, 1, 2])
    y = batch_norm(t.Tensor(x), t.Tensor(mean), t.Tensor(var), eps=0.0)
    np.testing.assert_allclose(numbers(y), (x - mean) / np.sqrt(var), atol=1e-12)


def test_running_statistics_are_constants_for_the_gradient():
    x, w = t.Tensor(draws(5, 3), requires_grad=True), t.Tensor(draws(3, seed=2), requires_grad=True)
    var = t.Tensor(np.array([0.5, 1.0, 2.0]))
    y = batch_norm(x, t.Tensor(np.zeros(3)), var, w, eps=0.0)
    (g,) = t.grad(y, x, np.ones((5, 3)))
    np.testing.assert_allclose(g.numpy(), np.tile(w.numpy() / np.sqrt(var.numpy()), (5, 1)), rtol=1e-12)


def test_statistics_that_move_after_the_forward_pass_do_not_disturb_the_backward():
    x, mean, var = t.Tensor(draws(5, 3), requires_grad=True), t.Tensor(np.zeros(3)), t.Tensor(np.full(3, 4.0))
    y = batch_norm(x, mean, var, eps=0.0)
    batch_norm(x, mean, var, training=True)
    (g,) = t.grad(y, x, np.ones((5, 3)))
    np.testing.assert_array_equal(g.numpy(), 0.5)


def test_running_statistics_in_float32_leave_a_float64_input_in_float64():
    y = batch_norm(t.Tensor(draws(5, 3)), t.Tensor([0.0] * 3), t.Tensor([1.0] * 3))
    assert y.dtype == "float64"


def test_moving_the_running_statistics_counts_as_a_write_in_place():
    mean = t.Tensor([0.0] * 3, requires_grad=False)
    x = t.Tensor(draws(5, 3, dtype="float32"), requires_grad=True)
    y = (x * mean).sum()
    batch_norm(x, mean, None, training=True)
    with pytest.raises(RuntimeError, match="was written in place"):
        y.backward()


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_nothing_of_the_size_of_the_input_is_kept_beside_the_input(norm):
    node = norm(t.Tensor(draws(5, 6, 4, 7), requires_grad=True)).grad_fn
    assert max(a.size for a in vars(node).values() if isinstance(a, np.ndarray)) <= 5 * 6 * 4


# -- layouts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [NORMS["batch_norm"], NORMS["group_norm"]], ids=["batch_norm", "group_norm"])
def test_images_with_channels_last_in_memory_stay_so(norm):
    x = t.Tensor(channels_last_in_memory(draws(5, 6, 4, 7)), requires_grad=True)
    y = norm(x)
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_allclose(numbers(y), numbers(norm(t.Tensor(x.numpy().copy()))), atol=1e-12)


def test_the_running_statistics_of_images_do_not_depend_on_the_layout():
    x, mean = draws(5, 6, 4, 7), t.Tensor(draws(6))
    y = batch_norm(t.Tensor(x), mean, t.Tensor(np.ones(6)))
    z = batch_norm(t.Tensor(channels_last_in_memory(x)), mean, t.Tensor(np.ones(6)))
    np.testing.assert_allclose(numbers(z), numbers(y), atol=1e-12)


def test_channels_last_and_back_is_the_same_array():
    x = draws(3, 4, 5, 2)
    np.testing.assert_array_equal(channels_second(channels_last(x), x.shape), x)


def test_channels_last_copies_nothing_that_is_so_already():
    x = channels_last_in_memory(draws(3, 4, 5, 2))
    assert np.shares_memory(channels_last(x), x)


# -- normalize ---------------------------------------------------------------------------------------------


def test_vectors_come_out_with_length_1_and_their_direction():
    np.testing.assert_allclose(numbers(normalize(t.Tensor([[3.0, 4.0], [0.0, -2.0]]))), [[0.6, 0.8], [0, -1]])


@pytest.mark.parametrize("dim", [0, -1, (0, 2), None])
def test_lengths_are_taken_along_the_dimensions_that_dim_names(dim):
    y = numbers(normalize(t.Tensor(draws(3, 4, 5)), dim=dim))
    np.testing.assert_allclose((y * y).sum(axis=dim), 1, rtol=1e-12)


def test_the_gradient_does_not_point_along_the_vector():
    x = t.Tensor(draws(4, 5), requires_grad=True)
    (g,) = gradients(normalize(x), x)
    np.testing.assert_allclose((g * x.numpy()).sum(1), 0, atol=1e-12)


def test_a_vector_shorter_than_eps_is_divided_by_eps_and_so_is_its_gradient():
    x = t.Tensor(np.array([[0.0, 0.0], [0.3, 0.0]]), requires_grad=True)
    y = normalize(x, eps=0.5)
    (g,) = t.grad(y, x, np.ones((2, 2)))
    np.testing.assert_allclose(y.numpy(), [[0, 0], [0.6, 0]])
    np.testing.assert_allclose(g.numpy(), np.full((2, 2), 2.0))


def test_a_row_of_zeros_stays_zeros_with_a_finite_gradient_to_second_order():
    x = t.Tensor(np.zeros((1, 3)), requires_grad=True)
    (g,) = t.grad(normalize(x), x, np.ones((1, 3)), create_graph=True)
    (h,) = t.grad(g.sum(), x)
    np.testing.assert_allclose(g.numpy(), 1e12)
    np.testing.assert_array_equal(h.numpy(), 0)


@pytest.mark.parametrize("size", [1e-30, 1e-21, 1e19, 1e25, 1e37])
def test_float32_rows_of_any_size_get_length_1(size):
    x = (np.array([[3, 4, 0]]) * size).astype("float32")
    np.testing.assert_allclose(numbers(normalize(t.Tensor(x), eps=1e-35)), [[0.6, 0.8, 0]], rtol=1e-6)


@pytest.mark.parametrize("size", [1e-21, 1e25])
def test_float32_rows_of_any_size_get_the_gradient_of_the_plain_formula(size):
    x = t.Tensor((np.array([[3, 4, 0]]) * size).astype("float32"), requires_grad=True)
    (g,) = t.grad(normalize(x, eps=1e-35), x, np.array([[1.0, 0.0, 1.0]], "float32"))
    np.testing.assert_allclose(g.numpy() * size, [[0.128, -0.096, 0.2]], rtol=1e-5)


def test_in_float16_eps_does_not_vanish():
    x = t.Tensor(np.array([[0, 0], [3, 4]], "float16"), requires_grad=True)
    y = normalize(x)
    (g,) = t.grad(y, x, np.ones((2, 2), "float16"))
    np.testing.assert_allclose(y.numpy(), [[0, 0], [0.6, 0.8]], rtol=1e-3)
    assert np.isfinite(g.numpy()).all()


# -- messages ----------------------------------------------------------------------------------------------


def zeros(*shape):
    return t.Tensor(np.zeros(shape, "float32"))


MESSAGES = [
    (
        lambda: batch_norm(zeros(1, 3), None, None, training=True),
        r"batch_norm: training needs more than one value for each channel; got \(1, 3\)",
    ),
    (
        lambda: batch_norm(zeros(0, 3, 5), None, None, training=True),
        r"batch_norm: training needs more than one value for each channel; got \(0, 3, 5\)",
    ),
    (
        lambda: batch_norm(zeros(4, 3), zeros(3), None),
        r"batch_norm: needs running_mean and running_var unless training=True; got None",
    ),
    (lambda: batch_norm(zeros(4), None, None), r"batch_norm: input needs shape \(N, C\) or .* got \(4,\)"),
    (lambda: group_norm(zeros(4, 0), 1), r"group_norm: input needs shape .* with channels; got \(4, 0\)"),
    (
        lambda: batch_norm(zeros(4, 3), zeros(4), zeros(3)),
        r"batch_norm: running_mean needs shape \(3,\), .* channel of input \(4, 3\); got \(4,\)",
    ),
    (
        lambda: group_norm(zeros(4, 6), 3, zeros(6), zeros(4)),
        r"group_norm: bias needs shape \(6,\), .* channel of input \(4, 6\); got \(4,\)",
    ),
    (
        lambda: group_norm(zeros(4, 6, 2), 4),
        r"group_norm: num_groups must divide the 6 channels of input \(4, 6, 2\); got 4",
    ),
    (lambda: group_norm(zeros(4, 6), 0), r"group_norm: num_groups must divide the 6 channels .* got 0"),
    (
        lambda: layer_norm(zeros(4, 6), (5,)),
        r"layer_norm: input must end in normalized_shape \(5,\); got \(4, 6\)",
    ),
    (
        lambda: layer_norm(zeros(4, 6), ()),
        r"layer_norm: input must end in normalized_shape \(\); got \(4, 6\)",
    ),
    (
        lambda: layer_norm(zeros(4, 6), 6, zeros(4)),
        r"layer_norm: weight needs normalized_shape \(6,\); got \(4,\)",
    ),
    (
        lambda: normalize(zeros(4, 6), p=1),
        r"normalize: only p=2, the Euclidean length, is implemented; got p=1",
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES)
def test_what_does_not_fit_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_normalize_names_a_dimension_that_is_not_there():
    with pytest.raises(IndexError, match="normalize: dim 1 is out of range for a tensor of 1 dimensions"):
        normalize(zeros(3))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("batch_norm", lambda x, w: batch_norm(x, None, None, w, training=True)),
        ("group_norm", lambda x, w: group_norm(x, 2, w)),
        ("layer_norm", lambda x, w: layer_norm(x, 4, w)),
    ],
)
def test_a_weight_of_another_dtype_is_refused(name, call):
    with pytest.raises(
        TypeError, match=f"{name}: needs one dtype for all; got input float64, weight float32"
    ):
        call(np.ones((3, 4)), t.Tensor(np.ones(4, dtype="float32")))
