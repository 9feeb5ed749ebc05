"""Activations as layers: each is the function of its name."""

import numpy as np
import pytest

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor, nn

PAIRS = [
    (nn.ReLU(), F.relu),
    (nn.Sigmoid(), F.sigmoid),
    (nn.Tanh(), F.tanh),
    (nn.SiLU(), F.silu),
    (nn.GELU(), F.gelu),
    (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh")),
    (nn.Softmax(0), lambda x: F.softmax(x, 0)),
    (nn.Softmax(dim=1), lambda x: F.softmax(x, 1)),
    (nn.LogSoftmax(0), lambda x: F.log_softmax(x, 0)),
]


@pytest.mark.parametrize(
    ("layer", "function"), PAIRS, ids=lambda v: repr(v) if isinstance(v, nn.Module) else ""
)
def test_a_layer_is_its_function(layer, function, rng):
    x = Tensor(rng.standard_normal((3, 4)))
    np.testing.assert_array_equal(layer(x).numpy(), function(x).numpy())


def test_an_unknown_approximation_is_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh'; got 'fast'"):
        nn.GELU("fast")(Tensor([1.0]))
