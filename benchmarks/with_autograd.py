"""HIPS autograd as `numpy_twins` calls it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.numpy_twins import BUILDERS, Loss, Parameters

__all__ = ["BUILDERS", "concatenate"]

concatenate = np.concatenate


def set_num_threads(n: int) -> None:
    """Nothing beyond NumPy's own, which the environment sets."""


def about() -> str:
    """Versions."""
    return f"autograd {version('autograd')}, NumPy {version('numpy')}"


def conv(x: Any, weight: Any, stride: int, padding: int) -> Any:
    """A convolution without bias, by shifted copies: with autograd's own `resnet` took ten times as long."""
    filters, _, k, _ = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
    size = (padded.shape[2] - k) // stride + 1
    reach = stride * (size - 1) + 1
    taps = [(slice(i, i + reach, stride), slice(j, j + reach, stride)) for i in range(k) for j in range(k)]
    shifted = [padded[:, :, rows, columns] for rows, columns in taps]
    copies = np.concatenate(shifted, axis=1).reshape(len(x), -1, size * size)
    kernels = np.transpose(weight, (0, 2, 3, 1)).reshape(filters, -1)
    return (kernels @ copies).reshape(len(x), filters, size, size)


def relu(x: Any) -> Any:
    """x where it is positive, else 0."""
    return np.maximum(x, np.float32(0))


def max_pool(x: Any) -> Any:
    """The largest of each 2×2 pixels."""
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))


def batch_norm(x: Any, weight: Any, bias: Any) -> Any:
    """By the statistics of the batch."""
    axes = (0, 2, 3) if x.ndim == 4 else (0,)
    centered = x - x.mean(axis=axes, keepdims=True)
    variance = (centered * centered).mean(axis=axes, keepdims=True)
    shape = (1, -1, 1, 1) if x.ndim == 4 else (1, -1)
    return centered / (variance + 1e-5) ** 0.5 * weight.reshape(shape) + bias.reshape(shape)


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over the rows."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def value_and_gradients(loss: Loss, parameters: Parameters) -> tuple[float, Parameters]:
    """The loss and its gradients by name."""
    return value_and_grad(loss)(parameters)
