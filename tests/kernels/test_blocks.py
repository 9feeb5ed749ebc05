"""Elementwise work in blocks: any shape, any strides, several inputs, threads; what comes out lies like x."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinygrad_lite import set_num_threads, threads
from tinygrad_lite.kernels.cpu import blocks
from tinygrad_lite.kernels.cpu.blocks import in_blocks

few = settings(max_examples=80, deadline=None)

LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "last axis first": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -1, 0)), 0, -1),
    "second axis last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "among others": lambda x: np.repeat(x, 2, axis=0)[::2],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
}
layouts = st.sampled_from(sorted(LAYOUTS))
shapes = array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5)


@contextmanager
def blocks_and_threads(number):
    """Blocks of four elements, and work for each of so many threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 4)
        patch.setattr(threads, "SMALL", 0)
        patch.setattr(threads, "WORTH", 1)
        patch.setattr(blocks, "WORTH", 1)
        set_num_threads(number)
        try:
            yield
        finally:
            set_num_threads(1)


def lies_as(y, x):
    """Whether y has the memory order that NumPy gives to results of x."""
    steps = [
        [s // array.itemsize for s, n in zip(array.strides, array.shape, strict=True) if n > 1]
        for array in (y, np.empty_like(x))
    ]
    return y.size == 0 or steps[0] == steps[1]


def sum_and_difference(a, b, total, difference, room):
    np.multiply(b, -1, out=room)
    np.add(a, b, out=total)
    np.add(a, room, out=difference)


def run(a, b):
    return in_blocks(sum_and_difference, a, b, passes=3, results=2, scratch=1)


@pytest.mark.parametrize("number", [1, 3])
@few
@given(shapes, layouts, layouts, st.integers(0, 99))
def test_every_element_meets_its_partner_in_any_two_layouts(number, shape, of_a, of_b, seed):
    values = np.random.default_rng(seed).standard_normal((2, *shape))
    a, b = LAYOUTS[of_a](values[0]), LAYOUTS[of_b](values[1])
    with blocks_and_threads(number):
        total, difference = run(a, b)
    np.testing.assert_array_equal(total, values[0] + values[1], strict=True)
    np.testing.assert_array_equal(difference, values[0] - values[1], strict=True)
    assert lies_as(total, a)
    assert lies_as(difference, a)


def test_a_broadcast_array_is_read_as_what_it_shows(rng):
    column, full = np.broadcast_to(rng.standard_normal((7, 1, 1)), (7, 3, 2)), rng.standard_normal((7, 3, 2))
    for a, b in ((column, full), (full, column), (column, column)):
        with blocks_and_threads(3):
            _, difference = run(a, b)
        np.testing.assert_array_equal(difference, np.array(a) - np.array(b))


@pytest.mark.parametrize("n", [3, 9])
def test_float16_is_rounded_once(n):
    def there_and_back(a, b, y):
        np.add(a, b, out=y)
        y -= 2048

    with blocks_and_threads(3):
        (y,) = in_blocks(there_and_back, np.full(n, 2048, "float16"), np.ones(n, "float16"), passes=2)
    np.testing.assert_array_equal(y, np.ones(n, "float16"), strict=True)  # in float16 2048 + 1 is 2048


@pytest.mark.parametrize("number", [1, 3])
def test_no_block_is_longer_than_the_limit(number):
    lengths = []
    with blocks_and_threads(number):
        in_blocks(lambda x, y: lengths.append(len(x)), np.zeros(30), passes=1)
    assert max(lengths) == 4
    assert sum(lengths) == 30


def test_little_work_wakes_no_thread_and_leaves_blas_alone(monkeypatch):
    monkeypatch.setattr(threads, "_at_once", None)
    (y,) = in_blocks(lambda x, y: np.copyto(y, x), np.ones(blocks.BLOCK + 1), passes=1)
    assert y.all()


def test_much_work_is_shared():
    meet = threading.Barrier(2, timeout=10)
    set_num_threads(2)
    in_blocks(lambda x, y: meet.wait(), np.ones(2 * blocks.BLOCK), passes=1 << 12)
    set_num_threads(1)


def test_each_thread_has_scratch_arrays_of_its_own():
    meet = threading.Barrier(3, timeout=10)

    def there_and_back(x, y, room):
        room[...] = x
        meet.wait()  # all three are at a block
        y[...] = room

    x = np.arange(24.0)
    with blocks_and_threads(3):
        (y,) = in_blocks(there_and_back, x, passes=1, scratch=1)
    np.testing.assert_array_equal(y, x)


def test_what_a_block_needs_is_prepared_once_for_all_that_are_as_long():
    prepared = []

    def prepare(factor, n):
        prepared.append(n)
        return lambda block, more: factor * block.start + more

    of_block = blocks.for_blocks(prepare, 10)
    assert [of_block(slice(i, min(i + 3, 8)), 0.5) for i in (0, 3, 6)] == [0.5, 30.5, 60.5]
    assert prepared == [3, 2]
