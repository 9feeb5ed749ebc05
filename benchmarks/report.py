"""What a measurement says, in lines and as JSON."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from benchmarks import machine
from benchmarks.measure import Comparison
from benchmarks.workloads import WORKLOADS

COLUMNS = "{:<38}{:>10}{:>13}{:>7}  {:<14}{:>6}{:>7}{:>6}{:>5}"
NOISY = 0.1  # cores that others may use before a row is marked
TRAINING = [workload.name for workload in WORKLOADS if workload.trains]


def machine_and_ours(about: str, sgemm: float) -> str:
    """The lines before everything: where this was measured, and with what."""
    return (
        f"{date.today()}, {machine.processor()}, Python {platform.python_version()}\n"
        f"ours:    {about}\n"
        f"sgemm:   {sgemm / 1e9:.1f} G multiply-adds a second"
    )


def peer(about: str, cpu_time: bool) -> str:
    """The lines before a peer's rows."""
    return f"against: {about}\nmeasured: {'seconds of CPU' if cpu_time else 'seconds on the wall'}\n"


def header(name: str) -> str:
    """What stands above the rows of a peer."""
    return COLUMNS.format("", "ours ms", f"{name} ms", "ratio", "", "MB", "MB", "sgemm", "").rstrip()


def row(result: Comparison, sgemm: float, *, is_marked: bool) -> str:
    """One workload."""
    low, high = result.spread
    shares = [
        f"{result.multiply_adds / seconds / sgemm:.0%}" if result.multiply_adds else ""
        for seconds in (result.ours, result.theirs)
    ]
    line = COLUMNS.format(
        result.workload,
        f"{1000 * result.ours:.3f}",
        f"{1000 * result.theirs:.3f}",
        f"{result.ratio:.2f}",
        f"({low:.2f}-{high:.2f})",
        _megabytes(result.our_memory),
        _megabytes(result.their_memory),
        *shares,
    )
    return f"{line}  others: {result.others:.1f} cores" if is_marked and _is_noisy(result) else line.rstrip()


def conclusion(results: Sequence[Comparison], *, is_marked: bool) -> str:
    """The geometric means, and a warning where others used the cores."""
    lines = [f"{what}: {mean:.2f}, worst {worst:.2f}" for what, mean, worst in _means(results)]
    if is_marked and any(map(_is_noisy, results)):
        lines.append("warning: others used the cores meanwhile; measure when it is quiet, or with --cpu-time")
    return "\n".join(lines)


def told(command: str, *, cpu_time: bool, threads: int) -> str:
    """One line before a table in the README: how it came about."""
    clock = "seconds of CPU" if cpu_time else "seconds on the wall"
    threads_of_a_side = f"{threads} thread{'s' * (threads > 1)} a side"
    where = f"{machine.processor()}, Python {platform.python_version()}"
    return f"`{command}`, {date.today()}, {where}, {threads_of_a_side}, {clock}:"


def markdown(found: dict[str, list[Comparison]]) -> str:
    """A table for the README: a row a workload, convolutions by shape as one; peers one after the other."""
    rows = [("", "ours, ms", "peer, ms", "ratio (middle half)", "ours, MB", "peer, MB"), ("---",) * 6]
    for peer, results in found.items():
        rows.append((f"**{peer}**", "", "", "", "", ""))
        rows += [_cells(result) for result in results if not result.workload.startswith("conv-")]
        means = [(what, f"{mean:.2f}, worst {worst:.2f}") for what, mean, worst in _means(results)]
        rows += [(what, "", "", told, "", "") for what, told in means]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cells(result: Comparison) -> tuple[str, ...]:
    low, high = result.spread
    seconds = (f"{1000 * seconds:.2f}" for seconds in (result.ours, result.theirs))
    memory = (_megabytes(size) for size in (result.our_memory, result.their_memory))
    return result.workload, *seconds, f"{result.ratio:.2f} ({low:.2f} to {high:.2f})", *memory


def as_json(
    found: dict[str, list[Comparison]], sgemm: float, *, cpu_time: bool, threads: int
) -> dict[str, Any]:
    """All of it, with the ratio of every pair of turns."""
    return {
        "date": str(date.today()),
        "processor": machine.processor(),
        "python": platform.python_version(),
        "cpu_time": cpu_time,
        "threads": threads,
        "sgemm": sgemm,
        "against": {
            peer: [asdict(result) | {"ratio": result.ratio} for result in results]
            for peer, results in found.items()
        },
    }


def _means(results: Sequence[Comparison]) -> Iterator[tuple[str, float, float]]:
    """For training steps and for convolutions: what it is, the geometric mean of the ratios, the worst."""
    for what, prefixes in (("training steps", TRAINING), ("convolutions", ["conv-"])):
        ratios = [r.ratio for r in results if any(_belongs(r.workload, p) for p in prefixes)]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            yield f"geometric mean of {len(ratios)} {what}", mean, max(ratios)


def _belongs(name: str, prefix: str) -> bool:
    return name.startswith(prefix) if prefix.endswith("-") else name == prefix


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"


def _is_noisy(result: Comparison) -> bool:
    return result.others is not None and result.others > NOISY
