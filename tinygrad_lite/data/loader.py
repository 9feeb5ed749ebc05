"""Batches from a dataset, in an order that is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data.dataset import DatasetLike, gather


class DataLoader:
    """Batches of `dataset` as NumPy arrays; models take them as they are.

    The order of an epoch depends on the seed and the epoch's number alone: no generator is kept, so a run
    resumes in the middle of an epoch, and what was drawn elsewhere changes nothing. `batches(epoch, start)`
    names the epoch; a plain `for batch in loader` takes the next one: as in torch, each pass has a new order.

    Args:
        dataset: a `Dataset`, an array, or whatever has a length and integer indices.
        batch_size: samples in a batch; the last batch of an epoch may be smaller.
        shuffle: a new random order in every epoch, instead of the dataset's own.
        seed: of the shuffling.
        drop_last: leave out a last batch that is not full.
        collate_fn: makes a batch of a list of samples; the default is `default_collate`, in one indexing
            where arrays lie beneath.

    Raises:
        ValueError: for a batch size below 1, or where an epoch would have no batch at all.

    Example:
        >>> loader = DataLoader(np.arange(5), batch_size=2)
        >>> list(loader)
        [array([0, 1]), array([2, 3]), array([4])]
        >>> list(loader.batches(epoch=0, start=2))
        [array([4])]
    """

    def __init__(
        self,
        dataset: DatasetLike,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int = 0,
        drop_last: bool = False,
        collate_fn: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size needs to be at least 1; got {batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.collate_fn = collate_fn
        self.epoch = 0
        if len(self) == 0:
            raise ValueError(
                f"DataLoader: {len(dataset)} samples make no batch with batch_size={batch_size}, "
                f"drop_last={drop_last}"
            )

    def __len__(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def __iter__(self) -> Iterator[Any]:
        """The batches of `self.epoch`, which is one more the next time."""
        self.epoch += 1
        return self.batches(self.epoch - 1)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next `for batch in loader` follows; those after it count on."""
        self.epoch = epoch

    def order(self, epoch: int) -> np.ndarray:
        """The dataset's indices in the order in which `epoch` visits them."""
        size = len(self.dataset)
        if not self.shuffle:
            return np.arange(size)
        return keyed_rng(self.seed, "data order", epoch).permutation(size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of `epoch` from number `start` on; those before it are not loaded.

        Raises:
            ValueError: if start is below 0 or above len(self).
        """
        if not 0 <= start <= len(self):
            raise ValueError(f"batches: start needs to be from 0 to {len(self)}; got {start}")
        order = self.order(epoch)
        size = self.batch_size
        return (self._load(order[i * size : (i + 1) * size]) for i in range(start, len(self)))

    def _load(self, indices: np.ndarray) -> Any:
        if self.collate_fn is None:
            return gather(self.dataset, indices)
        return self.collate_fn([self.dataset[int(i)] for i in indices])
