"""Datasets, splits and batches of samples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite.data import Dataset, Subset, TensorDataset, default_collate, random_split
from tinygrad_lite.data.dataset import gather


class Squares(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index * index


@pytest.fixture
def pairs():
    return TensorDataset(np.arange(20.0).reshape(10, 2), np.arange(10))


def test_a_sample_of_a_tensor_dataset_is_a_row_of_each_array(pairs):
    x, y = pairs[3]
    assert x.tolist() == [6.0, 7.0]
    assert y == 3


def test_a_tensor_dataset_takes_an_array_of_indices(pairs):
    x, y = pairs[np.array([3, 1])]
    assert x.tolist() == [[6.0, 7.0], [2.0, 3.0]]
    assert y.tolist() == [3, 1]


def test_a_tensor_dataset_of_one_array_gives_a_tuple_of_one():
    assert TensorDataset(np.arange(3))[1] == (1,)


@pytest.mark.parametrize(
    ("arrays", "got"),
    [
        ((np.zeros(3), np.zeros((4, 2))), r"\(3,\), \(4, 2\)"),
        ((np.zeros(3), 1.0), r"\(3,\), \(\)"),
        ((), "no array"),
    ],
)
def test_arrays_of_different_lengths_are_refused(arrays, got):
    with pytest.raises(ValueError, match=f"TensorDataset: needs arrays of one length along dim 0; got {got}"):
        TensorDataset(*arrays)


def test_a_dataset_without_its_methods_says_which_is_missing():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty needs a method __len__\(\)"):
        len(Empty())
    with pytest.raises(NotImplementedError, match=r"Empty needs a method __getitem__\(index\)"):
        Empty()[0]


def test_a_subset_keeps_the_order_of_its_indices(pairs):
    subset = Subset(pairs, [7, 2, 2])
    assert [int(subset[i][1]) for i in range(len(subset))] == [7, 2, 2]


def test_a_subset_refuses_an_index_that_the_dataset_lacks(pairs):
    with pytest.raises(IndexError, match="Subset: the dataset has 10 samples; got index 10"):
        Subset(pairs, [0, 10])


@pytest.mark.parametrize("indices", [[True, False, True], [0.5]])
def test_a_subset_refuses_masks_and_fractions(indices):
    with pytest.raises(IndexError, match=r"Subset: indices are integers \(np.flatnonzero for a mask\); got"):
        Subset(np.arange(3), indices)


def test_a_subset_may_be_empty():
    assert len(Subset(np.arange(3), [])) == 0


@settings(deadline=None, max_examples=50)
@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=5), seed=st.integers(0, 5))
def test_a_split_by_counts_leaves_out_no_sample_and_repeats_none(counts, seed):
    parts = random_split(np.arange(sum(counts)), counts, seed)
    # Counts with sum 1 are read as fractions, to the same effect: the one sample goes to the part with 1.
    assert [len(part) for part in parts] == counts
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(sum(counts)))


@pytest.mark.parametrize(
    ("size", "fractions", "sizes"),
    [(10, [0.8, 0.2], [8, 2]), (10, [0.5, 0.25, 0.25], [6, 2, 2]), (11, [0.3, 0.3, 0.4], [4, 3, 4])],
)
def test_fractions_are_rounded_down_and_the_rest_goes_to_the_first_parts(size, fractions, sizes):
    assert [len(part) for part in random_split(np.arange(size), fractions)] == sizes


def test_fractions_whose_sum_is_just_off_one_still_split_all():
    assert sum(len(part) for part in random_split(np.arange(100), [0.1] * 10)) == 100


def test_a_split_depends_on_the_seed_alone():
    first, again, other = (random_split(np.arange(50), [40, 10], seed)[0].indices for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [-1, 11]])
def test_lengths_that_do_not_add_up_are_refused(lengths):
    with pytest.raises(ValueError, match="random_split: lengths need to be counts with sum 10, or fract"):
        random_split(np.arange(10), lengths)


def test_samples_are_stacked_along_a_new_first_dim():
    batch = default_collate([np.ones(3, np.float32), np.zeros(3, np.float32)])
    assert batch.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert batch.dtype == np.float32


def test_tuples_and_dicts_are_collated_by_entry():
    x, (y, z) = default_collate([(1, ({"a": 2.0}, 3)), (4, ({"a": 5.0}, 6))])
    assert x.tolist() == [1, 4]
    assert y["a"].tolist() == [2.0, 5.0]
    assert z.tolist() == [3, 6]


def test_samples_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"default_collate: .* need one shape; got \(2,\), \(3,\)"):
        default_collate([np.zeros(3), np.zeros(2)])


def test_tuples_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"default_collate: .* need one length; got \[2, 3\]"):
        default_collate([(1, 2), (1, 2, 3)])


def test_no_sample_is_no_batch():
    with pytest.raises(ValueError, match="default_collate: needs at least one sample"):
        default_collate([])


@pytest.mark.parametrize("kind", ["array", "tensors", "subset", "subset of a subset", "own class", "list"])
def test_gather_equals_collating_one_by_one(kind, pairs):
    dataset = {
        "array": np.arange(30.0).reshape(10, 3),
        "tensors": pairs,
        "subset": Subset(pairs, np.arange(10)[::-1]),
        "subset of a subset": Subset(Subset(pairs, np.arange(10)[::-1]), [5, 1, 2, 9]),
        "own class": Squares(10),
        "list": [(i, [i, i + 1]) for i in range(10)],
    }[kind]
    indices = np.array([3, 0, 3, 2])
    batch, expected = gather(dataset, indices), default_collate([dataset[int(i)] for i in indices])
    np.testing.assert_equal(batch, expected)


def test_gather_asks_a_subclass_of_tensor_dataset_sample_by_sample():
    class Shifted(TensorDataset):
        def __getitem__(self, index):
            assert isinstance(index, int)
            return self.arrays[0][index] + 100

    assert gather(Shifted(np.arange(5)), np.array([4, 2])).tolist() == [104, 102]


def test_a_batch_shares_no_memory_with_the_dataset(pairs):
    x, _ = gather(pairs, np.arange(10))
    x[:] = -1
    assert pairs[0][0].tolist() == [0.0, 1.0]
