import numpy as np
import pytest

import tinygrad_lite as t


def test_tensor_copies_and_the_class_shares():
    array = np.ones(3)
    copied, shared = t.tensor(array), t.Tensor(array)
    array[0] = 5
    assert copied.tolist() == [1, 1, 1]
    assert shared.tolist() == [5, 1, 1]


@pytest.mark.parametrize(("make", "value"), [(t.zeros, 0), (t.ones, 1)])
def test_zeros_and_ones_are_float32_of_the_shape(make, value):
    x = make(2, 3, requires_grad=True)
    assert (x.shape, x.dtype, x.requires_grad) == ((2, 3), "float32", True)
    assert (x.numpy() == value).all()
    assert make(dtype="int64").shape == ()


@pytest.mark.parametrize("make", [t.zeros, t.ones, t.randn])
def test_a_shape_is_given_as_numbers_or_as_a_tuple(make):
    assert make(2, 3).shape == make((2, 3)).shape == (2, 3)


def test_the_seed_decides_what_randn_draws():
    t.manual_seed(3)
    first = t.randn(4, 5)
    t.manual_seed(3)
    assert t.randn(4, 5).tolist() == first.tolist()
    assert first.dtype == "float32"


@pytest.mark.parametrize(
    ("args", "values", "dtype"),
    [((3,), [0, 1, 2], "int64"), ((1, 4, 2), [1, 3], "int64"), ((0, 1, 0.5), [0, 0.5], "float32")],
)
def test_arange_counts_as_torch_does(args, values, dtype):
    x = t.arange(*args)
    assert x.tolist() == values
    assert x.dtype == dtype


def test_a_tensor_is_no_data_for_a_tensor():
    with pytest.raises(TypeError, match="got a Tensor; use detach"):
        t.tensor(t.ones(2))


def test_they_are_made_on_the_device(cuda):
    for x in (
        t.zeros(2, device=cuda),
        t.ones(2, device=cuda),
        t.randn(2, device=cuda),
        t.tensor([1.0], device=cuda),
    ):
        assert x.device == "cuda:0"
