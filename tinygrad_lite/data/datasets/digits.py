"""The bundled handwritten digits: 1,797 pictures of 8 x 8 pixels in ten classes."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np


class LabeledImages(NamedTuple):
    """Pictures and their classes: `images, labels = train`, or `TensorDataset(*train)`."""

    images: np.ndarray
    """float32 (N, C, H, W), in [−1, 1]"""
    labels: np.ndarray
    """int64 (N,)"""


def digits() -> tuple[LabeledImages, LabeledImages]:
    """The digits' training and test part: 1,437 and 360 pictures (1, 8, 8), each class split 80 / 20.

    The split is fixed (`make_digits.py` drew it). A pixel counts the ink in a block of 4 x 4, from 0 to 16,
    and is given as count/8 − 1: paper is −1, full ink is 1, and the 17 levels lie 1/8 apart. Every call
    returns new arrays.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49; CC BY 4.0 (see LICENSE-digits.txt). These are the pictures that
    scikit-learn ships, by other writers than the rest of the collection.

    Example:
        >>> (images, labels), test = digits()
        >>> images.shape, labels.shape, test.images.shape
        ((1437, 1, 8, 8), (1437,), (360, 1, 8, 8))
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file:
        content = np.load(file, allow_pickle=False)
        counts, classes, is_test = content["images"], content["labels"], content["is_test"]
    images = counts[:, None].astype(np.float32) / 8 - 1
    labels = classes.astype(np.int64)
    return LabeledImages(images[~is_test], labels[~is_test]), LabeledImages(images[is_test], labels[is_test])
