"""Normalization: both kernels against the formula in float64, over layouts, blocks and threads; digits."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite import set_num_threads, threads
from tinygrad_lite.kernels import norm as plain
from tinygrad_lite.kernels.cpu import norm as cpu

some = settings(max_examples=80, deadline=None)
KERNELS = {"plain": plain, "cpu": cpu}
EPS = 0.1

LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "channels last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "transposed": lambda x: np.asfortranarray(x),
}


@contextlib.contextmanager
def in_small_blocks(block=40, num_threads=1):
    """Little data is cut into blocks of so many elements and rows of 16, and shared by threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "BLOCK", block)
        patch.setattr(cpu, "LONG", 16)
        patch.setattr(threads, "SMALL", 1)
        patch.setattr(threads, "WORTH", 1)
        set_num_threads(num_threads)
        yield
        set_num_threads(1)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def by_formula(G, x, w, b, dims):
    """y = w·x̂ + b with mean and variance over dims, and the three gradients; w and b broadcast to x."""
    m, v = x.mean(axis=dims, keepdims=True), x.var(axis=dims, keepdims=True)
    r = (v + EPS) ** -0.5
    xhat, h = r * (x - m), G * w
    along = (h * xhat).mean(axis=dims, keepdims=True)
    dx = r * (h - h.mean(axis=dims, keepdims=True) - xhat * along)
    others = tuple(i for i, n in enumerate(w.shape) if n == 1)
    dw, db = ((G * a).sum(axis=others, keepdims=True).reshape(-1) for a in (xhat, 1))
    return w * xhat + b, dx.reshape(x.shape), dw, db


def hold(results, expected, like):
    for fast, slow, shape in zip(results, expected, (like.shape, like.shape, (-1,), (-1,)), strict=True):
        assert fast.dtype == like.dtype
        np.testing.assert_allclose(fast, slow.reshape(shape), rtol=1e-12, atol=1e-12)


images = st.tuples(st.integers(2, 7), st.lists(st.integers(1, 5), max_size=2))
layouts = st.sampled_from(list(LAYOUTS))
numbers_of_threads = st.sampled_from([1, 3])


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@some
@given(images, st.integers(1, 9), layouts, numbers_of_threads)
def test_batch_norm_and_its_gradients_are_the_formula(kernels, image, C, layout, num_threads):
    n, size = image
    x, G = (LAYOUTS[layout](draws(n, C, *size, seed=seed)) for seed in (0, 1))
    w, b = draws(C, seed=2), draws(C, seed=3)
    with in_small_blocks(num_threads=num_threads):
        y, m, v = kernels.batch_norm(x, w, b, EPS)
        results = (y, *kernels.batch_norm_back(G, x, w, m, v, EPS))
    column = (C, *[1] * len(size))
    dims = (0, *range(2, x.ndim))
    hold(results, by_formula(G, x, w.reshape(1, *column), b.reshape(1, *column), dims), x)
    np.testing.assert_allclose(m, x.mean(axis=dims), atol=1e-12)
    np.testing.assert_allclose(v, x.var(axis=dims), atol=1e-12)


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@some
@given(images, st.integers(1, 3), st.integers(1, 4), layouts, numbers_of_threads)
def test_group_norm_and_its_gradients_are_the_formula(kernels, image, groups, width, layout, num_threads):
    (n, size), C = image, groups * width
    x, G = (LAYOUTS[layout](draws(n, C, *size, seed=seed)) for seed in (0, 1))
    w, b = draws(C, seed=2), draws(C, seed=3)
    with in_small_blocks(num_threads=num_threads):
        y, m, v = kernels.group_norm(x, groups, w, b, EPS)
        results = (y, *kernels.group_norm_back(G, x, groups, w, m, v, EPS))
    split, column = (n, groups, width, *size), (1, groups, width, *[1] * len(size))
    expected = by_formula(
        G.reshape(split), x.reshape(split), w.reshape(column), b.reshape(column), tuple(range(2, len(split)))
    )
    hold(results, expected, x)


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@some
@given(st.integers(1, 40), st.integers(1, 20), layouts, numbers_of_threads)
def test_layer_norm_and_its_gradients_are_the_formula(kernels, M, D, layout, num_threads):
    x, G = (LAYOUTS[layout](draws(M, D, seed=seed)) for seed in (0, 1))
    w, b = draws(D, seed=2), draws(D, seed=3)
    with in_small_blocks(num_threads=num_threads):
        y, m, v = kernels.layer_norm(x, w, b, EPS)
        results = (y, *kernels.layer_norm_back(G, x, w, m, v, EPS))
    hold(results, by_formula(G, x, w[None], b[None], (1,)), x)


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@some
@given(st.integers(0, 7), st.integers(1, 9), st.lists(st.integers(0, 5), max_size=2), layouts)
def test_affine_is_the_formula(kernels, n, C, size, layout):
    x, scale, shift = LAYOUTS[layout](draws(n, C, *size)), draws(C, seed=1), draws(C, seed=2)
    column = (C, *[1] * len(size))
    with in_small_blocks(block=min(40, x.size), num_threads=3):
        y = kernels.affine(x, scale, shift)
    np.testing.assert_allclose(y, x * scale.reshape(column) + shift.reshape(column), atol=1e-12)


WITHOUT = {
    "batch_norm": ((40, 6, 2), ()),
    "group_norm": ((40, 6, 2), (3,)),
    "layer_norm": ((40, 12), ()),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_weight_and_bias_they_are_ones_and_zeros(name):
    shape, groups = WITHOUT[name]
    x, G = draws(*shape), draws(*shape, seed=1)
    ones, zeros = np.ones(shape[1]), np.zeros(shape[1])
    forward, back = getattr(cpu, name), getattr(cpu, f"{name}_back")
    with in_small_blocks():
        y, m, v = forward(x, *groups, None, None, EPS)
        np.testing.assert_allclose(y, forward(x, *groups, ones, zeros, EPS)[0], atol=1e-14)
        for bare, full in zip(
            back(G, x, *groups, None, m, v, EPS), back(G, x, *groups, ones, m, v, EPS), strict=True
        ):
            np.testing.assert_allclose(bare, full, atol=1e-12)


def test_results_have_the_channels_last_in_memory():
    x = draws(8, 6, 4, 4)
    with in_small_blocks():
        y, m, v = cpu.batch_norm(x, None, None, EPS)
        dx, _, _ = cpu.batch_norm_back(x, x, None, m, v, EPS)
        z, _, _ = cpu.group_norm(x, 2, None, None, EPS)
    assert all(a.transpose(0, 2, 3, 1).flags.c_contiguous for a in (y, dx, z))


IMAGES, ROWS, OF_A_CHANNEL = np.ones((8, 6, 4)), np.ones((20, 6)), np.ones(6)
CALLS = {
    "batch_norm": (IMAGES, None, None, EPS),
    "batch_norm_back": (IMAGES, IMAGES, None, OF_A_CHANNEL, OF_A_CHANNEL, EPS),
    "affine": (IMAGES, OF_A_CHANNEL, OF_A_CHANNEL),
    "group_norm": (IMAGES, 3, None, None, EPS),
    "group_norm_back": (IMAGES, IMAGES, 3, None, np.ones((8, 6)), np.ones((8, 6)), EPS),
    "layer_norm": (ROWS, None, None, EPS),
    "layer_norm_back": (ROWS, ROWS, None, np.ones((20, 1)), np.ones((20, 1)), EPS),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_size_of_numpys_buffer_is_afterwards_what_it_was(name):
    with np.errstate(), in_small_blocks():
        np.setbufsize(4096)
        getattr(cpu, name)(*CALLS[name])
        assert np.getbufsize() == 4096


@some
@given(st.integers(0, 3), st.integers(0, 600), st.integers(1, 300))
def test_long_rows_are_the_same_memory_and_at_most_two_and_a_bit_of_the_length(P, L, C):
    data = np.empty((P, L, C))
    rows, k = cpu._long_rows(data)
    assert rows.shape == (P, L // k, k * C)
    assert rows.shape[1] * k == L
    assert rows.shape[2] <= max(C, 2 * (cpu.LONG + C))
    assert rows.base is data or rows is data


# -- digits ------------------------------------------------------------------------------------------------

FAR = {
    "batch_norm": ((64, 16, 16, 16), (0, 2, 3), lambda k, x: k.batch_norm(x, None, None, 0.0)),
    "group_norm": ((64, 16, 16, 16), (2, 3), lambda k, x: k.group_norm(x, 16, None, None, 0.0)),
    "layer_norm": ((4096, 128), (1,), lambda k, x: k.layer_norm(x, None, None, 0.0)),
}


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("name", FAR)
def test_float32_a_thousand_deviations_from_0_loses_what_its_own_rounding_takes(kernels, name):
    shape, dims, norm = FAR[name]
    x = (draws(*shape) + 1000).astype("float32")
    wide = x.astype("float64")
    exact = (wide - wide.mean(axis=dims, keepdims=True)) / wide.std(axis=dims, keepdims=True)
    error = norm(kernels, LAYOUTS["channels last"](x))[0] - exact
    assert math.sqrt((error**2).mean()) < 1000 * np.finfo("float32").eps


def test_a_batch_whose_first_pixel_lies_far_off_keeps_its_digits():
    x = draws(1 << 12, 64).astype("float32")
    x[0] = 1e4
    wide = x.astype("float64")
    _, m, v = cpu.batch_norm(x, None, None, 0.0)
    np.testing.assert_allclose(v, wide.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(m, wide.mean(axis=0), atol=1e-6 * wide.std())
