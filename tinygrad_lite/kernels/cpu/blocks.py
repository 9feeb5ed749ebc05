"""Work for NumPy in blocks: what one pass wrote is still in the cache when the next reads it.

An expression such as `x / (1 + exp(-x))` passes over whole arrays, and for large ones memory is slower than
arithmetic. Here each block of an array goes through all passes before the next one, and threads share the
blocks. Elementwise work (`in_blocks`) cuts blocks from memory, so any order of axes in memory does, and
results have that of the input. Convolutions cut blocks of images, and prepare room for them (`for_blocks`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from tinygrad_lite.threads import CALLS, WORTH, over_blocks, slices

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

    def work(blocks: Iterator[slice]) -> None:
        room = [np.empty(min(BLOCK, first.size), first.dtype) for _ in range(scratch)]
        for block in blocks:
            length = block.stop - block.start
            compute(*[row[block] for row in rows], *[free[:length] for free in room])

    cost = 8 * passes * first.size
    if cost < 2 * CALLS * WORTH:  # one thread's, and no BLAS in it to be held
        work(slices(0, first.size, BLOCK))
    else:
        over_blocks(work, first.size, BLOCK, cost)
    return made


def for_blocks(prepare: Callable[..., Callable[..., T]], *arguments: object) -> Callable[..., T]:
    """prepare(*arguments, n)(block, …) for any block, n being its length; for one thread.

    What a block needs is prepared once for all that are as long: room, and views of it and of whole arrays.
    To cut views takes NumPy as long as a small pass, and meanwhile all other threads wait for Python.
    """
    prepared = functools.cache(functools.partial(prepare, *arguments))
    return lambda block, *more: prepared(block.stop - block.start)(block, *more)


def filling(pairs: list[tuple[np.ndarray, np.ndarray]], filled: np.ndarray) -> Callable[[slice], np.ndarray]:
    """A function of a block: for each pair (source, target), target ← source[block]; returns `filled`."""

    def fill(block: slice) -> np.ndarray:
        for source, target in pairs:
            target[...] = source[block]
        return filled

    return fill


def pixels_of(x: np.ndarray) -> np.ndarray:
    """Images (n, c, h, w) as (n, h, w, c), a view if the numbers of a pixel lie together."""
    images = x.transpose(0, 2, 3, 1)
    return images if images.strides[3] == x.itemsize else np.ascontiguousarray(images)


def whole(pixels: np.ndarray) -> np.ndarray:
    """(…, c) as (…), the numbers of a pixel one element: NumPy's loops count elements."""
    return pixels.view(f"V{pixels.shape[-1] * pixels.itemsize}")[..., 0]


def memory_order(x: np.ndarray) -> list[int]:
    """The axes from the longest stride to the shortest: transposed to it, a dense array is C-contiguous."""
    return sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
