"""What is measured: training steps, parts of them, and what surrounds them."""

from benchmarks.workloads.parts import PARTS
from benchmarks.workloads.runs import RUNS
from benchmarks.workloads.training import TRAINING
from benchmarks.workloads.workload import Workload

__all__ = ["WORKLOADS", "Workload"]

WORKLOADS: list[Workload] = [*TRAINING, *RUNS, *PARTS]
