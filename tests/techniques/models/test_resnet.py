"""The residual network: its shapes, its shortcuts, and that all of it learns."""

import numpy as np
import pytest

from techniques.models import ResNet
from techniques.models.resnet import ResidualBlock
from tinygrad_lite import manual_seed, nn


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (3, 1, 8, 8)),
        ({"in_channels": 3, "widths": (4, 8), "blocks": 2}, (3, 3, 9, 12)),
        ({"widths": (4,)}, (3, 1, 5, 5)),
    ],
)
def test_pictures_of_any_size_give_out_features_numbers(rng, options, shape):
    model = ResNet(**options)
    features = model(rng.standard_normal(shape, dtype="float32"))
    assert features.shape == (3, model.out_features) == (3, options.get("widths", (64,))[-1])


def test_each_stage_but_the_first_halves_the_picture_once(rng):
    model = ResNet(widths=(2, 3, 4), blocks=2)
    seen = []
    for module in model.modules():
        if isinstance(module, ResidualBlock):
            module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[1:]))
    model(rng.standard_normal((2, 1, 16, 16), dtype="float32"))
    assert seen == [(2, 16, 16)] * 2 + [(3, 8, 8)] * 2 + [(4, 4, 4)] * 2


@pytest.mark.parametrize(("stride", "size"), [(1, 8), (2, 4)])
def test_a_block_divides_the_picture_by_its_stride(rng, stride, size):
    block = ResidualBlock(3, 5, stride)
    assert block(rng.standard_normal((2, 3, 8, 8), dtype="float32")).shape == (2, 5, size, size)


def test_a_block_that_keeps_its_shape_adds_its_input_as_it_is(rng):
    block = ResidualBlock(3, 3)
    assert isinstance(block.shortcut, nn.Identity)
    nn.init.zeros_(block.conv2.weight)  # then f(x) is 0
    x = rng.standard_normal((2, 3, 4, 4), dtype="float32")
    np.testing.assert_allclose(block(x).numpy(), np.maximum(x, 0), atol=1e-6)


@pytest.mark.parametrize(("width", "stride"), [(5, 1), (3, 2), (5, 2)])
def test_a_block_that_changes_its_shape_has_a_convolution_as_its_shortcut(rng, width, stride):
    block = ResidualBlock(3, width, stride)
    assert isinstance(block.shortcut, nn.Conv2d)
    assert block.shortcut.weight.shape == (width, 3, 1, 1)


def test_a_gradient_reaches_every_parameter(rng):
    manual_seed(0)
    model = ResNet(widths=(4, 6), blocks=2)
    (model(rng.standard_normal((5, 1, 8, 8), dtype="float32")) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.numpy().any() for p in model.parameters())


def test_its_repr_shows_the_blocks():
    text = repr(ResNet(widths=(4, 8), blocks=3))
    assert text.count("ResidualBlock(") == 6
