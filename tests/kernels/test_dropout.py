"""Dropout's kernels for NumPy: which share is kept, for which p, in which order; and the product."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.test_blocks import LAYOUTS, blocks_and_threads, layouts, lies_as, shapes
from tinygrad_lite.kernels import dropout as plain
from tinygrad_lite.kernels.cpu import dropout as cpu

few = settings(max_examples=60, deadline=None)


class Words:
    """A generator whose bits are given: `random_raw` hands out these words of 64 bits."""

    def __init__(self, *words):
        self.words = words
        self.bit_generator = self

    def random_raw(self, size):
        assert size == len(self.words)
        return np.array(self.words, "uint64")


def test_an_element_is_dropped_where_its_16_bits_are_below_p():
    rng = Words(0x8000_7FFF_0000_FFFF)  # the lowest come first
    assert cpu.draw_kept(np.empty(4), 0.5, rng).tolist() == [True, False, False, True]


@pytest.mark.parametrize("p", [2.0**-9, 1e-6, 1 - 2.0**-9])
def test_near_0_and_1_it_takes_32_bits(p):
    at, below = round(p * 2**32), round(p * 2**32) - 1
    assert cpu.draw_kept(np.empty(2), p, Words(below << 32 | at)).tolist() == [True, False]


@pytest.mark.parametrize("p", [2.0**-8, 0.1, 0.5, 1 / 3, 1 - 2.0**-8, 1e-3, 1 - 1e-3])
def test_the_share_that_is_dropped_is_p(p, rng):
    n = 1 << 20
    dropped = n - np.count_nonzero(cpu.draw_kept(np.empty(n), p, rng))
    assert abs(dropped - n * p) < 5 * (n * p * (1 - p)) ** 0.5


@pytest.mark.parametrize(("p", "kept"), [(1e-12, True), (1 - 1e-12, False), (1.0, False)])
def test_all_or_nothing_where_p_rounds_to_0_or_1(p, kept, rng):
    assert (cpu.draw_kept(np.empty(5000), p, rng) == kept).all()


@few
@given(shapes, layouts, st.sampled_from([0.3, 1e-3, 0.9]), st.integers(0, 99))
def test_what_is_kept_depends_on_the_seed_and_not_on_the_layout(shape, layout, p, seed):
    x = np.zeros(shape)
    turned = LAYOUTS[layout](x)
    first, second = (cpu.draw_kept(y, p, np.random.default_rng(seed)) for y in (x, turned))
    np.testing.assert_array_equal(second, first, strict=True)
    assert lies_as(second, turned)


def test_draws_of_several_calls_are_not_the_same(rng):
    x = np.empty(64)
    assert (cpu.draw_kept(x, 0.5, rng) != cpu.draw_kept(x, 0.5, rng)).any()


@few
@given(
    shapes,
    layouts,
    layouts,
    st.sampled_from(["float16", "float32", "float64"]),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_the_product_is_that_of_the_plain_kernel(shape, of_x, of_kept, dtype, number, seed):
    rng = np.random.default_rng(seed)
    x = LAYOUTS[of_x](rng.standard_normal(shape).astype(dtype))
    kept = LAYOUTS[of_kept](rng.random(shape) < 0.5)
    with blocks_and_threads(number):
        y = cpu.scale_kept(x, kept, 4.0)
    np.testing.assert_array_equal(y, plain.scale_kept(x, kept, 4.0), strict=True)
    assert lies_as(y, x)
