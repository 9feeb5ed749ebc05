"""A workload measured on two sides, turn by turn, after both have been seen to compute the same."""

from __future__ import annotations

import math
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.side import Turn
from benchmarks.workloads import Workload

ROOT = Path(__file__).parents[1]
TOLERANCE = 1e-3  # relative, of the checks: the optimizer makes steps of rounding errors, too
SECONDS_A_TURN = 0.25
MOST_CALLS = 500  # in a turn


class SideError(RuntimeError):
    """A side's process ended before it had answered; what it said about it is on stderr."""


class Side:
    """A process that runs one library; use it in a `with`.

    Args:
        module: the library, as the workloads call it: "benchmarks.ours".
        threads: that it may use.

    Raises:
        SideError: when asked, if the process has ended.
    """

    def __init__(self, module: str, threads: int) -> None:
        self.module = module
        self.connection, other_end = multiprocessing.Pipe()
        program = "from benchmarks.side import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, module, str(threads), str(other_end.fileno())],
            env=machine.environment(threads),
            cwd=ROOT,
            pass_fds=[other_end.fileno()],
            start_new_session=True,  # Ctrl-C is for the parent alone
        )
        other_end.close()

    def ask(self, name: str, *arguments: Any) -> Any:
        """The answer to one request; `side.Worker` has them all."""
        try:
            self.connection.send((name, *arguments))
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise SideError(f"{self.module}: the process ended at {name!r}") from error

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()  # which ends the process
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Comparison:
    """What came out of a workload.

    Attributes:
        workload: its name.
        ours, theirs: the median seconds of a step.
        ratios: ours by theirs, one for each pair of turns.
        our_memory, their_memory: peak bytes above the state after import; None where not known.
        multiply_adds: of a step; 0 where not counted.
        others: how many cores other processes used meanwhile; None where not known.
    """

    workload: str
    ours: float
    theirs: float
    ratios: Sequence[float]
    our_memory: int | None
    their_memory: int | None
    multiply_adds: int
    others: float | None

    @property
    def ratio(self) -> float:
        """The median of the pairwise ratios."""
        return median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """Between which two values the middle half of the ratios lies."""
        low, high = np.percentile(self.ratios, [25, 75])
        return float(low), float(high)


class DisagreementError(ValueError):
    """Two sides did not compute the same: nothing about their speed is worth knowing."""


def compare(workload: Workload, ours: Side, theirs: Side, *, turns: int, cpu_time: bool) -> Comparison:
    """Build a workload on both sides, check that they agree, then time them turn by turn.

    Args:
        workload: what to do.
        ours: a new side, which has built nothing yet.
        theirs: another.
        turns: pairs of them.
        cpu_time: measure seconds of CPU, with one thread a side, instead of those on the wall.

    Raises:
        DisagreementError: if the checks of the first steps differ by more than TOLERANCE.
    """
    data, sides = workload.draw(), (ours, theirs)
    multiply_adds, _ = (side.ask("build", workload, data) for side in sides)
    check_agreement(workload, *(side.ask("checks", workload.compared) for side in sides))
    slower = max(side.ask("turn", 1, cpu_time).seconds[0] for side in sides)
    calls = min(max(math.ceil(SECONDS_A_TURN / max(slower, 1e-6)), 1), MOST_CALLS)

    began, busy = time.perf_counter(), machine.cores_seconds()
    pairs = [[side.ask("turn", calls, cpu_time) for side in sides] for _ in range(turns)]
    others = None if busy is None else _others(busy, pairs, time.perf_counter() - began)
    medians = np.array([[median(turn.seconds) for turn in pair] for pair in pairs])
    our_seconds, their_seconds = np.median(medians, axis=0).tolist()
    return Comparison(
        workload.name,
        our_seconds,
        their_seconds,
        ratios=(medians[:, 0] / medians[:, 1]).tolist(),
        our_memory=ours.ask("peak"),
        their_memory=theirs.ask("peak"),
        multiply_adds=multiply_adds,
        others=others,
    )


def check_agreement(workload: Workload, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Refuse checks that differ, or are not finite.

    Raises:
        DisagreementError: with both.
    """
    finite = np.isfinite([*ours, *theirs]).all()
    if len(ours) != len(theirs) or not finite or not np.allclose(ours, theirs, rtol=TOLERANCE, atol=0):
        told = " and ".join(", ".join(f"{value:.6g}" for value in side) for side in (ours, theirs))
        raise DisagreementError(f"{workload.name}: the sides disagree, and are not timed: {told}")


def _others(busy: float, pairs: Sequence[Sequence[Turn]], elapsed: float) -> float:
    """The cores that were in use during the turns by neither side."""
    used = sum(turn.used for pair in pairs for turn in pair)
    return max(((machine.cores_seconds() or busy) - busy - used) / elapsed, 0.0)
