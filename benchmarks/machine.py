"""The machine that measures: its processor, who uses its cores, and how much memory a process has."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # which kernels OpenBLAS takes, whatever the processor


def processor() -> str:
    """The name of the processor, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def environment(threads: int) -> dict[str, str]:
    """What a side's process finds: a number of threads, and kernels that fit the processor."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {name: value for name, value in os.environ.items() if name not in PINS} | limits


def cores_seconds() -> float | None:
    """Seconds of CPU that all processes together have used so far; None where the system does not tell."""
    try:
        first = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, irq, softirq = map(int, first.split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def memory_now() -> int | None:
    """Bytes that this process has in memory; None where the system does not tell."""
    return _memory("VmRSS")


def memory_peak() -> int | None:
    """The most bytes that this process has had in memory since `forget_peak`."""
    return _memory("VmHWM")


def forget_peak() -> None:
    """Let the peak begin anew."""
    if memory_now() is not None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _memory(name: str) -> int | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else None
