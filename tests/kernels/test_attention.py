"""Attention for NumPy against the plain expressions: views of heads, masks, dropout, blocks, threads."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite.kernels import attention as plain
from tinygrad_lite.kernels.cpu import attention as cpu

some = settings(max_examples=60, deadline=None)


def heads_apart(x):
    """The same numbers, those of all heads of a place side by side: as projections give them."""
    return x if x.ndim < 3 else np.ascontiguousarray(x.swapaxes(-3, -2)).swapaxes(-3, -2)


def side_by_side(x):
    """The same, as one part of an array that holds three in each row."""
    return np.repeat(x[..., None, :], 3, axis=-2)[..., 1, :]


def turned(x):
    """The same matrices, their columns lying together in memory."""
    return x.swapaxes(-1, -2).copy().swapaxes(-1, -2)


LAYOUTS = [np.ascontiguousarray, heads_apart, side_by_side, turned]


def arguments(batch, L, S, E, D, mask="none", dropout=False, dtype="float64", lay_out=np.ascontiguousarray):
    """(g, (q, k, v, bias, is_open, scale, Z))."""
    rng = np.random.default_rng(0)
    g, q, k, v = (
        lay_out(rng.standard_normal((*batch, *size)).astype(dtype))
        for size in ((L, D), (L, E), (S, E), (S, D))
    )
    bias = is_open = None
    if mask != "none":
        shape = {"for all": (L, S), "for keys": (S,), "for each": (*batch, L, S)}[mask]
        takes_part = rng.random(shape) < 0.6
        bias = np.where(takes_part, rng.standard_normal(shape), np.finfo(dtype).min / 2).astype(dtype)
        is_open = takes_part.any(axis=-1, keepdims=True)
    Z = ((rng.random((*batch, L, S)) < 0.7) / 0.7).astype(dtype) if dropout else None
    return g, (q, k, v, bias, is_open, 1 / math.sqrt(E), Z)


def hold_equal(g, given, needs_bias=True, tolerance=1e-12):
    """The output and all gradients of both modules."""
    q, k, v, _, _, scale, Z = given
    found = []
    for module in (cpu, plain):
        o, kept = module.attend(*given)
        found.append((o, *module.gradients(g, q, k, v, o, kept, scale, Z, needs_bias)))
    for fast, slow in zip(*found, strict=True):
        assert (fast is None) == (slow is None)
        if fast is not None:
            assert (fast.shape, fast.dtype) == (slow.shape, slow.dtype)
            np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance)


@some
@given(
    batch=st.lists(st.integers(0, 3), max_size=3),
    sizes=st.tuples(st.integers(0, 5), *[st.integers(1, 5)] * 3),
    mask=st.sampled_from(["none", "none", "for all", "for keys", "for each"]),
    dropout=st.booleans(),
    lay_out=st.sampled_from(LAYOUTS),
    precision=st.sampled_from([("float64", 1e-12), ("float32", 1e-5), ("float16", 2e-2)]),
)
def test_output_and_gradients_are_those_of_the_plain_kernel(batch, sizes, mask, dropout, lay_out, precision):
    dtype, tolerance = precision
    hold_equal(*arguments(batch, *sizes, mask, dropout, dtype, lay_out), tolerance=tolerance)


@pytest.mark.parametrize("block", [1, 50, 1 << 18])
@pytest.mark.parametrize("mask", ["none", "for all"])
@pytest.mark.parametrize("batch", [(7,), (2, 7), (7, 2), (1, 2, 7)])
def test_blocks_and_threads_change_nothing(shared, monkeypatch, batch, mask, block):
    monkeypatch.setattr(cpu, "BLOCK", block)
    hold_equal(*arguments(batch, 3, 5, 4, 2, mask, dropout=True))


@pytest.mark.parametrize("size", [10.0, 100.0, 1000.0])
def test_large_logits_take_the_way_with_maxima_and_lose_nothing(size):
    g, (q, *others) = arguments((3,), 4, 5, 4, 2)
    hold_equal(g, (q * size, *others))


def test_values_near_the_largest_number_do_not_overflow():
    _, (q, k, v, *others) = arguments((3,), 4, 5, 4, 2, dtype="float32")
    q, k, v = 5 * abs(q), 5 * abs(k), v * np.float32(1e30)
    np.testing.assert_allclose(cpu.attend(q, k, v, *others)[0], plain.attend(q, k, v, *others)[0], rtol=1e-5)


def test_blocks_make_up_the_run_and_end_with_it(monkeypatch):
    monkeypatch.setattr(cpu, "BLOCK", 60)
    E = np.empty((9, 4, 5))
    assert [(b.start, b.stop) for b in cpu._blocks(2, 9, E)] == [(2, 5), (5, 8), (8, 9)]
    assert not list(cpu._blocks(0, 0, E[:0]))


def test_gradients_of_the_bias_are_made_only_where_they_are_wanted():
    g, given = arguments((2,), 3, 5, 4, 2, "for all")
    hold_equal(g, given, needs_bias=False)


def test_nothing_that_is_given_is_written_into():
    for lay_out in LAYOUTS:
        g, given = arguments((2, 3), 4, 5, 4, 2, "for all", dropout=True, lay_out=lay_out)
        before = [np.copy(x) for x in (g, *given) if isinstance(x, np.ndarray)]
        hold_equal(g, given)
        for x, was in zip((x for x in (g, *given) if isinstance(x, np.ndarray)), before, strict=True):
            np.testing.assert_array_equal(x, was)


def test_heads_that_lay_side_by_side_do_so_in_the_output_and_the_gradients():
    # so that merging them again copies nothing
    g, given = arguments((2, 3), 4, 4, 5, 5, lay_out=heads_apart)
    o, kept = cpu.attend(*given)
    for x in (o, *cpu.gradients(g, *given[:3], o, kept, given[5], None, False)[:3]):
        assert x.swapaxes(1, 2).flags.c_contiguous
