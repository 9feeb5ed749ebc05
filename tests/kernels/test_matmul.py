"""Matrix products for NumPy against `@`: layouts, broadcasts, dtypes, and runs shared by threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lite import set_num_threads, threads
from tinygrad_lite.kernels import matmul as plain
from tinygrad_lite.kernels.cpu import matmul as cpu

some = settings(max_examples=60, deadline=None)


def turned(x):
    """The same matrices, their columns lying together in memory."""
    return x.swapaxes(-1, -2).copy().swapaxes(-1, -2)


def backwards(x):
    """The same, from the last row to the first in memory."""
    return np.ascontiguousarray(x[..., ::-1, :])[..., ::-1, :]


layouts = st.sampled_from([np.asarray, turned, backwards])


@some
@given(
    hnp.mutually_broadcastable_shapes(signature="(n,k),(k,m)->(n,m)", max_dims=2, min_side=0, max_side=3),
    layouts,
    layouts,
    st.sampled_from(["float64", "float32", "float16", "int64"]),
)
def test_products_are_those_of_numpy(shapes, lay_out_a, lay_out_b, dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, shape).astype(dtype) for shape in shapes.input_shapes)
    product = cpu.matmul(lay_out_a(a), lay_out_b(b))
    np.testing.assert_array_equal(product, plain.matmul(a, b), strict=True)


@pytest.mark.parametrize("lay_out", [np.asarray, turned, backwards])
@pytest.mark.parametrize(
    ("a", "b"),
    [((40, 5), (5, 7)), ((5, 7), (7, 40)), ((6, 4, 5), (6, 5, 3)), ((6, 4, 5), (5, 3)), ((0, 3), (3, 2))],
)
def test_shared_products_are_the_same(shared, monkeypatch, rng, lay_out, a, b):
    monkeypatch.setattr(cpu, "SMALL", 1)
    monkeypatch.setattr(cpu, "WORTH", 1)
    a, b = lay_out(rng.standard_normal(a)), lay_out(rng.standard_normal(b))
    np.testing.assert_allclose(cpu.matmul(a, b), a @ b, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("bias", [True, False])
def test_a_shared_linear_layer_is_the_same(shared, monkeypatch, rng, bias):
    monkeypatch.setattr(cpu, "SMALL", 1)
    monkeypatch.setattr(cpu, "WORTH", 1)
    x, w, b = rng.standard_normal((50, 5)), rng.standard_normal((3, 5)), rng.standard_normal(3)
    b = b if bias else None
    np.testing.assert_allclose(cpu.linear(x, w, b), plain.linear(x, w, b), rtol=1e-13)


def test_each_thread_fills_a_run_of_rows_of_its_own(monkeypatch, rng):
    monkeypatch.setattr(threads, "WORTH", 1)
    monkeypatch.setattr(cpu, "WORTH", 1)
    set_num_threads(3)
    runs = []

    def noted(work, n, cost, unit=1):
        return threads.in_runs(
            lambda start, stop: runs.append((start, stop)) or work(start, stop), n, cost, unit
        )

    monkeypatch.setattr(cpu, "in_runs", noted)
    a, b = rng.standard_normal((96, 64)), rng.standard_normal((64, 64))
    np.testing.assert_allclose(cpu.matmul(a, b), a @ b, rtol=1e-12)
    set_num_threads(1)
    assert sorted(runs) == [(0, 32), (32, 64), (64, 96)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("lay_out", [np.asarray, turned, backwards])
def test_sums_of_columns_are_those_of_numpy(rng, lay_out, dtype, tolerance):
    g = lay_out(rng.standard_normal((100, 7)).astype(dtype))
    sums = cpu.column_sums(g)
    assert sums.dtype == dtype
    np.testing.assert_allclose(sums, g.sum(axis=0), rtol=tolerance, atol=tolerance)


def test_sums_of_columns_of_float16_are_not_added_up_in_it():
    for module in (cpu, plain):
        np.testing.assert_array_equal(module.column_sums(np.ones((5000, 3), "float16")), [5000] * 3)


@pytest.mark.parametrize("k", [0, 1, 53, 97, 106, 128])
def test_transposed_products_of_any_width_are_numpys(k, rng):
    a, b = rng.standard_normal((1024, k)), rng.standard_normal((1024, 40))
    np.testing.assert_allclose(cpu.matmul_transposed(a, b), a.T @ b, rtol=1e-10, atol=1e-10)


def test_linear_takes_no_inputs_and_no_outputs():
    assert cpu.linear(np.ones((1024, 0)), np.ones((4, 0)), np.ones(4)).tolist() == [[1] * 4] * 1024
    assert cpu.linear(np.ones((1024, 4)), np.ones((0, 4)), None).shape == (1024, 0)
    assert cpu.matmul_transposed(np.ones((1024, 4)), np.ones((1024, 0))).shape == (4, 0)
