"""The convolution layer."""

import numpy as np
import pytest

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor
from tinygrad_lite.nn import Conv2d


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"kernel_size": 3}, (2, 6, 5, 4)),
        ({"kernel_size": (3, 2), "stride": 2, "padding": (1, 0), "dilation": (1, 2)}, (2, 6, 4, 2)),
        ({"kernel_size": 3, "padding": "same", "bias": False}, (2, 6, 7, 6)),
        ({"kernel_size": 1, "groups": 2}, (2, 6, 7, 6)),
    ],
)
def test_a_layer_is_its_function(options, shape, rng):
    layer = Conv2d(4, 6, **options)
    x = Tensor(rng.standard_normal((2, 4, 7, 6)).astype("float32"))
    y = layer(x)
    passed_on = {k: v for k, v in options.items() if k not in ("kernel_size", "bias")}
    np.testing.assert_array_equal(y.numpy(), F.conv2d(x, layer.weight, layer.bias, **passed_on).numpy())
    assert y.shape == shape


def test_weight_and_bias_fill_the_interval_of_one_over_the_root_of_the_taps():
    layer = Conv2d(8, 900, 2, groups=2)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert abs(values).max() == pytest.approx(0.25, rel=1e-2)


def test_a_summary_counts_each_tap_of_each_output():
    table = Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2).summary((5, 4, 8, 8))
    assert table.splitlines()[-1].split() == ["total", "78", f"{5 * 6 * 4 * 5 * 2 * 3 * 2:,}"]


def test_a_layer_without_bias_has_none():
    assert list(Conv2d(1, 2, 3, bias=False).state_dict()) == ["weight"]


@pytest.mark.parametrize(("channels", "groups"), [((4, 6), 3), ((6, 4), 3), ((4, 4), 0)])
def test_channels_that_do_not_split_into_groups_are_refused(channels, groups):
    with pytest.raises(
        ValueError, match=rf"Conv2d: {channels[0]} and {channels[1]} .* split into {groups} groups"
    ):
        Conv2d(*channels, 3, groups=groups)


def test_an_input_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="conv2d: input has 3 channels but weight expects 4"):
        Conv2d(4, 6, 3)(Tensor(np.ones((1, 3, 5, 5), dtype="float32")))


@pytest.mark.parametrize(("kernel", "error"), [(3.0, TypeError), ((3, 3, 3), TypeError), (0, ValueError)])
def test_what_is_no_kernel_size_is_refused_when_the_layer_is_made(kernel, error):
    with pytest.raises(error, match="Conv2d: kernel_size must be"):
        Conv2d(3, 4, kernel)
