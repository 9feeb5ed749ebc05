"""What a distilled student is for: it predicts in the teacher's place, from one small file, in less time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from techniques.models.evaluate import outputs
from tinygrad_lite import Tensor, checkpoint, nn, softmax

# -- prediction ------------------------------------------------------------------------------------------


def probabilities(model: nn.Module, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """How likely a classifier holds each class, (N, classes); see `outputs`."""
    return softmax(Tensor(outputs(model, images, batch_size)), 1).numpy()


def predict(model: nn.Module, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """The class that a classifier holds for the likeliest, (N,); see `outputs`."""
    return outputs(model, images, batch_size).argmax(1)


# -- deployment ------------------------------------------------------------------------------------------


def save_student(path: str | os.PathLike[str], student: nn.Module) -> int:
    """Write the student alone, parameters and statistics, into one file; return its size in bytes.

    The teacher, the optimizer and the training data are not in it, and not needed again.
    """
    checkpoint.save(path, {"student": student.state_dict()})
    return Path(path).stat().st_size


def load_student(path: str | os.PathLike[str], student: nn.Module) -> nn.Module:
    """Read what `save_student` wrote into `student`, a new model of the same layers, in eval mode.

    Raises:
        CheckpointError: for a file that is missing, damaged, or no student.
        ValueError: for a model of other layers.
    """
    saved = checkpoint.load(path)
    if "student" not in saved:
        raise checkpoint.CheckpointError(f"load_student: {path} is a checkpoint, but none of save_student")
    student.load_state_dict(saved["student"])
    return student.eval()


class Cost(NamedTuple):
    """What a model costs where it is deployed."""

    parameters: int
    multiply_adds: int
    """of one sample"""
    milliseconds: float
    """for one sample, by itself: the median"""


def cost(model: nn.Module, sample: np.ndarray, repeats: int = 30) -> Cost:
    """What one prediction takes.

    Args:
        model: what predicts.
        sample: a batch of one, (1, ...).
        repeats: predictions that are timed, after one that is not.
    """
    counts: list[int] = []

    def count(module: nn.Module, inputs: tuple, output: Any) -> None:
        counts.append(module.multiply_adds(inputs, output))

    handles = [module.register_forward_hook(count) for module in model.modules()]
    outputs(model, sample)
    for handle in handles:
        handle.remove()
    seconds = [_time(model, sample) for _ in range(repeats)]
    parameters = sum(p.numel() for p in model.parameters())
    return Cost(parameters, sum(counts), 1000 * median(seconds))


def _time(model: nn.Module, sample: np.ndarray) -> float:
    began = time.perf_counter()
    outputs(model, sample)
    return time.perf_counter() - began
