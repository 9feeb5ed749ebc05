import platform
import subprocess
import sys

import pytest

from tinygrad_lite import memory

FAULTS_OF_TEN_STEPS = """
import resource
import numpy as np
import tinygrad_lite
def step():
    return [np.ones(1 << 19, dtype=np.float32) for _ in range(8)]  # 2 MB each
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

AFTER_SMALL_ONES_BETWEEN = """
import re
from pathlib import Path
import numpy as np
import tinygrad_lite
def size():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
kept = []
def steps(n):
    x = np.zeros(1 << 20, dtype=np.float32)
    for _ in range(n):
        x = x + 1
        kept.append(np.ones(200, dtype=np.float32))
steps(3)
before = size()
steps(100)
print(size() - before)
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told anything")


def fresh(program, monkeypatch, **environment):
    """What a new process prints."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", memory.SWITCH):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


SAYS = "from tinygrad_lite.memory import freed_memory; print(freed_memory)"


@on_glibc
def test_a_step_takes_the_memory_that_the_step_before_freed(monkeypatch):
    assert int(fresh(FAULTS_OF_TEN_STEPS, monkeypatch)) < 100  # of 40,960 pages


@on_glibc
def test_small_arrays_kept_between_large_ones_do_not_hold_them(monkeypatch):
    assert int(fresh(AFTER_SMALL_ONES_BETWEEN, monkeypatch)) < 8192  # kB: two of the large ones


@on_glibc
def test_freed_memory_is_kept_and_said_to_be(monkeypatch):
    assert fresh(SAYS, monkeypatch) == "up to 256 MB kept (TINYGRAD_LITE_KEEP_MEMORY=0 gives it back)"


def test_the_switch_turns_it_off(monkeypatch):
    off = "as the system does by itself (TINYGRAD_LITE_KEEP_MEMORY=0)"
    assert fresh(SAYS, monkeypatch, TINYGRAD_LITE_KEEP_MEMORY="0") == off


def test_settings_of_the_c_librarys_own_are_left_alone(monkeypatch):
    said = fresh(SAYS, monkeypatch, MALLOC_TRIM_THRESHOLD_="1000000")
    assert said == "as MALLOC_TRIM_THRESHOLD_ says"


def test_other_c_libraries_are_told_nothing(monkeypatch):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", memory.SWITCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert memory._keep_freed_memory() == "as the system does by itself (no glibc)"
