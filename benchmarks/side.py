"""One side of a comparison: a process of its own, which imports one library and does what it is asked.

`measure.Side` starts it and holds the other end of its connection.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import resource
import sys
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.workloads.workload import Data, Job, Workload


class Turn(NamedTuple):
    """What a side measured in its turn."""

    seconds: list[float]
    """of each call"""
    used: float
    """seconds of CPU in the whole turn"""


class Worker:
    """The requests that a side answers, by name.

    Args:
        module: the library, as the workloads call it: "benchmarks.ours".
        threads: that it may use.
    """

    def __init__(self, module: str, threads: int) -> None:
        self.library = importlib.import_module(module)
        self.library.set_num_threads(threads)
        self.job: Job | None = None
        machine.forget_peak()
        self.memory_after_import = machine.memory_now()

    def about(self) -> str:
        """The library's versions and settings."""
        return self.library.about()

    def build(self, workload: Workload, data: Data) -> int:
        """Make a workload ready, and say how many multiply-adds a step of it has."""
        builders = getattr(self.library, "BUILDERS", None)
        if builders is None:
            self.job = workload.build(self.library, data)
        else:
            self.job = builders[workload.name](self.library, data)
        return self.job.multiply_adds

    def checks(self, steps: int) -> list[float]:
        """What the next steps' checks say: losses, most of them."""
        job = self._ready()
        return [value for _ in range(steps) for value in job.checks(job.step())]

    def turn(self, calls: int, cpu_time: bool) -> Turn:
        """Time `calls` steps, after one more that finds the caches as the other side left them."""
        job, clock = self._ready(), own_seconds if cpu_time else time.perf_counter
        used, seconds = own_seconds(), []
        gc.collect()
        job.step()
        for _ in range(calls):
            began = clock()
            job.step()
            seconds.append(clock() - began)
        return Turn(seconds, own_seconds() - used)

    def peak(self) -> int | None:
        """The most bytes in memory so far, above what there were after the import."""
        peak = machine.memory_peak()
        return None if peak is None or self.memory_after_import is None else peak - self.memory_after_import

    def profile(self) -> str:
        """Where a step's time goes, if the library tells."""
        profile = getattr(self.library, "profile", None)
        return profile(self._ready().step) if profile else "no profile of this library"

    def sgemm(self, cpu_time: bool) -> float:
        """Multiply-adds a second of NumPy's product of two float32 matrices: the best of some."""
        clock, n = own_seconds if cpu_time else time.perf_counter, 1024
        a = np.ones((n, n), dtype=np.float32)
        seconds = []
        for _ in range(10):
            began = clock()
            a @ a
            seconds.append(clock() - began)
        return n**3 / min(seconds)

    def _ready(self) -> Job:
        if self.job is None:
            raise RuntimeError("side: asked for work before build")
        return self.job


def own_seconds() -> float:
    """Seconds of CPU that this process and those it has waited for have used so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Answer requests until the other end of the connection is closed."""
    module, threads, descriptor = sys.argv[1:]
    worker = Worker(module, int(threads))
    with Connection(int(descriptor)) as connection, contextlib.suppress(EOFError):
        while True:
            name, *arguments = connection.recv()
            connection.send(getattr(worker, name)(*arguments))
