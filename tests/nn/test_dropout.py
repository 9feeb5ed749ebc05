"""The dropout layer."""

import numpy as np
import pytest

from tinygrad_lite import Tensor, manual_seed
from tinygrad_lite.nn import Dropout


def test_in_training_elements_are_dropped_and_the_others_grow():
    y = Dropout(0.25)(Tensor(np.ones(4000, dtype="float32"))).numpy()
    assert sorted(set(y.tolist())) == [0.0, pytest.approx(4 / 3)]
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_after_eval_nothing_happens():
    x = Tensor([1.0, 2.0])
    assert Dropout(0.9).eval()(x) is x


def test_the_seed_decides_what_is_dropped():
    dropped = []
    for seed in (1, 1, 2):
        manual_seed(seed)
        dropped.append(Dropout()(Tensor(np.ones(50, dtype="float32"))).tolist())
    assert dropped[0] == dropped[1] != dropped[2]


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match=f"Dropout: p is a probability, from 0 to 1; got {p}"):
        Dropout(p)
