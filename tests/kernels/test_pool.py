"""Pooling's kernels for NumPy against the plain ones: any layout, dtype and windows; NaN, blocks, threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.test_conv import LAYOUTS, pairs
from tinygrad_lite import set_num_threads, threads
from tinygrad_lite.kernels import pool as plain
from tinygrad_lite.kernels.cpu import pool as cpu
from tinygrad_lite.kernels.windows import Windows

KINDS = LAYOUTS | {
    "among more channels": lambda x: LAYOUTS["channels-last"](np.repeat(x, 2, axis=1))[:, : x.shape[1]]
}
some = settings(max_examples=60, deadline=None)


@st.composite
def poolings(draw):
    """Images with ties, values for each window, and windows: mostly such that do not overlap."""
    kernel = draw(pairs(1, 3))
    stride = tuple(k + draw(st.sampled_from([0, 0, 0, 1, -1])) or 1 for k in kernel)
    pad, dilation = draw(st.sampled_from([0, 0, 0, 1])), draw(st.sampled_from([1, 1, 1, 2]))
    size = tuple(dilation * (k - 1) + 1 + draw(st.integers(0, 5)) for k in kernel)
    windows = Windows(size, kernel, stride, ((pad, pad), (pad, 0)), (1, dilation))
    n, c = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "int64"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    of_images, of_values = (KINDS[draw(st.sampled_from(sorted(KINDS)))] for _ in range(2))
    images = of_images(rng.integers(-2, 3, (n, c, *size)).astype(dtype))
    return images, of_values(rng.integers(-9, 9, (n, c, *windows.grid)).astype(dtype)), windows


def both_kernels(name, *arguments):
    """What the two modules return, a list each: one array for each result."""
    for module in (cpu, plain):
        results = getattr(module, name)(*arguments)
        yield results if isinstance(results, tuple) else (results,)


def hold_equal(name, *arguments):
    for fast, slow in zip(*both_kernels(name, *arguments), strict=True):
        assert fast.dtype == slow.dtype
        np.testing.assert_array_equal(fast, slow, strict=True)


@some
@given(poolings())
def test_all_kernels_give_what_the_plain_ones_give(pooling):
    x, y, windows = pooling
    hold_equal("window_sums", x, windows)
    hold_equal("spread_sums", y, windows)
    hold_equal("window_maxima", x, windows)
    _, winners = plain.window_maxima(x, windows)
    hold_equal("spread_winners", y, winners, windows)


@some
@given(poolings(), st.integers(0, 99))
def test_nan_wins_as_it_does_in_the_plain_kernel(pooling, seed):
    x, _, windows = pooling
    x = np.where(np.random.default_rng(seed).random(x.shape) < 0.3, np.nan, x)
    hold_equal("window_maxima", x, windows)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
@pytest.mark.parametrize("block", [1, 200])
def test_blocks_and_threads_change_nothing(monkeypatch, rng, number, layout, block):
    monkeypatch.setattr(cpu, "BLOCK", block)
    monkeypatch.setattr(threads, "SMALL", 1)
    monkeypatch.setattr(threads, "WORTH", 1)
    windows = Windows((5, 6), (2, 3), (2, 3))
    x, y = (LAYOUTS[layout](rng.standard_normal((7, 3, *size))) for size in ((5, 6), windows.grid))
    _, winners = plain.window_maxima(x, windows)
    set_num_threads(number)
    try:
        hold_equal("window_sums", x, windows)
        hold_equal("spread_sums", y, windows)
        hold_equal("window_maxima", x, windows)
        hold_equal("spread_winners", y, winners, windows)
    finally:
        set_num_threads(1)


@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
def test_results_lie_in_memory_as_what_is_given(rng, layout):
    windows, order = Windows((4, 6), (2, 2), (2, 2)), (0, 1, 2, 3) if layout == "contiguous" else (0, 2, 3, 1)
    x = LAYOUTS[layout](rng.standard_normal((2, 3, 4, 6)))
    maxima, winners = cpu.window_maxima(x, windows)
    spread, sums = cpu.spread_winners(maxima, winners, windows), cpu.window_sums(x, windows)
    for result in (maxima, winners, spread, sums, cpu.spread_sums(sums, windows)):
        assert result.transpose(order).flags.c_contiguous


def test_a_gradient_laid_out_unlike_the_images_goes_to_the_same_pixels(rng):
    windows = Windows((4, 6), (2, 2), (2, 2))
    x = LAYOUTS["channels-last"](rng.standard_normal((2, 3, 4, 6)))
    maxima, winners = cpu.window_maxima(x, windows)
    spread = cpu.spread_winners(np.ascontiguousarray(maxima), winners, windows)
    np.testing.assert_array_equal(spread, np.where(spread != 0, x, 0))
    np.testing.assert_array_equal(cpu.window_sums(spread, windows), maxima)


def test_pixels_that_no_window_holds_get_nothing():
    windows = Windows((5, 5), (2, 2), (3, 2))
    spread = cpu.spread_sums(np.ones((1, 1, *windows.grid)), windows)
    np.testing.assert_array_equal(spread[0, 0], [[1, 1, 1, 1, 0]] * 2 + [[0] * 5] + [[1, 1, 1, 1, 0]] * 2)
