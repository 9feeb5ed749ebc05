"""Data on the way to a model: datasets, splits and batches, all of them NumPy arrays."""

from tinygrad_lite.data.dataset import Dataset, Subset, TensorDataset, default_collate, random_split
from tinygrad_lite.data.loader import DataLoader

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]
