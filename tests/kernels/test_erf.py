"""erf of arrays against Python's: relative errors, from the smallest numbers to where it is 1."""

import math

import numpy as np
import pytest

from tinygrad_lite.kernels.erf import erf


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 2e-7), ("float64", 5e-15)])
def test_relative_errors_stay_within_what_is_promised(dtype, limit):
    tiny = np.finfo(dtype).tiny
    x = np.concatenate([np.linspace(1e-3, 7, 3001), np.geomspace(tiny, 1, 301), [0.999999, 1.000001]])
    x = np.concatenate([x, -x]).astype(dtype)
    exact = np.array([math.erf(v) for v in x.tolist()])
    assert (np.abs(erf(x) - exact) / np.abs(exact)).max() < limit


def test_it_is_0_at_0_and_1_far_out():
    assert erf(np.array([0.0, 50.0, -50.0, 1e30])).tolist() == [0, 1, -1, 1]
