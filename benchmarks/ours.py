"""tinygrad_lite as the workloads call it; `with_torch` has the same public names."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
import threadpoolctl

import tinygrad_lite as t
import tinygrad_lite.nn.functional as F
from benchmarks.workloads.workload import starting_weight
from techniques.contrastive.losses import nt_xent
from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.samplers import ddim
from techniques.diffusion.schedule import NoiseScheduler
from techniques.distillation.losses import distillation_loss
from techniques.models import CNN, MLP, ResNet, UNet
from techniques.models.evaluate import eval_mode
from tinygrad_lite import Function, Tensor, nn, no_grad, num_threads, set_num_threads
from tinygrad_lite.data import DataLoader, Subset

__all__ = ["CNN", "MLP", "F", "ResNet", "UNet", "distillation_loss", "nt_xent", "set_num_threads", "t"]

START = """
from tinygrad_lite import Tensor
x = Tensor([3.0], requires_grad=True)
(x * x).sum().backward()
print(x.grad.item())
"""

tensor = Tensor


def array(data: np.ndarray) -> np.ndarray:
    """Times and labels, as the UNet takes them."""
    return data


def about() -> str:
    """Versions, BLAS kernel and threads."""
    pools = [
        f"{pool['internal_api']} {pool['version']}, kernels for {pool.get('architecture')}"
        for pool in threadpoolctl.threadpool_info()
    ]
    return f"NumPy {np.__version__}, {', '.join(pools)}, threads: {num_threads()}"


def with_weights(model: nn.Module) -> nn.Module:
    """`model`, its parameters as `starting_weight` has them."""
    for name, parameter in model.named_parameters():
        parameter.data[...] = starting_weight(name, parameter.shape)
    return model


def multiply_adds(model: nn.Module, *inputs: Any) -> int:
    """Of the products of a forward pass."""
    counts: list[int] = []
    handles = [
        module.register_forward_hook(
            lambda module, inputs, output: counts.append(module.multiply_adds(inputs, output))
        )
        for module in model.modules()
    ]
    with no_grad(), eval_mode(model):
        model(*inputs)
    for handle in handles:
        handle.remove()
    return sum(counts)


def batches(images: np.ndarray, order: np.ndarray, batch_size: int) -> DataLoader:
    """Full batches of the images, in an order."""
    return DataLoader(Subset(images, order), batch_size, drop_last=True)


def sample(network: nn.Module, noise: np.ndarray, steps: int) -> np.ndarray:
    """DDIM from pure noise, along the cosine schedule."""
    model = DiffusionModel(network, NoiseScheduler("cosine"))
    sigmas = model.scheduler.reverse_sigmas(steps)
    *_, x = ddim(model.denoiser(), noise * math.sqrt(1 + sigmas[0] ** 2), sigmas)
    return x


class TransformerBlock(nn.Module):
    """x + attention, then x + perceptron, each after a layer norm."""

    def __init__(self, dim: int, heads: int) -> None:
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(N, length, dim) → the same."""
        n, length, dim = x.shape
        qkv = self.to_qkv(self.norm1(x)).reshape(n, length, 3, self.heads, dim // self.heads)
        q, k, v = (qkv[:, :, i].transpose(1, 2) for i in range(3))  # (N, heads, length, dim / heads)
        gathered = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, dim)
        x = x + self.out(gathered)
        return x + self.mlp(self.norm2(x))


# -- where the time goes ---------------------------------------------------------------------------------


def profile(step: Callable[[], Any], calls: int = 10) -> str:
    """Milliseconds of CPU by operation, forward and backward; what an operation calls counts as its own."""
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])  # forward, backward, calls
    is_inside = False

    def timed(method: Callable, column: int) -> Callable:
        def run(node: Function, *arguments: Any) -> Any:
            nonlocal is_inside
            if is_inside:
                return method(node, *arguments)
            is_inside, began = True, time.process_time()
            try:
                return method(node, *arguments)
            finally:
                is_inside = False
                row = spent[type(node).__name__]
                row[column] += 1000 * (time.process_time() - began)
                row[2] += column == 0

        return run

    step()
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(Function, "__call__", timed(Function.__call__, 0)))
        for operation in _operations(Function):
            name = "backward_fused" if operation.backward_fused else "backward"
            patches.enter_context(mock.patch.object(operation, name, timed(getattr(operation, name), 1)))
        began = time.process_time()
        for _ in range(calls):
            step()
        whole = 1000 * (time.process_time() - began)
    rows = sorted(spent.items(), key=lambda item: -sum(item[1][:2]))
    lines = [f"{'operation':<24}{'calls':>8}{'forward ms':>12}{'backward ms':>12}"]
    lines += [f"{op:<24}{n / calls:>8.0f}{f / calls:>12.3f}{b / calls:>12.3f}" for op, (f, b, n) in rows]
    rest = whole - sum(f + b for f, b, _ in spent.values())
    lines.append(f"{'walk, optimizer, Python':<32}{rest / calls:>12.3f}")
    return "\n".join([*lines, f"{'whole step':<32}{whole / calls:>12.3f}"])


def _operations(base: type[Function]) -> Iterator[type[Function]]:
    """The classes below `base` that compute, those that inherit from one before it."""
    for operation in base.__subclasses__():
        yield from _operations(operation)
        if hasattr(operation, "forward"):
            yield operation
