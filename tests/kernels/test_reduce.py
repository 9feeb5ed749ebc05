"""Sums over dimensions for NumPy against its own: any layout, any dimensions, threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_lite.kernels import reduce as plain
from tinygrad_lite.kernels.cpu import reduce as cpu


@st.composite
def sums(draw):
    """An array, its axes in any order in memory, some perhaps reversed or repeated; and what to sum."""
    shape = draw(hnp.array_shapes(max_dims=4, min_side=0, max_side=4))
    order = draw(st.permutations(range(len(shape))))
    x = np.random.default_rng(0).integers(-9, 9, [shape[d] for d in order])
    x = x.astype(draw(st.sampled_from(["float64", "float32", "float16", "int64"])))
    x = x.transpose(np.argsort(order))
    kind = draw(st.sampled_from(["dense", "dense", "dense", "reversed", "repeated"]))
    x = x[::-1] if kind == "reversed" else np.broadcast_to(x, (2, *x.shape)) if kind == "repeated" else x
    dims = draw(st.sets(st.integers(0, x.ndim - 1)))
    return x, tuple(dims), draw(st.booleans())


@settings(max_examples=150, deadline=None)
@given(sums())
def test_sums_are_those_of_numpy(drawn):
    x, dims, keepdim = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "WORTH", 1)
        total = cpu.total(x, dims, keepdim)
    np.testing.assert_array_equal(total, plain.total(x, dims, keepdim), strict=True)


@pytest.mark.parametrize("dims", [(2, 3), (0, 2, 3), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_threads_change_nothing(shared, monkeypatch, rng, order, dims):
    monkeypatch.setattr(cpu, "WORTH", 0)
    x = rng.standard_normal([(5, 3, 4, 6)[d] for d in order]).transpose(np.argsort(order))
    np.testing.assert_allclose(cpu.total(x, dims, False), x.sum(axis=dims), rtol=1e-12, atol=1e-13)


def test_long_rows_are_left_to_numpy_which_adds_them_in_pairs(monkeypatch):
    x = np.full((1, 1 << 20), 0.1, "float32")
    np.testing.assert_allclose(cpu.total(x, (1,), False), 0.1 * (1 << 20), rtol=1e-6)


@pytest.mark.parametrize("kernels", [plain, cpu])
@settings(max_examples=50, deadline=None)
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0))
def test_unbroadcast_sums_what_broadcasting_repeats(kernels, shapes):
    rng = np.random.default_rng(0)
    for shape in shapes.input_shapes:
        array = rng.standard_normal(shapes.result_shape)
        total = kernels.unbroadcast(array, shape, "float64")
        assert total.shape == shape
        x = rng.standard_normal(shape)  # the sum over repetitions is what makes this equal:
        assert (total * x).sum() == pytest.approx((array * x).sum(), abs=1e-9)


@pytest.mark.parametrize("kernels", [plain, cpu])
def test_unbroadcast_casts(kernels):
    assert kernels.unbroadcast(np.ones(2), (2,), "float32").dtype == "float32"
