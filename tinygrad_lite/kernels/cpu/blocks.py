"""Elementwise work for NumPy in blocks: what one pass wrote is still in the cache when the next reads it.

An expression such as `x / (1 + exp(-x))` passes over whole arrays, and for large ones memory is slower than
arithmetic. Here each block of an array goes through all passes before the next one, and threads share the
blocks. Blocks are cut from memory, so any order of axes in memory does, and results have that of the input.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from tinygrad_lite import threads

T = TypeVar("T")

BLOCK = 1 << 16  # elements: some arrays of it fit into a core's cache, and a call costs little beside a pass


def in_blocks(
    compute: Callable[..., None],
    *inputs: np.ndarray,
    passes: int,
    results: int = 1,
    scratch: int = 0,
) -> list[np.ndarray]:
    """Arrays like the first input that `compute` fills from the inputs, all of one shape, block by block.

    Args:
        compute: is called with a block of each input, of each result and of each scratch array, which holds
            anything; it writes into the last two kinds.
        inputs: the first is of floats. Of float16 all are computed in float32, and the results rounded once.
        passes: what `compute` costs, in passes over an array; an exponential counts as four.
        results: how many.
        scratch: how many.

    Returns:
        The results, in memory as the first input is.
    """
    first = inputs[0]
    if first.itemsize == 2:
        wide = [x.astype(np.float32) for x in inputs]
        made = in_blocks(compute, *wide, passes=passes, results=results, scratch=scratch)
        return [y.astype(np.float16) for y in made]
    made = [np.empty_like(first) for _ in range(results)]
    if first.size <= BLOCK:
        compute(*inputs, *made, *[np.empty_like(first) for _ in range(scratch)])
        return made
    order = memory_order(made[0])
    rows = [x.transpose(order).reshape(-1) for x in (*inputs, *made)]  # views, but of inputs in other orders

    def work(start: int, stop: int) -> None:
        room = [np.empty(min(BLOCK, stop - start), first.dtype) for _ in range(scratch)]
        for block in threads.slices(start, stop, BLOCK):
            length = block.stop - block.start
            compute(*[row[block] for row in rows], *[free[:length] for free in room])

    cost = 8 * passes * first.size
    if cost < 2 * threads.WORTH:  # a single run, and no BLAS in it to be held
        work(0, first.size)
    else:
        threads.in_runs(work, first.size, cost)
    return made


def over_blocks(work: Callable[[Iterable[slice]], T], n: int, longest: int, cost: float) -> list[T]:
    """[work(blocks), …], one for each thread: equal blocks of range(n), `longest` at most; `cost` of all."""

    def run(start: int, stop: int) -> T:
        count = max(1, math.ceil((stop - start) / longest))
        ends = [start + (stop - start) * i // count for i in range(count + 1)]
        return work(map(slice, ends[:-1], ends[1:]))

    return threads.in_runs(run, n, cost)


def sum_over_blocks(of_block: Callable[[slice], np.ndarray], n: int, longest: int, cost: float) -> np.ndarray:
    """Σ of_block(block) over these blocks, in their order."""
    sums = over_blocks(lambda blocks: functools.reduce(np.add, map(of_block, blocks)), n, longest, cost)
    return functools.reduce(np.add, sums)


def memory_order(x: np.ndarray) -> list[int]:
    """The axes from the longest stride to the shortest: transposed to it, a dense array is C-contiguous."""
    return sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
