"""The multilayer perceptron: its layers, its shapes, and that all of it learns."""

import numpy as np
import pytest

from techniques.models import MLP
from tinygrad_lite import manual_seed, nn


def kinds(model):
    return [type(layer) for layer in model.layers]


def test_there_is_a_relu_between_linear_layers_and_none_at_the_end():
    assert kinds(MLP(4, 3, 2)) == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]


def test_with_batch_norm_every_hidden_layer_is_normalized_before_its_relu():
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds(MLP(4, 3, 3, 2, batch_norm=True)) == [nn.Flatten, *block, *block, nn.Linear]


def test_two_sizes_are_one_linear_layer():
    assert kinds(MLP(4, 2, batch_norm=True)) == [nn.Flatten, nn.Linear]


@pytest.mark.parametrize("shape", [(5, 12), (5, 3, 4), (5, 3, 2, 2)])
def test_every_sample_is_flattened(rng, shape):
    model = MLP(12, 7, 2)
    x = rng.standard_normal(shape, dtype="float32")
    assert model(x).shape == (5, 2)
    assert np.array_equal(model(x).numpy(), model(x.reshape(5, 12)).numpy())


def test_it_is_the_formula(rng):
    manual_seed(0)
    model = MLP(3, 4, 2)
    w1, b1, w2, b2 = (p.numpy() for p in model.parameters())
    x = rng.standard_normal((5, 3), dtype="float32")
    expected = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_gradient_reaches_every_parameter(rng, batch_norm):
    manual_seed(0)
    model = MLP(3, 8, 8, 2, batch_norm=batch_norm)
    (model(rng.standard_normal((6, 3), dtype="float32")) ** 2).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad.numpy().any() for name, p in model.named_parameters() if name.endswith("weight"))


def test_its_repr_shows_the_layers():
    assert "(1): Linear(in_features=4, out_features=2)" in repr(MLP(4, 2))
