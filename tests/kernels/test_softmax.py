"""Softmax for NumPy against the plain expressions: layouts, blocks, threads, and very large eˣ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lite.kernels import softmax as plain
from tinygrad_lite.kernels.cpu import softmax as cpu

some = settings(max_examples=60, deadline=None)

LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "first axis last": lambda x: np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(
        -1, *range(x.ndim - 1)
    ),
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


def hold_close(fast, slow, tolerance):
    assert (fast.shape, fast.dtype) == (slow.shape, slow.dtype)
    np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance)


def all_four_agree(x, g, axis, tolerance):
    p, y = plain.softmax(x, axis), plain.log_softmax(x, axis)
    hold_close(cpu.softmax(x, axis), p, tolerance)
    hold_close(cpu.log_softmax(x, axis), y, tolerance * 10)
    hold_close(cpu.softmax_back(g, p, axis), plain.softmax_back(g, p, axis), tolerance)
    hold_close(cpu.log_softmax_back(g, y, axis), plain.log_softmax_back(g, y, axis), tolerance)


@some
@given(
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    st.data(),
    st.sampled_from(["float64", "float32", "float16"]),
)
def test_all_kernels_give_what_the_plain_ones_give(shape, data, dtype):
    axis, of_x, of_g = (
        data.draw(st.integers(0, len(shape) - 1)),
        *(LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))] for _ in range(2)),
    )
    rng = np.random.default_rng(0)
    x, g = (rng.normal(0, 3, shape).astype(dtype) for _ in range(2))
    tolerance = {"float64": 1e-13, "float32": 2e-6, "float16": 2e-2}[dtype]
    all_four_agree(of_x(x), of_g(g), axis, tolerance)


@pytest.mark.parametrize("columns", [1, 31, 33, 200])
@pytest.mark.parametrize("block", [1, 100, 1 << 17])
def test_blocks_and_threads_change_nothing(shared, monkeypatch, rng, columns, block):
    monkeypatch.setattr(cpu, "BLOCK", block)
    x, g = rng.normal(0, 3, (50, columns)), rng.standard_normal((50, columns))
    all_four_agree(x, g, 1, 1e-13)


@pytest.mark.parametrize("shape", [(0, 5), (2, 0, 3)])
def test_no_rows_are_fine(shape):
    x = np.zeros(shape)
    assert cpu.softmax(x, len(shape) - 1).shape == cpu.log_softmax(x, len(shape) - 1).shape == shape


@pytest.mark.parametrize("axis", [0, 1])
def test_results_lie_in_memory_as_the_input(rng, axis):
    x = LAYOUTS["first axis last"](rng.standard_normal((4, 3, 5)))
    for name in ("softmax", "log_softmax"):
        assert getattr(cpu, name)(x, axis).strides == x.strides


# -- exponentials without a maximum -------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-1e4, -300.0, -95.0, -80.0, -30.0, 0.0, 30.0, 80.0, 300.0, 1e4])
@pytest.mark.parametrize("columns", [5, 64])
def test_an_offset_of_any_size_costs_no_accuracy(rng, offset, columns):
    steps = rng.integers(-8, 8, (7, columns)).astype("float32")  # so that adding the offset rounds nothing
    expected = plain.softmax(steps.astype("float64"), 1)
    np.testing.assert_allclose(cpu.softmax(steps + np.float32(offset), 1), expected, rtol=1e-6)


def test_one_row_far_below_the_others_is_as_exact_as_they(rng):
    x = rng.integers(-8, 8, (6, 40)).astype("float32")
    x[3] -= 1000
    np.testing.assert_allclose(cpu.softmax(x, 1), plain.softmax(x.astype("float64"), 1), rtol=1e-6)


def test_sums_that_are_not_safe_are_made_of_the_distances_to_the_maximum():
    x = np.array([[100.0, 100.0], [0.0, 0.0]], "float32")
    e = np.empty_like(x)
    assert cpu.exponentials(x, out=e).tolist() == [[2], [2]]
    assert e.tolist() == [[1, 1], [1, 1]]


def test_an_overflow_on_the_way_warns_of_nothing():
    assert cpu.softmax(np.array([[1000.0, 0.0]], "float32"), 1).tolist() == [[1, 0]]


def test_nan_spoils_its_own_row_alone():
    p = cpu.softmax(np.array([[np.nan, 0.0], [0.0, 0.0]]), 1)
    np.testing.assert_array_equal(p, [[np.nan, np.nan], [0.5, 0.5]])


# -- rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (9, 10), (9, 32), (9, 33), (0, 4)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("lay_out", [np.asarray, np.asfortranarray])
def test_maxima_and_sums_of_rows_are_those_of_numpy(rng, shape, dtype, lay_out):
    x = lay_out(rng.integers(-9, 9, shape).astype(dtype))
    np.testing.assert_array_equal(cpu.row_maxima(x), x.max(axis=1, keepdims=True), strict=True)
    np.testing.assert_array_equal(cpu.row_sums(x), x.sum(axis=1, keepdims=True), strict=True)


def test_a_nan_is_the_maximum_of_its_row():
    assert np.isnan(cpu.row_maxima(np.array([[1.0, np.nan, 2.0]]))).all()


def test_long_rows_are_added_up_exactly():
    x = np.full((1, 1 << 20), 0.1, "float32")
    np.testing.assert_allclose(cpu.row_sums(x), 0.1 * (1 << 20), rtol=1e-6)


@pytest.mark.parametrize("columns", [400, 5000])
def test_float16_is_not_added_up_in_it(columns):
    x = np.full((1, columns), 8, "float16")  # from 16,384 on, adding 8 would change nothing
    for module in (cpu, plain):
        assert module.row_sums(x) == 8 * columns
