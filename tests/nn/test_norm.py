"""Normalization layers."""

import numpy as np
import pytest

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor
from tinygrad_lite.nn import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

BATCHES = [(BatchNorm1d, (6, 3)), (BatchNorm1d, (4, 3, 5)), (BatchNorm2d, (4, 3, 5, 2))]


def shaken(layer, rng):
    """The layer, with another scale and shift than 1 and 0."""
    for p in layer.parameters():
        p.data[...] = rng.standard_normal(p.shape)
    return layer


def over(x):
    """All dimensions of x but the channels."""
    return (0, *range(2, x.ndim))


@pytest.mark.parametrize(("kind", "shape"), BATCHES)
def test_in_training_a_batch_norm_takes_the_statistics_of_the_batch(kind, shape, rng):
    x = 3 + 2 * rng.standard_normal(shape)
    y = kind(3, eps=0.0).to("float64")(x).numpy()
    np.testing.assert_allclose(y.mean(axis=over(x)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=over(x)), 1, rtol=1e-6)


@pytest.mark.parametrize(("kind", "shape"), BATCHES)
def test_the_buffers_move_towards_the_unbiased_statistics_of_the_batch(kind, shape, rng):
    layer, x = kind(3, momentum=0.25), rng.standard_normal(shape).astype("float32")
    layer(x)
    mean, var = x.mean(axis=over(x)), x.var(axis=over(x), ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.25 * mean, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.75 + 0.25 * var, rtol=1e-5)


@pytest.mark.parametrize(("kind", "shape"), BATCHES)
def test_after_eval_the_buffers_stand_for_the_batch_and_stay(kind, shape, rng):
    layer, x = shaken(kind(3), rng).eval(), rng.standard_normal(shape).astype("float32")
    layer.running_mean.data[...], layer.running_var.data[...] = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    channels = (-1, *[1] * (x.ndim - 2))
    mean, var, w, b = (
        t.numpy().reshape(channels) for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    np.testing.assert_allclose(
        layer(x).numpy(), (x - mean) / np.sqrt(var + 1e-5) * w + b, rtol=1e-5, atol=1e-6
    )
    assert layer.running_mean.tolist() == [1.0, 2.0, 3.0]


def test_without_running_statistics_the_batch_is_taken_after_eval_too(rng):
    layer = BatchNorm1d(3, track_running_stats=False).to("float64")
    x = rng.standard_normal((6, 3))
    np.testing.assert_array_equal(layer.eval()(x).numpy(), layer.train()(x).numpy())
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_buffers_are_no_parameters():
    layer = BatchNorm2d(3)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_var"]


@pytest.mark.parametrize(
    ("layer", "got"),
    [
        (BatchNorm1d(3), (2, 3, 4, 4)),
        (BatchNorm2d(3), (2, 3)),
        (BatchNorm2d(3), (2, 4, 5, 5)),
    ],
)
def test_a_batch_norm_says_what_shape_it_needs(layer, got):
    with pytest.raises(ValueError, match=rf"{type(layer).__name__}: needs \(N, C.*C = 3; got \(2, ") as error:
        layer(np.ones(got))
    assert str(got) in str(error.value)


def test_group_norm_and_layer_norm_are_their_functions(rng):
    x = Tensor(rng.standard_normal((4, 6, 5)), dtype="float32")
    group, last = shaken(GroupNorm(3, 6, eps=0.1), rng), shaken(LayerNorm((6, 5), eps=0.1), rng)
    by_group = F.group_norm(x, 3, group.weight, group.bias, 0.1)
    by_last = F.layer_norm(x, (6, 5), last.weight, last.bias, 0.1)
    np.testing.assert_array_equal(group(x).numpy(), by_group.numpy())
    np.testing.assert_array_equal(last(x).numpy(), by_last.numpy())


def test_a_length_may_stand_for_the_shape_of_one_dimension(rng):
    x = rng.standard_normal((4, 6)).astype("float32")
    np.testing.assert_array_equal(LayerNorm(6)(x).numpy(), LayerNorm((6,))(x).numpy())


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (GroupNorm(3, 6, affine=False), []),
        (LayerNorm(6, elementwise_affine=False), []),
        (LayerNorm(6, bias=False), ["weight"]),
        (BatchNorm1d(6, affine=False), []),
    ],
)
def test_scale_and_shift_can_be_left_out(layer, names, rng):
    assert [name for name, _ in layer.named_parameters()] == names
    assert layer(Tensor(np.ones((4, 6), dtype="float32"))).shape == (4, 6)


def test_channels_that_do_not_split_into_groups_are_refused():
    with pytest.raises(ValueError, match="GroupNorm: 6 channels do not split into 4 groups"):
        GroupNorm(4, 6)
