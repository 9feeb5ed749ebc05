"""A workload: data made by NumPy, and one step of work on them, written once for all libraries alike."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Library: TypeAlias = ModuleType
"""`benchmarks.ours` or `benchmarks.with_torch`: modules with the same public names, and `t`, the library."""

Data: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class Job:
    """A workload in one library, ready to run.

    Args:
        step: the work that is timed.
        checks: numbers, made from what a step returned, that must be the same in every library.
        multiply_adds: of the products in a step; 0 where they are not what it is about.
    """

    step: Callable[[], Any]
    checks: Callable[[Any], Sequence[float]]
    multiply_adds: int = 0


@dataclass(frozen=True)
class Workload:
    """What is measured under a name.

    Args:
        name: for the command line.
        about: one line.
        draw: makes the data that every library gets.
        build: makes the job of a library from these data.
        trains: whether a step is a training step: those count in the geometric mean.
        compared: the number of first steps whose checks are compared.
    """

    name: str
    about: str
    draw: Callable[[], Data]
    build: Callable[[Library, Data], Job]
    trains: bool = False
    compared: int = 3


def normal(*shape: int, key: str = "x") -> np.ndarray:
    """Standard normal draws, float32, the same for the same key and shape."""
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape, dtype=np.float32)


def integers(below: int, size: int, key: str = "labels") -> np.ndarray:
    """Whole numbers from 0 on, int64 (size,), the same for the same key and size."""
    return np.random.default_rng(zlib.crc32(key.encode())).integers(below, size=size)


def starting_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What the parameter of a name begins with in every library, float32: no other state is handed over.

    Matrices and kernels are normal with the variance 2/fan_in; scales lie around 1, shifts around 0, and none
    of them is 0 or 1 exactly, where a wrong gradient could hide.
    """
    draws = normal(*shape, key=name)
    if len(shape) > 1:
        return draws * np.float32((2 / np.prod(shape[1:])) ** 0.5)
    return draws * np.float32(0.1) + np.float32(name.endswith("weight"))


def length(tensor: Any) -> float:
    """The Euclidean norm of a tensor of either library, or of an array."""
    array = tensor if isinstance(tensor, np.ndarray) else tensor.detach().numpy()
    return float(np.linalg.norm(array.astype(np.float64)))
