"""Datasets: whatever has a length and gives one sample for one index.

Arrays and lists are datasets as they are. Samples and batches are NumPy arrays: the Tensor begins at the
model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinygrad_lite.backend import keyed_rng


class Dataset:
    """Base class of datasets: a subclass gives `__len__` and `__getitem__(index)`."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a method __len__()")

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(index)")


DatasetLike: TypeAlias = Dataset | Sequence[Any] | np.ndarray


class TensorDataset(Dataset):
    """Arrays of one length, side by side: sample i is the tuple of every array's row i.

    An index may also be a slice or an array of indices, which gives a batch in one step.

    Raises:
        ValueError: for no array, a scalar, or arrays of different lengths.
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(np.asarray(array) for array in arrays)
        shapes = [array.shape for array in self.arrays]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
            got = ", ".join(map(str, shapes)) or "no array"
            raise ValueError(f"TensorDataset: needs arrays of one length along dim 0; got {got}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(array[index] for array in self.arrays)


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in their order.

    Raises:
        IndexError: for an index that `dataset` does not have, and for what is no integer, as a mask is.
    """

    def __init__(self, dataset: DatasetLike, indices: Any) -> None:
        self.dataset = dataset
        given, size = np.asarray(indices), len(dataset)
        if given.dtype.kind not in "iu" and given.size:
            raise IndexError(f"Subset: indices are integers (np.flatnonzero for a mask); got {given.dtype}")
        self.indices = given.astype(np.intp)
        outside = self.indices[(self.indices < -size) | (self.indices >= size)]
        if outside.size:
            raise IndexError(f"Subset: the dataset has {size} samples; got index {outside[0]}")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]


def random_split(
    dataset: DatasetLike, lengths: Sequence[int] | Sequence[float], seed: int = 0
) -> list[Subset]:
    """Parts of `dataset` that share no sample and leave none out; `seed` stands where torch has a generator.

    Args:
        dataset: what to split.
        lengths: sample counts whose sum is len(dataset), or fractions whose sum is 1. As in torch, a
            fraction is rounded down, and the samples then left over go one each to the first parts.
        seed: who goes where is a function of this number and len(dataset).

    Raises:
        ValueError: for lengths that do not add up, or one below 0.
    """
    size = len(dataset)
    counts: list[Any] = list(lengths)
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(size * fraction) for fraction in lengths]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
    if sum(counts) != size or min(counts, default=0) < 0:
        raise ValueError(
            f"random_split: lengths need to be counts with sum {size}, or fractions with sum 1; "
            f"got {list(lengths)}, with sum {sum(lengths)}"
        )
    order = keyed_rng(seed, "random_split").permutation(size)
    ends = np.cumsum(counts, dtype=np.intp)
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def default_collate(samples: Sequence[Any]) -> Any:
    """A batch from samples: arrays and numbers stacked along a new dim 0; tuples, lists and dicts by entry.

    Tuples and lists both give a tuple (torch gives lists). All is copied, so a batch may be changed.

    Raises:
        ValueError: for no sample, arrays of different shapes, or tuples of different lengths.
    """
    if not samples:
        raise ValueError("default_collate: needs at least one sample; got none")
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        lengths = sorted({len(sample) for sample in samples})
        if len(lengths) > 1:
            raise ValueError(f"default_collate: the samples of a batch need one length; got {lengths}")
        return tuple(default_collate(column) for column in zip(*samples, strict=True))
    arrays = [np.asarray(sample) for sample in samples]
    if len({array.shape for array in arrays}) > 1:
        shapes = ", ".join(sorted({str(array.shape) for array in arrays}))
        raise ValueError(f"default_collate: the samples of a batch need one shape; got {shapes}")
    return np.stack(arrays)


def gather(dataset: DatasetLike, indices: np.ndarray) -> Any:
    """The samples at `indices` as one batch, the same as `default_collate` of them one by one.

    Where arrays lie beneath, they are indexed once with all indices. A subclass of `TensorDataset` or
    `Subset` may do something to its samples, so it is asked for them one by one.
    """
    if type(dataset) is Subset:
        return gather(dataset.dataset, dataset.indices[indices])
    if type(dataset) is TensorDataset or isinstance(dataset, np.ndarray):
        return dataset[indices]
    return default_collate([dataset[int(i)] for i in indices])
