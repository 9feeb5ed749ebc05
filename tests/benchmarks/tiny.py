"""A workload that takes no time, and a library that computes it wrongly."""

from benchmarks.ours import about, set_num_threads
from benchmarks.workloads.workload import Job, Workload, normal
from tinygrad_lite import Tensor

__all__ = ["about", "set_num_threads", "tensor"]


def draw():
    return {"x": normal(4, 3)}


def build(lib, data):
    x = lib.tensor(data["x"], requires_grad=True)

    def step():
        loss = (x * x).sum()
        loss.backward()
        return loss

    return Job(step, lambda loss: [loss.item()], multiply_adds=12)


TINY = Workload("tiny", "a sum of squares", draw, build)


def tensor(data, requires_grad=False):
    """One part in a hundred too large."""
    return Tensor(data * 1.01, requires_grad=requires_grad)
