"""The convolutional classifier: its shapes and sizes, and that all of it learns."""

import numpy as np
import pytest

from techniques.models import CNN
from tinygrad_lite import manual_seed, nn


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (3, 1, 8, 8)),
        ({"in_channels": 3, "num_classes": 4}, (3, 3, 12, 9)),
        ({"widths": (4,)}, (3, 1, 5, 5)),
        ({"widths": (4, 6, 8)}, (3, 1, 28, 28)),
    ],
)
def test_pictures_of_any_size_give_one_logit_a_class(rng, options, shape):
    model = CNN(**options)
    assert model(rng.standard_normal(shape, dtype="float32")).shape == (3, options.get("num_classes", 10))


def test_every_stage_but_the_first_sees_half_the_picture(rng):
    model = CNN(widths=(2, 3, 4))
    seen = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[1:]))
    model(rng.standard_normal((2, 1, 16, 16), dtype="float32"))
    assert seen == [(2, 16, 16)] * 2 + [(3, 8, 8)] * 2 + [(4, 4, 4)] * 2


def test_its_size_is_that_of_two_convolutions_with_norm_a_stage_and_a_linear_layer():
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    norms = 2 * (32 + 32 + 64 + 64)
    assert sum(p.numel() for p in CNN().parameters()) == convolutions + norms + 64 * 10 + 10


def test_a_gradient_reaches_every_parameter(rng):
    manual_seed(0)
    model = CNN(widths=(4, 6))
    (model(rng.standard_normal((5, 1, 8, 8), dtype="float32")) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.numpy().any() for p in model.parameters())


def test_dropout_acts_in_training_alone(rng):
    model = CNN(widths=(4,), dropout=0.5)
    x = rng.standard_normal((2, 1, 8, 8), dtype="float32")
    assert not np.array_equal(model(x).numpy(), model(x).numpy())
    model.eval()
    assert np.array_equal(model(x).numpy(), model(x).numpy())


def test_its_repr_shows_the_convolutions_and_the_dropout():
    text = repr(CNN(widths=(4,), dropout=0.25))
    assert text.count("Conv2d(") == 2
    assert "Dropout(p=0.25)" in text
