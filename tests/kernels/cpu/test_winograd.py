"""Winograd's convolution against the plain kernels: any layout, cut tiles, blocks, threads, errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.test_blocks import LAYOUTS, layouts
from tinygrad_lite.kernels import conv as plain
from tinygrad_lite.kernels.cpu import winograd
from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.threads import over_blocks

SAME = ((1, 1), (1, 1))


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x, w, b, g) and windows of 3×3 at stride 1."""
    size, (n, c, o) = draw(pairs(1, 7)), (draw(st.integers(low, 4)) for low in (0, 1, 1))
    padding = tuple(
        (max(before, 3 - length), after)
        for length, (before, after) in zip(size, (draw(pairs(0, 3)), draw(pairs(0, 3))), strict=True)
    )
    windows = Windows(size, (3, 3), padding=padding)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = LAYOUTS[draw(layouts)](rng.standard_normal((n, c, *size)))
    g = LAYOUTS[draw(layouts)](rng.standard_normal((n, o, *windows.grid)))
    return (x, rng.standard_normal((o, c, 3, 3)), rng.standard_normal(o), g), windows


def close(fast, slow):
    assert fast.shape == slow.shape
    assert fast.dtype == slow.dtype
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-12 * abs(slow).max(initial=1))


def hold_all_as_the_plain_ones(x, w, b, g, windows):
    close(winograd.convolve(x, w, b, windows), plain.convolve(x, w, b, windows, 1))
    close(winograd.convolve(x, w, None, windows), plain.convolve(x, w, None, windows, 1))
    dx, dw = plain.gradients(g, x, w, windows, 1)
    for fast, slow in zip(winograd.gradients(g, x, w, windows), (dx, dw), strict=True):
        close(fast, slow)
    close(winograd.input_gradient(g, w, windows), dx)
    close(winograd.weight_gradient(g, x, windows), dw)


def drawn(rng, n, c, o, size, dtype="float64"):
    """(x, w, b, g) and windows around each pixel."""
    shapes = (n, c, size, size), (o, c, 3, 3), (o,), (n, o, size, size)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes], Windows(
        (size, size), (3, 3), padding=SAME
    )


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_all_kernels_give_what_the_plain_ones_give(convolution):
    arrays, windows = convolution
    hold_all_as_the_plain_ones(*arrays, windows)


@pytest.mark.parametrize("n", [1, 7])
def test_blocks_of_images_and_threads_change_nothing(shared, monkeypatch, rng, n):
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 2 * 16 * 9 * 3 * 8)  # two images
    arrays, windows = drawn(rng, n, 2, 3, 5)
    hold_all_as_the_plain_ones(*arrays, windows)


@pytest.mark.parametrize(
    ("constant", "value"), [("BLOCK_BYTES", 3 * 16 * 4 * 6 * 4), ("BLOCK_PRODUCTS", 3 * 4 * 12)]
)
def test_a_block_fits_the_cache_and_its_products_are_small(monkeypatch, constant, value):
    monkeypatch.setattr(winograd, constant, value)
    x, windows = np.zeros((7, 4, 4, 2), "float32"), Windows((4, 4), (3, 3), padding=SAME)
    ((*blocks,),) = winograd._in_blocks(over_blocks, list, x, 6, windows)
    assert blocks == [slice(0, 3), slice(3, 6), slice(6, 7)]


def test_images_whose_channels_lie_together_are_not_copied_though_others_lie_between():
    others = np.zeros((4, 6, 6, 5), "float32").transpose(0, 3, 1, 2)
    for x in (others[::2], others[:, 1:4], others[..., 1:-1, ::2]):
        assert np.shares_memory(winograd.pixels_of(x), x)


def test_numpys_buffers_are_small_inside_and_as_before_afterwards():
    x, windows = np.zeros((1, 4, 4, 2)), Windows((4, 4), (3, 3), padding=SAME)
    with np.errstate():
        np.setbufsize(4096)
        assert winograd._in_blocks(over_blocks, lambda _: np.getbufsize(), x, 2, windows) == [winograd.BUFFER]
        assert np.getbufsize() == 4096


def test_errors_in_float32_are_below_a_millionth_of_the_largest_result(rng):
    (x, w, b, g), windows = drawn(rng, 8, 64, 64, 8, "float32")
    exact = [a.astype("float64") for a in (x, w, b, g)]
    slow = plain.convolve(*exact[:3], windows, 1), *plain.gradients(exact[3], *exact[:2], windows, 1)
    fast = winograd.convolve(x, w, b, windows), *winograd.gradients(g, x, w, windows)
    for computed, true in zip(fast, slow, strict=True):
        assert computed.dtype == "float32"
        assert abs(computed - true).max() < 1e-6 * abs(true).max()


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_images_come_out_channels_last_and_weights_as_they_are_declared(rng, layout):
    (x, w, b, g), windows = drawn(rng, 2, 3, 4, 5)
    x, g = LAYOUTS[layout](x), LAYOUTS[layout](g)
    dx, dw = winograd.gradients(g, x, w, windows)
    for images in (winograd.convolve(x, w, b, windows), dx, winograd.input_gradient(g, w, windows)):
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dw.flags.c_contiguous


@pytest.mark.parametrize(
    ("size", "c", "o", "n", "forward", "by_weights"),
    [
        (8, 64, 64, 64, True, True),
        (8, 24, 48, 64, True, True),
        (8, 24, 24, 64, False, True),
        (8, 23, 64, 64, False, True),
        (8, 64, 23, 64, False, True),
        (8, 64, 16, 64, False, True),
        (8, 64, 15, 64, False, False),
        (8, 15, 64, 64, False, False),
        (7, 64, 64, 64, True, True),
        (5, 64, 64, 64, False, False),
        (8, 256, 256, 1, False, False),
        (8, 32, 32, 16, True, True),
        (8, 32, 32, 15, False, False),
    ],
)
def test_it_pays_for_many_channels_filled_tiles_and_enough_images(size, c, o, n, forward, by_weights):
    windows = Windows((size, size), (3, 3), padding=SAME)
    assert winograd.pays(windows, c, o, n, by_weights=False) is forward
    assert winograd.pays(windows, c, o, n, by_weights=True) is by_weights


@pytest.mark.parametrize(
    "change", [{"stride": (2, 1)}, {"dilation": (1, 2)}, {"kernel": (1, 1)}, {"kernel": (3, 5)}]
)
def test_it_is_for_kernels_of_3_by_3_at_stride_1_alone(change):
    windows = Windows((8, 8), (3, 3), padding=SAME)
    assert winograd.pays(windows, 64, 64, 64, by_weights=True)
    assert not winograd.pays(replace(windows, **change), 64, 64, 64, by_weights=True)
