"""Parameters: tensors with a memory of their own."""

import numpy as np
import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.nn import Parameter


def test_a_parameter_is_a_tensor_that_requires_a_gradient():
    p = Parameter([1.0, 2.0])
    assert isinstance(p, Tensor)
    assert p.requires_grad
    assert p.dtype == "float32"


@pytest.mark.parametrize("kind", [np.array, Tensor])
def test_a_parameter_shares_its_memory_with_nobody(kind):
    data = np.zeros(2, dtype="float32")
    p = Parameter(kind(data))
    data[...] = 5.0
    assert p.tolist() == [0.0, 0.0]


def test_read_only_data_make_a_parameter_that_can_be_written():
    p = Parameter(Tensor([1.0, 2.0]).numpy())
    p.data += 1
    assert p.tolist() == [2.0, 3.0]


def test_a_parameter_can_be_frozen_from_the_start():
    assert not Parameter([1.0], requires_grad=False).requires_grad


def test_integers_are_no_parameters():
    with pytest.raises(TypeError, match="only floats have gradients; this tensor is int64"):
        Parameter([1, 2])


def test_an_operation_on_a_parameter_gives_a_plain_tensor():
    assert type(Parameter([1.0]) * 2) is Tensor
