"""Linear, Flatten and Identity."""

import numpy as np
import pytest

from tinygrad_lite import Tensor, manual_seed
from tinygrad_lite.nn import Flatten, Identity, Linear, Sequential


def test_linear_is_x_times_the_transposed_weight_plus_bias(rng):
    layer = Linear(3, 5)
    x = rng.standard_normal((2, 4, 3)).astype("float32")
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_linear_without_bias_has_none():
    layer = Linear(3, 5, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]


def test_weight_and_bias_fill_the_interval_of_one_over_the_root_of_the_inputs():
    layer = Linear(16, 4000)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert abs(values).max() == pytest.approx(0.25, rel=1e-2)
        assert values.std() == pytest.approx(0.25 / np.sqrt(3), rel=0.05)


def test_the_seed_decides_the_first_weights():
    layers = []
    for seed in (1, 1, 2):
        manual_seed(seed)
        layers.append(Linear(3, 2).weight.tolist())
    assert layers[0] == layers[1] != layers[2]


def test_an_input_of_another_width_is_refused():
    with pytest.raises(
        ValueError, match=r"linear: needs x \(…, in\), weight \(out, in\); got \(2, 4\), \(5, 3\)"
    ):
        Linear(3, 5)(np.ones((2, 4)))


def test_flatten_makes_rows_of_images():
    assert Flatten()(Tensor(np.zeros((2, 3, 4, 5)))).shape == (2, 60)
    assert Flatten(0, 1)(Tensor(np.zeros((2, 3, 4, 5)))).shape == (6, 4, 5)


def test_arrays_of_images_go_through_flatten_into_linear():
    assert isinstance(Sequential(Flatten(), Linear(12, 2))(np.zeros((5, 3, 2, 2), dtype="float32")), Tensor)


def test_identity_returns_its_input_itself():
    x = Tensor([1.0])
    assert Identity()(x) is x
