"""Data sets by name, as plain arrays."""

from tinygrad_lite.data.datasets.digits import LabeledImages, digits

__all__ = ["LabeledImages", "digits"]
