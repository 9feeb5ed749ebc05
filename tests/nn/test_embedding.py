"""The embedding layer."""

import numpy as np
import pytest

from tinygrad_lite.nn import Embedding


def test_each_integer_picks_its_row():
    layer = Embedding(4, 3)
    picked = layer(np.array([[1, 3, 1]])).numpy()
    np.testing.assert_array_equal(picked, layer.weight.numpy()[np.array([[1, 3, 1]])])


def test_only_rows_that_were_picked_get_a_gradient_and_twice_as_much_if_picked_twice():
    layer = Embedding(4, 2)
    layer(np.array([1, 3, 1])).sum().backward()
    assert layer.weight.grad.tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]


def test_rows_are_standard_normal_at_first():
    values = Embedding(300, 40).weight.numpy()
    assert values.mean() == pytest.approx(0, abs=0.03)
    assert values.std() == pytest.approx(1, abs=0.03)


def test_an_integer_beyond_the_last_row_is_refused():
    with pytest.raises(IndexError, match="embedding: index 4 is out of range; it must lie in 0 … 3"):
        Embedding(4, 3)(np.array([4]))
