"""Depthwise convolution against the plain kernels: values, any layout, blocks, threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.test_blocks import LAYOUTS, layouts
from tinygrad_lite.kernels import conv as plain
from tinygrad_lite.kernels.cpu import depthwise
from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.threads import over_blocks


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x, w, b, g) and windows at stride 1."""
    kernel, dilation, padding = draw(pairs(1, 3)), draw(pairs(1, 2)), (draw(pairs(0, 2)), draw(pairs(0, 2)))
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + draw(st.integers(0, 5))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    windows = Windows(size, kernel, padding=padding, dilation=dilation)
    n, c = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = LAYOUTS[draw(layouts)](rng.standard_normal((n, c, *size)))
    g = LAYOUTS[draw(layouts)](rng.standard_normal((n, c, *windows.grid)))
    return (x, rng.standard_normal((c, 1, *kernel)), rng.standard_normal(c), g), windows


def close(fast, slow):
    assert fast.shape == slow.shape
    assert fast.dtype == slow.dtype
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-12 * abs(slow).max(initial=1))


def hold_all_as_the_plain_ones(x, w, b, g, windows):
    c = x.shape[1]
    close(depthwise.convolve(x, w, b, windows), plain.convolve(x, w, b, windows, c))
    close(depthwise.convolve(x, w, None, windows), plain.convolve(x, w, None, windows, c))
    dx, dw = plain.gradients(g, x, w, windows, c)
    for fast, slow in zip(depthwise.gradients(g, x, w, windows), (dx, dw), strict=True):
        close(fast, slow)
    close(depthwise.input_gradient(g, w, windows), dx)
    close(depthwise.weight_gradient(g, x, windows), dw)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_all_kernels_give_what_the_plain_ones_give(convolution):
    arrays, windows = convolution
    hold_all_as_the_plain_ones(*arrays, windows)


@pytest.mark.parametrize("n", [1, 7])
def test_blocks_of_images_and_threads_change_nothing(shared, monkeypatch, rng, n):
    monkeypatch.setattr(depthwise, "BLOCK_BYTES", 2 * 3 * 7 * 7 * 8)  # two images
    windows = Windows((5, 5), (3, 3), padding=((1, 1), (1, 1)))
    shapes = (n, 3, 5, 5), (3, 1, 3, 3), (3,), (n, 3, 5, 5)
    hold_all_as_the_plain_ones(*map(rng.standard_normal, shapes), windows)


def test_a_block_fits_the_cache(monkeypatch):
    monkeypatch.setattr(depthwise, "BLOCK_BYTES", 3 * 2 * 6 * 6 * 4)
    windows = Windows((4, 4), (3, 3), padding=((1, 1), (1, 1)))
    ((*blocks,),) = over_blocks(list, *depthwise._blocks(np.zeros((7, 2, 4, 4), "float32"), windows))
    assert blocks == [slice(0, 3), slice(3, 6), slice(6, 7)]


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_images_come_out_channels_last_and_weights_as_they_are_declared(rng, layout):
    windows = Windows((5, 4), (3, 3), padding=((1, 1), (1, 1)))
    x, g = (LAYOUTS[layout](rng.standard_normal((2, 3, 5, 4))) for _ in range(2))
    w = rng.standard_normal((3, 1, 3, 3))
    dx, dw = depthwise.gradients(g, x, w, windows)
    for images in (depthwise.convolve(x, w, None, windows), dx, depthwise.input_gradient(g, w, windows)):
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous
    for weights in (dw, depthwise.weight_gradient(g, x, windows)):
        assert weights.flags.c_contiguous
