"""Pooling and resizing layers: each is the function of its name, with the options that it keeps."""

import numpy as np
import pytest

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor, nn

PAIRS = [
    (nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 2), (2, 3, 3, 4)),
    (nn.MaxPool2d((3, 2), 2, (1, 0)), lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0)), (2, 3, 3, 4)),
    (nn.AvgPool2d(2), lambda x: F.avg_pool2d(x, 2), (2, 3, 3, 4)),
    (nn.AvgPool2d(3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1), (2, 3, 3, 4)),
    (nn.AdaptiveAvgPool2d(1), lambda x: x.mean((2, 3), keepdim=True), (2, 3, 1, 1)),
    (nn.AdaptiveAvgPool2d((3, 2)), lambda x: F.avg_pool2d(x, (2, 4)), (2, 3, 3, 2)),
    (nn.Upsample(scale_factor=2), lambda x: F.interpolate(x, scale_factor=2), (2, 3, 12, 16)),
    (nn.Upsample(size=(7, 9)), lambda x: F.interpolate(x, size=(7, 9)), (2, 3, 7, 9)),
]


@pytest.mark.parametrize(("layer", "function", "shape"), PAIRS, ids=[repr(layer) for layer, *_ in PAIRS])
def test_a_layer_is_its_function(layer, function, shape, rng):
    x = Tensor(rng.standard_normal((2, 3, 6, 8)))
    np.testing.assert_allclose(layer(x).numpy(), function(x).numpy(), rtol=1e-12)
    assert layer(x).shape == shape


def test_another_mode_of_resizing_is_refused():
    with pytest.raises(ValueError, match=r"interpolate: .*bilinear"):
        nn.Upsample(scale_factor=2, mode="bilinear")(Tensor(np.ones((1, 1, 2, 2))))
