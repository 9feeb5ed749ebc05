"""PyTorch as the workloads call it; `ours` has the same public names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch as t
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiled
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.torch_twins import (
    CNN,
    MLP,
    ResNet,
    TransformerBlock,
    UNet,
    distillation_loss,
    nt_xent,
    sample,
)
from benchmarks.workloads.workload import starting_weight

__all__ = [
    "CNN",
    "MLP",
    "ResNet",
    "TransformerBlock",
    "UNet",
    "distillation_loss",
    "nt_xent",
    "sample",
    "t",
]

START = """
import torch
x = torch.tensor([3.0], requires_grad=True)
(x * x).sum().backward()
print(x.grad.item())
"""


def tensor(data: np.ndarray, requires_grad: bool = False) -> t.Tensor:
    """A tensor around the array."""
    return t.from_numpy(data).requires_grad_(requires_grad)


def array(data: np.ndarray) -> t.Tensor:
    """Times and labels, as the UNet takes them."""
    return t.from_numpy(data)


def set_num_threads(n: int) -> None:
    """Threads of one operation."""
    t.set_num_threads(n)


def about() -> str:
    """Versions, instructions and threads."""
    blas = "MKL" if t.backends.mkl.is_available() else "without MKL"
    kernels = t.backends.cpu.get_cpu_capability()
    return f"torch {t.__version__}, {blas}, kernels for {kernels}, threads: {t.get_num_threads()}"


def with_weights(model: t.nn.Module) -> t.nn.Module:
    """`model`, its parameters as `starting_weight` has them."""
    with t.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(t.from_numpy(starting_weight(name, tuple(parameter.shape))))
    return model


def multiply_adds(model: t.nn.Module, *inputs: Any) -> int:
    """0: our side counts, and the products are the same."""
    return 0


def batches(images: np.ndarray, order: np.ndarray, batch_size: int) -> Batches:
    """Full batches of the images, in an order."""
    dataset = TensorDataset(t.from_numpy(images))
    return Batches(DataLoader(dataset, batch_size, sampler=order.tolist(), drop_last=True))


class Batches:
    """The batches of a torch loader as arrays, which is what the NumPy augmentation takes."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[np.ndarray]:
        return (images.numpy() for (images,) in self.loader)


def profile(step: Callable[[], Any], calls: int = 10) -> str:
    """Milliseconds a step on the wall by operator, the 20 that take most, by torch's own profiler."""
    step()
    with profiled(activities=[ProfilerActivity.CPU]) as report:
        for _ in range(calls):
            step()
    operators = sorted(report.key_averages(), key=lambda operator: -operator.self_cpu_time_total)
    whole = sum(operator.self_cpu_time_total for operator in operators)
    lines = [f"{'operator':<56}{'calls':>8}{'ms':>12}"]
    lines += [
        f"{o.key[:55]:<56}{o.count / calls:>8.0f}{o.self_cpu_time_total / 1000 / calls:>12.3f}"
        for o in operators[:20]
    ]
    return "\n".join([*lines, f"{'whole step':<64}{whole / 1000 / calls:>12.3f}"])
