"""Batches, and the order they come in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite.data import DataLoader, Dataset, TensorDataset, random_split


class Counting(Dataset):
    """Remembers which samples it was asked for."""

    def __init__(self, size):
        self.size, self.asked = size, []

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.asked.append(index)
        return index


def flat(batches):
    return np.concatenate([np.zeros(0, int), *batches]).tolist()


def test_unshuffled_batches_follow_the_dataset():
    assert [b.tolist() for b in DataLoader(np.arange(5), batch_size=2)] == [[0, 1], [2, 3], [4]]


def test_drop_last_leaves_out_a_batch_that_is_not_full():
    loader = DataLoader(np.arange(5), batch_size=2, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3]]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 9), st.booleans(), st.integers(0, 3))
def test_an_epoch_visits_every_sample_once_in_len_batches(size, batch_size, shuffle, epoch):
    loader = DataLoader(np.arange(size), batch_size, shuffle)
    batches = list(loader.batches(epoch))
    assert len(batches) == len(loader)
    assert sorted(flat(batches)) == list(range(size))


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(2, 30), st.integers(1, 9), st.booleans())
def test_starting_in_the_middle_gives_the_rest_of_the_same_epoch(data, size, batch_size, drop_last):
    batch_size = min(batch_size, size)
    loader = DataLoader(np.arange(size), batch_size, shuffle=True, drop_last=drop_last)
    start = data.draw(st.integers(0, len(loader)))
    assert flat(loader.batches(3, start)) == flat(list(loader.batches(3))[start:])


def test_starting_in_the_middle_loads_none_of_the_samples_before():
    dataset = Counting(10)
    list(DataLoader(dataset, batch_size=2).batches(0, start=3))
    assert dataset.asked == [6, 7, 8, 9]


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return flat(DataLoader(np.arange(50), 7, shuffle=True, seed=seed).batches(epoch))

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_iterating_takes_the_epoch_that_was_set():
    loader = DataLoader(np.arange(50), 7, shuffle=True)
    loader.set_epoch(4)
    assert flat(loader) == flat(loader.batches(4))


def test_each_pass_takes_the_next_epoch():
    loader = DataLoader(np.arange(20), 3, shuffle=True)
    assert [flat(loader) for _ in range(3)] == [flat(loader.batches(epoch)) for epoch in range(3)]


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(np.arange(6), 2, shuffle=True)
    pairs = list(zip(loader.batches(0), loader.batches(0), strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_batch_of_tensors_is_a_tuple_of_arrays():
    dataset = TensorDataset(np.zeros((8, 1, 2, 2), np.float32), np.arange(8))
    x, y = next(iter(DataLoader(dataset, batch_size=4)))
    assert x.shape == (4, 1, 2, 2)
    assert x.dtype == np.float32
    assert y.tolist() == [0, 1, 2, 3]


def test_rows_of_a_shuffled_batch_stay_together():
    x = np.arange(30)
    train, _ = random_split(TensorDataset(x, -x), [20, 10])
    for a, b in DataLoader(train, batch_size=6, shuffle=True):
        assert np.array_equal(a, -b)


def test_collate_fn_gets_the_list_of_samples():
    loader = DataLoader(["a", "bc", "def"], batch_size=2, collate_fn=lambda texts: [len(t) for t in texts])
    assert list(loader) == [[1, 2], [3]]


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="DataLoader: batch_size needs to be at least 1; got 0"):
        DataLoader(np.arange(3), batch_size=0)


@pytest.mark.parametrize(("size", "drop_last"), [(5, True), (0, False)])
def test_a_loader_that_could_give_no_batch_is_refused(size, drop_last):
    text = f"DataLoader: {size} samples make no batch with batch_size=8, drop_last={drop_last}"
    with pytest.raises(ValueError, match=text):
        DataLoader(np.arange(size), batch_size=8, drop_last=drop_last)


@pytest.mark.parametrize("start", [-1, 4])
def test_a_start_outside_the_epoch_is_refused_at_once(start):
    with pytest.raises(ValueError, match=f"batches: start needs to be from 0 to 3; got {start}"):
        DataLoader(np.arange(5), batch_size=2).batches(0, start)
