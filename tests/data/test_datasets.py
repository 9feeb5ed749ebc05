"""The bundled digits."""

from importlib import resources

import numpy as np
import pytest

from tinygrad_lite.data import TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.data.datasets.make_digits import every_fifth_of_each_class

FOLDER = resources.files("tinygrad_lite.data.datasets")


@pytest.fixture(scope="module")
def parts():
    return digits()


def test_the_parts_have_1437_and_360_pictures(parts):
    train, test = parts
    assert train.images.shape == (1437, 1, 8, 8)
    assert test.images.shape == (360, 1, 8, 8)


def test_images_are_float32_on_17_levels_from_minus_one_to_one(parts):
    for images, _ in parts:
        assert images.dtype == np.float32
        assert np.unique(images).tolist() == [k / 8 - 1 for k in range(17)]


def test_labels_are_int64_and_one_a_picture(parts):
    for images, labels in parts:
        assert labels.dtype == np.int64
        assert labels.shape == (len(images),)


def test_each_class_is_split_eighty_to_twenty(parts):
    train, test = (np.bincount(part.labels, minlength=10) for part in parts)
    assert np.abs(test - (train + test) / 5).max() < 1


def test_no_picture_is_in_both_parts(parts):
    train, test = ({image.tobytes() for image in part.images} for part in parts)
    assert not train & test


def test_the_first_training_picture_is_the_zero_it_always_was(parts):
    train, _ = parts
    assert train.labels[0] == 0
    assert ((train.images[0, 0] + 1) * 8).astype(int)[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_labels_belong_to_their_pictures(parts):
    train, test = parts
    means = np.stack([train.images[train.labels == c].mean(axis=0).ravel() for c in range(10)])
    distances = ((test.images.reshape(-1, 1, 64) - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == test.labels).mean() > 0.85


def test_a_caller_may_change_its_arrays(parts):
    digits()[0].images[:] = 0
    assert np.array_equal(digits()[0].images, parts[0].images)


def test_a_part_becomes_a_dataset_by_unpacking(parts):
    image, label = TensorDataset(*parts[1])[0]
    assert image.shape == (1, 8, 8)
    assert label == parts[1].labels[0]


def test_the_mask_takes_a_fifth_of_each_class():
    labels = np.repeat([3, 1, 2], 50)
    mask = every_fifth_of_each_class(labels)
    assert np.bincount(labels[mask]).tolist() == [0, 10, 10, 10]


def test_the_committed_mask_is_the_one_the_script_draws():
    with FOLDER.joinpath("digits.npz").open("rb") as file:
        content = np.load(file, allow_pickle=False)
        assert np.array_equal(every_fifth_of_each_class(content["labels"]), content["is_test"])


def test_the_file_is_small_and_its_authors_are_named():
    assert len(FOLDER.joinpath("digits.npz").read_bytes()) < 100_000
    notice = FOLDER.joinpath("LICENSE-digits.txt").read_text(encoding="utf-8")
    assert "Alpaydin" in notice
    assert "CC BY 4.0" in notice
