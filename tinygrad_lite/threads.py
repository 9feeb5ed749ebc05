"""Threads: how many there are, and work cut into parts that they share while BLAS keeps to one.

NumPy lets other threads run while it computes, so a kernel gives each thread a part of its batch. BLAS's own
threads wait for one another by spinning, and where another process wants the cores that costs ten times
what they gain; so while a kernel works BLAS is held to one thread, and afterwards it has those it had.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import operator
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ContextDecorator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

MOST_BY_DEFAULT = 4  # Python code between NumPy's calls holds a lock: further threads would wait for it
WORTH = 1 << 22  # multiply-adds for which a thread is woken: about 100 µs, twice as long as to wake it
CALLS = 4  # many calls must be so many times more work: between them threads wait for Python's lock
SMALL = 1 << 18  # multiply-adds up to which OpenBLAS uses one thread anyway
LOOK_AGAIN = 0.01  # seconds: asking BLAS takes as long as a small operation

_chosen: int | None = None


def num_threads() -> int:
    """How many threads an operation may use: what `set_num_threads` said, else as many as BLAS, at most 4."""
    return _chosen or min(one_blas_thread.threads_of_its_own(), MOST_BY_DEFAULT)


def set_num_threads(n: int) -> None:
    """Let the operations of tinygrad_lite use `n` threads from now on; other code keeps its own.

    For a given n results are the same from run to run; with another n they may differ by rounding.

    Raises:
        TypeError: for what is no integer.
        ValueError: if n < 1.
    """
    global _chosen
    try:
        number = operator.index(n)
    except TypeError:
        raise TypeError(f"set_num_threads: needs an integer of at least 1; got {n!r}") from None
    if number < 1:
        raise ValueError(f"set_num_threads: needs at least 1; got {n}")
    _chosen = number
    _helpers.clear()


def in_runs(work: Callable[[int, int], T], n: int, cost: float, unit: int = 1) -> list[T]:
    """[work(start, stop), …] for equal runs that make up range(n), one for each thread; BLAS has one thread.

    Args:
        work: computes on NumPy arrays alone, and writes nothing that another run reads or writes.
        n: how many there are: images, rows.
        cost: of all, in multiply-adds of a matrix product; an element that is passed over counts as 8.
        unit: runs begin at multiples of it.

    Returns:
        What the runs returned, in their order; a single run where a thread for it is not worth waking.
    """
    return _at_once(_runs(work, n, _threads_for(cost, -(-n // unit)), unit), cost)


def over_blocks(work: Callable[[Iterator[slice]], T], n: int, longest: int, cost: float) -> list[T]:
    """[work(blocks), …], one for each thread, which draws the blocks of range(n) that no other has drawn.

    So a thread that comes late, or must wait, has fewer of them, and it is not the same ones each time: what
    `work` makes of a block must not depend on others, as a sum over them would.

    Args:
        work: as for `in_runs`; it may get no block at all.
        n: how many there are.
        longest: how many of them are in a block, at most; but for the last one, all blocks are equally long.
        cost: as for `in_runs`.
    """
    count = _threads_for(cost / CALLS, n)
    left = deque(slices(0, n, equal_length(n, longest, count)))
    return _at_once([lambda: work(_drawn_from(left))] * max(1, min(count, len(left))), cost)


def sum_over_blocks(
    terms: Callable[[Iterator[slice]], Iterator[Any]], n: int, longest: int, cost: float
) -> Any:
    """The sum of what `terms` yields for the blocks of range(n), always added in the same order.

    Args:
        terms: yields an array for each block, at least one even for no block at all; as `work` of `in_runs`.
        n: as for `over_blocks`.
        longest: as there.
        cost: as there.
    """

    def run(start: int, stop: int) -> Any:
        blocks = list(slices(start, stop, equal_length(stop - start, longest))) or [slice(start, stop)]
        return functools.reduce(operator.add, terms(iter(blocks)))

    return functools.reduce(operator.add, _at_once(_runs(run, n, _threads_for(cost / CALLS, n)), cost))


def _runs(work: Callable[[int, int], T], n: int, count: int, unit: int = 1) -> list[Callable[[], T]]:
    """range(n) in so many equal runs."""
    ends = [min(n, unit * (-(-n // unit) * i // count)) for i in range(count + 1)]
    return [functools.partial(work, start, stop) for start, stop in itertools.pairwise(ends)]


def _drawn_from(left: deque[slice]) -> Iterator[slice]:
    """What is left, one after the other, while other threads draw from it too."""
    with contextlib.suppress(IndexError):  # none is left
        while True:
            yield left.popleft()


def _threads_for(cost: float, parts: int) -> int:
    """How many threads share that work, which has so many parts."""
    if cost < 2 * WORTH or parts < 2 or _here.is_in_run:
        return 1
    return min(int(cost // WORTH), parts, num_threads())


def _at_once(parts: list[Callable[[], T]], cost: float) -> list[T]:
    """What the parts return: one is done here, the others by helpers, or here too if none has begun them."""
    if len(parts) == 1 and (cost < SMALL or _here.is_in_run):
        return [parts[0]()]
    with one_blas_thread:
        if len(parts) == 1:
            return [parts[0]()]
        jobs = [_Job(part) for part in parts]
        try:
            for job in jobs[1:]:
                with contextlib.suppress(RuntimeError):  # no more threads, or Python is about to end
                    _pool(len(jobs) - 1).submit(contextvars.copy_context().run, job.do)
            for job in jobs:
                job.do()
        finally:  # none may write after we return
            for job in jobs:
                job.prevent_or_wait()
        return [job.done.result() for job in jobs]


class _Job(Generic[T]):
    """Work that is done once, by the first thread that comes to do it; within it that thread is in a run."""

    result: T

    def __init__(self, work: Callable[[], T]) -> None:
        self.work, self.begun, self.done = work, threading.Lock(), Future[T]()

    def do(self) -> None:
        """Do the work, unless another thread has begun."""
        if self.begun.acquire(blocking=False):
            with self:
                self.result = self.work()

    def __enter__(self) -> None:
        _here.is_in_run = True

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        _here.is_in_run = False
        if error is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(error)

    def prevent_or_wait(self) -> None:
        """Let no thread begin any more; if one has begun, wait until it is done."""
        if not self.begun.acquire(blocking=False):
            self.done.exception()


class _Here(threading.local):
    """Of each thread, whether it is in a run: then runs within it would wait for one another."""

    is_in_run = False


_here = _Here()


def equal_length(n: int, longest: int, sharing: int = 1) -> int:
    """Of equal blocks of range(n), `longest` at most, as many for each of those sharing if n allows it."""
    count = sharing * max(1, -(-n // (longest * sharing)))
    return max(1, -(-n // count))


def slices(start: int, stop: int, length: int) -> Iterator[slice]:
    """Slices of `length`, the last perhaps shorter, that make up start … stop: the blocks of a run."""
    for first in range(start, stop, length):
        yield slice(first, min(first + length, stop))


# -- BLAS ------------------------------------------------------------------------------------------------


class _OneBlasThread(ContextDecorator):
    """See `one_blas_thread`; several threads may be in it at a time, and one several times."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.found: list[Any] | None = None
        self.before: list[tuple[Any, int]] = []  # the libraries that were limited, and their threads
        self.single_until = 0.0  # when it is to be looked up again, after BLAS was found to have one thread

    def libraries(self) -> list[Any]:
        if self.found is None:
            import threadpoolctl

            controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
            self.found = list(controller.lib_controllers)
        return self.found

    def threads_of_its_own(self) -> int:
        with self.lock:
            numbers = [library.get_num_threads() for library in self.libraries()]
            return max([*numbers, *(number for _, number in self.before), 0]) or os.cpu_count() or 1

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1 and time.perf_counter() > self.single_until:
                self.limit()

    def forget_threads(self) -> None:
        """For a forked process, which has but the thread that forked: nobody is inside, or holds the lock."""
        for library, number in self.before:
            library.set_num_threads(number)
        self.lock, self.inside, self.before = threading.Lock(), 0, []

    def limit(self) -> None:
        for library in self.libraries():
            number = library.get_num_threads()
            if number != 1:
                library.set_num_threads(1)
                self.before.append((library, number))
        if not self.before:
            self.single_until = time.perf_counter() + LOOK_AGAIN

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                for library, number in self.before:
                    library.set_num_threads(number)
                self.before.clear()


one_blas_thread = _OneBlasThread()
"""A context, and a decorator, in which BLAS has one thread; work that threads share is in it by itself.

A kernel that calls BLAS outside of runs needs it too: BLAS cuts even a sum of 10,000 numbers in two, and then
its threads spin for some 20 ms, on a core that helpers could use.
"""

# -- helper threads --------------------------------------------------------------------------------------

_helpers: dict[str, ThreadPoolExecutor] = {}


def _pool(size: int) -> ThreadPoolExecutor:
    if "pool" not in _helpers:
        _helpers["pool"] = ThreadPoolExecutor(max(size, num_threads() - 1), "tinygrad_lite")
    return _helpers["pool"]


def _after_fork() -> None:
    _helpers.clear()
    one_blas_thread.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
