"""ops/dropout.py: what is drawn, what is kept, messages."""

import numpy as np
import pytest

import tinygrad_lite as t
from tinygrad_lite.nn.functional import dropout


def ones(*shape):
    return t.Tensor(np.ones(shape, "float32"), requires_grad=True)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_p_is_dropped_and_the_rest_is_scaled_to_keep_the_mean(p):
    t.manual_seed(0)
    y = dropout(ones(300, 400), p).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
    assert (y == 0).mean() == pytest.approx(p, abs=0.01)


def test_the_gradient_meets_the_same_mask():
    x = ones(30, 40)
    y = dropout(x, 0.3)
    (g,) = t.grad(y, x, np.ones((30, 40)))
    np.testing.assert_array_equal(g.numpy(), y.numpy())


def test_each_call_draws_anew():
    x = ones(30, 40)
    assert (dropout(x).numpy() != dropout(x).numpy()).any()


def test_the_same_seed_gives_the_same_mask():
    x = ones(30, 40)
    t.manual_seed(3)
    first = dropout(x).numpy()
    t.manual_seed(3)
    np.testing.assert_array_equal(dropout(x).numpy(), first)


def test_the_mask_does_not_depend_on_the_memory_layout():
    x = np.ones((3, 4, 5, 2))
    t.manual_seed(3)
    first = dropout(t.Tensor(x)).numpy()
    t.manual_seed(3)
    np.testing.assert_array_equal(dropout(t.Tensor(np.asfortranarray(x))).numpy(), first)


def test_the_output_has_the_memory_layout_of_the_input():
    assert dropout(t.Tensor(np.ones((3, 4, 5), order="F"))).data.flags.f_contiguous


def test_the_mask_does_not_depend_on_the_number_of_threads():
    x = ones(500, 900)
    masks = []
    for number in (1, 3):
        t.set_num_threads(number)
        t.manual_seed(3)
        masks.append(dropout(x).numpy())
    t.set_num_threads(1)
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("p", [1e-4, 1 - 1e-4])
def test_p_near_0_or_1_is_not_rounded_away(p):
    t.manual_seed(0)
    dropped = np.count_nonzero(dropout(ones(1000, 1000), p).numpy() == 0)
    assert dropped == pytest.approx(1e6 * p, abs=5 * (1e6 * p * (1 - p)) ** 0.5)


def test_integers_become_floats():
    y = dropout(t.Tensor(np.full(1000, 3)), 0.5)
    assert set(y.tolist()) == {0.0, 6.0}


def test_without_training_or_for_p_0_it_is_the_input_itself():
    x = ones(3, 4)
    assert dropout(x, training=False) is x
    assert dropout(x, p=0.0) is x


def test_for_p_1_nothing_is_left():
    x = ones(3, 4)
    y = dropout(x, p=1.0)
    (g,) = t.grad(y, x, np.ones((3, 4)))
    assert not y.numpy().any()
    assert not g.numpy().any()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_p_that_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match=f"dropout: p is a probability, from 0 to 1; got {p}"):
        dropout(ones(3), p, training=False)
