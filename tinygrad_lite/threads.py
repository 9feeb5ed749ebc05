"""Threads: how many there are, and work cut into runs that they share while BLAS keeps to one.

NumPy lets other threads run while it computes, so a kernel gives each thread a run of its batch. BLAS's own
threads wait for one another by spinning, and where another process wants the cores that costs ten times
what they gain; so while a kernel works BLAS is held to one thread, and afterwards it has those it had.
"""

from __future__ import annotations

import contextvars
import itertools
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ContextDecorator
from typing import Any, TypeVar

T = TypeVar("T")

MOST_BY_DEFAULT = 4  # Python code between NumPy's calls holds a lock: further threads would wait for it
WORTH = 1 << 22  # multiply-adds for which a thread is woken: about 100 µs, twice as long as to wake it
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
    if cost < SMALL or _here.is_in_run:
        return [work(0, n)]
    count = min(int(cost // WORTH), -(-n // unit))
    with one_blas_thread:
        if count < 2 or (count := min(count, num_threads())) < 2:
            return [work(0, n)]
        ends = [min(n, unit * (-(-n // unit) * i // count)) for i in range(count + 1)]
        try:
            helped = [
                _pool(count - 1).submit(contextvars.copy_context().run, _run, work, start, stop)
                for start, stop in itertools.pairwise(ends[1:])
            ]
        except RuntimeError:  # Python is about to end, and no longer gives work to threads
            return [work(0, n)]
        try:
            first = _run(work, ends[0], ends[1])
        finally:
            others = [future.exception() for future in helped]  # waits: none may write after we return
        for error in filter(None, others):
            raise error
        return [first, *(future.result() for future in helped)]


class _Here(threading.local):
    """Of each thread, whether it is in a run: then runs within it would wait for one another."""

    is_in_run = False


_here = _Here()


def _run(work: Callable[[int, int], T], start: int, stop: int) -> T:
    _here.is_in_run = True
    try:
        return work(start, stop)
    finally:
        _here.is_in_run = False


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
"""A context, and a decorator, in which BLAS has one thread; `in_runs` is in it by itself.

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
