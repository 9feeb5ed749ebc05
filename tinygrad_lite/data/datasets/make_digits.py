"""Write digits.npz, the bundled digits, from the table that scikit-learn ships.

Run:     python tinygrad_lite/data/datasets/make_digits.py      (needs scikit-learn; nothing else here does)
Writes:  digits.npz beside this file: images uint8 (1797, 8, 8) from 0 to 16, labels uint8, is_test bool
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np


def every_fifth_of_each_class(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """A mask of the test part: every fifth sample, when ordered by class and at random within a class."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    mask = np.zeros(len(labels), dtype=bool)
    mask[order[::5]] = True
    return mask


def main() -> None:
    """Read scikit-learn's table (64 pixels and the class a row), split it, and write the file."""
    with resources.as_file(resources.files("sklearn.datasets.data").joinpath("digits.csv.gz")) as csv:
        table = np.loadtxt(csv, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    path = Path(__file__).with_name("digits.npz")
    # NumPy gives every entry of the archive the same date, so the same input gives the same bytes.
    np.savez_compressed(path, images=images, labels=labels, is_test=every_fifth_of_each_class(labels))


if __name__ == "__main__":
    main()
