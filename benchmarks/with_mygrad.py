"""MyGrad as `numpy_twins` calls it."""

from __future__ import annotations

from typing import Any

import mygrad
import numpy as np
from mygrad import concatenate, nnet
from mygrad.nnet import relu, softmax_crossentropy

from benchmarks.numpy_twins import BUILDERS, Loss, Parameters

__all__ = ["BUILDERS", "concatenate", "relu"]

mygrad.turn_memory_guarding_off()  # faster, say its documents


def set_num_threads(n: int) -> None:
    """Nothing beyond NumPy's own, which the environment sets."""


def about() -> str:
    """Versions."""
    return f"MyGrad {mygrad.__version__}, NumPy {np.__version__}"


def conv(x: Any, weight: Any, stride: int, padding: int) -> Any:
    """A convolution without bias."""
    if stride > 1:
        x, padding = _fitted(x, weight.shape[-1], stride, padding), 0
    return nnet.conv_nd(x, weight, stride=stride, padding=padding)


def _fitted(x: Any, kernel: int, stride: int, padding: int) -> Any:
    """The rows and columns that windows reach, zeros before them included: MyGrad refuses a rest."""
    for axis in (2, 3):
        last = (x.shape[axis] + 2 * padding - kernel) // stride * stride + kernel - padding
        x = x[:, :, :last] if axis == 2 else x[:, :, :, :last]
        zeros = np.zeros((*x.shape[:axis], padding, *x.shape[axis + 1 :]), dtype=np.float32)
        x = concatenate([zeros, x], axis=axis) if padding else x
    return x


def max_pool(x: Any) -> Any:
    """The largest of each 2×2 pixels."""
    return nnet.max_pool(x, (2, 2), 2)


def batch_norm(x: Any, weight: Any, bias: Any) -> Any:
    """By the statistics of the batch."""
    return nnet.batchnorm(x, gamma=weight, beta=bias, eps=1e-5)


cross_entropy = softmax_crossentropy


def value_and_gradients(loss: Loss, parameters: Parameters) -> tuple[float, Parameters]:
    """The loss and its gradients by name."""
    tensors = {name: mygrad.tensor(p, constant=False, copy=False) for name, p in parameters.items()}
    value = loss(tensors)
    value.backward()
    return value.item(), {name: tensor.grad for name, tensor in tensors.items()}
