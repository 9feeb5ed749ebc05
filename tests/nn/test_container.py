"""Sequential and ModuleList."""

import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.nn import Linear, ModuleList, ReLU, Sequential, Sigmoid


def test_sequential_passes_each_output_on():
    first, second = Linear(3, 2), Linear(2, 1)
    x = Tensor([[1.0, -2.0, 3.0]])
    assert Sequential(first, ReLU(), second)(x).tolist() == second(first(x).relu()).tolist()


def test_an_empty_sequential_is_the_identity():
    x = Tensor([1.0])
    assert Sequential()(x) is x


def test_modules_are_found_by_index_and_slice():
    layers = [Linear(1, 1), ReLU(), Sigmoid()]
    for kind, held in ((Sequential, Sequential(*layers)), (ModuleList, ModuleList(layers))):
        assert held[0] is layers[0]
        assert held[-1] is layers[2]
        assert type(held[1:]) is kind
        assert list(held[1:]) == layers[1:]
        assert len(held) == 3


def test_an_index_beyond_the_end_raises():
    with pytest.raises(IndexError):
        Sequential(ReLU())[1]


def test_modules_are_named_by_their_numbers():
    held = ModuleList([Linear(1, 1)])
    held.append(ReLU()).extend([Linear(1, 1, bias=False)])
    assert list(held.state_dict()) == ["0.weight", "0.bias", "2.weight"]


def test_a_module_may_come_twice():
    relu = ReLU()
    assert list(Sequential(relu, Sigmoid(), relu)) != list(Sequential(relu, Sigmoid()))
    assert len(Sequential(relu, Sigmoid(), relu)) == 3


@pytest.mark.parametrize("make", [lambda: Sequential(ReLU), lambda: ModuleList([ReLU])])
def test_a_class_in_the_place_of_a_module_is_refused(make):
    with pytest.raises(TypeError, match="holds modules; got a type"):
        make()


def test_a_module_list_is_not_called():
    with pytest.raises(NotImplementedError, match=r"ModuleList needs a method forward\(\) to be called"):
        ModuleList([ReLU()])(Tensor([1.0]))
