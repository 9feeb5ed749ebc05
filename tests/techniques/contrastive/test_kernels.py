"""The softmax over similarities in blocks, against the softmax of all of them at once."""

import math
import tracemalloc
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from techniques.contrastive import kernels
from techniques.contrastive.kernels import log_sums, weighted_rows
from techniques.contrastive.losses import nt_xent
from tinygrad_lite import Tensor, set_num_threads, threads


def unit_rows(rng, num_rows, d, dtype="float64"):
    u = rng.standard_normal((num_rows, d))
    return (u / np.linalg.norm(u, axis=1, keepdims=True)).astype(dtype)


def at_once(u, temperature):
    """lse and P, in float64 and of all rows."""
    s = u.astype("float64") @ u.T.astype("float64") / temperature
    np.fill_diagonal(s, -np.inf)
    highest = s.max(axis=1)
    lse = highest + np.log(np.exp(s - highest[:, None]).sum(axis=1))
    return lse, np.exp(s - lse[:, None])


@contextmanager
def limits(block, num_threads=1):
    """Blocks of so many rows, which threads share however little there is in them."""
    set_num_threads(num_threads)
    with (
        mock.patch.object(kernels, "BLOCK", block),
        mock.patch.object(threads, "SMALL", 0),
        mock.patch.object(threads, "WORTH", 1),
    ):
        yield
    set_num_threads(1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 12),
    st.integers(1, 4),
    st.sampled_from([1e-4, 2e-3, 0.1, 0.5, 3.0]),
    st.sampled_from([1, 2, 5, 12, 50]),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(0, 99),
)
def test_blocks_give_what_all_rows_at_once_give(
    num_rows, d, temperature, block, num_threads, is_by_columns, seed
):
    u = unit_rows(np.random.default_rng(seed), num_rows, d)
    u = np.asfortranarray(u) if is_by_columns else u
    expected, P = at_once(u, temperature)
    with limits(block, num_threads):
        lse = log_sums(u, temperature)
        products = weighted_rows(u, expected, temperature)
    np.testing.assert_allclose(lse, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(products, (P + P.T) @ u, rtol=1e-9 / temperature, atol=1e-12 / temperature)


@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.02, 0.03, 0.1, 0.5])
def test_float32_is_as_near_to_float64_as_its_similarities_are(rng, temperature):
    u = unit_rows(rng, 70, 8, "float32")
    expected, P = at_once(u, temperature)
    with limits(block=32):
        lse = log_sums(u, temperature)
        products = weighted_rows(u, lse, temperature)
    assert lse.dtype == products.dtype == np.float32
    np.testing.assert_allclose(lse, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(products, (P + P.T) @ u, atol=2e-6 / temperature)


def test_a_row_that_is_far_from_all_others_keeps_its_sum_at_a_low_temperature():
    u = np.array([[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]], dtype="float32")
    lse = log_sums(u, temperature=0.01)
    np.testing.assert_allclose(lse, [-100 + math.log(2), 100, 100], rtol=1e-6)


def test_the_same_threads_give_the_same_bits(rng):
    u = unit_rows(rng, 40, 6, "float32")
    with limits(block=4, num_threads=3):
        lse, again = log_sums(u, 0.5), log_sums(u, 0.5)
        first, second = weighted_rows(u, lse, 0.5), weighted_rows(u, lse, 0.5)
    np.testing.assert_array_equal(lse, again)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("temperature", [0.5, 0.02], ids=["square blocks", "whole rows"])
def test_the_loss_and_its_gradient_need_no_array_of_all_similarities(rng, temperature):
    num_rows = 1024
    z1, z2 = (Tensor(unit_rows(rng, num_rows // 2, 8, "float32"), requires_grad=True) for _ in range(2))
    with limits(block=16):
        nt_xent(z1, z2, temperature).backward()
        z1.grad = z2.grad = None
        tracemalloc.start()
        nt_xent(z1, z2, temperature).backward()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * num_rows**2 / 10
