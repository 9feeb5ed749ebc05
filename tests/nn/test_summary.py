"""The table of a model's layers."""

import numpy as np
import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.nn import BatchNorm1d, Embedding, Linear, Module, ReLU, Sequential


def cells(table):
    """The rows of a table, each split into its columns."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


def test_shows_shapes_parameters_and_multiply_adds_of_each_layer():
    model = Sequential(Linear(64, 32), BatchNorm1d(32), ReLU(), Linear(32, 10, bias=False))
    assert cells(model.summary((1, 64))) == [
        ["layer", "output shape", "parameters", "multiply-adds"],
        ["Sequential", "(1, 10)", "0", "0"],
        ["0: Linear", "(1, 32)", "2,080", "2,048"],
        ["1: BatchNorm1d", "(1, 32)", "64", "0"],
        ["2: ReLU", "(1, 32)", "0", "0"],
        ["3: Linear", "(1, 10)", "320", "320"],
        ["total", "2,464", "2,368"],
    ]


def test_columns_are_aligned():
    lines = Sequential(Linear(3, 400), Sequential(Linear(400, 2))).summary((5, 3)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[4].startswith("    0: Linear    (5, 2) ")


def test_multiply_adds_grow_with_the_batch():
    assert cells(Linear(3, 4).summary((10, 7, 3)))[-1] == ["total", "16", "840"]


def test_a_shared_parameter_counts_once():
    model = Sequential(Linear(3, 3), Linear(3, 3))
    model[1].weight = model[0].weight
    assert [row[-2] for row in cells(model.summary((1, 3)))[1:]] == ["0", "12", "3", "15"]


def test_a_module_that_runs_twice_computes_twice_and_counts_once():
    layer = Linear(3, 3)
    assert cells(Sequential(layer, layer).summary((1, 3)))[1:] == [
        ["Sequential", "(1, 3)", "0", "0"],
        ["0: Linear", "(1, 3)", "12", "18"],
        ["total", "12", "18"],
    ]


def test_a_module_that_does_not_run_is_named_so():
    model = ReLU()
    model.spare = Linear(1, 1)
    assert cells(model.summary((2, 1)))[2] == ["spare: Linear", "not run", "2", "0"]


def test_an_example_may_stand_for_a_shape():
    assert cells(Embedding(10, 4).summary(np.array([[1, 2, 3]])))[1] == ["Embedding", "(1, 3, 4)", "40", "0"]


def test_several_inputs_and_outputs_are_shown():
    class Swap(Module):
        def forward(self, x, y):
            return y, [x]

    assert cells(Swap().summary((1, 2), Tensor(np.zeros(3))))[1][1] == "(3,), (1, 2)"


def test_a_module_may_say_what_its_own_products_cost():
    class Gram(Module):
        def forward(self, x):
            return x @ x.T

        def multiply_adds(self, inputs, output):
            return output.numel() * inputs[0].shape[1]

    assert cells(Gram().summary((2, 5)))[-1] == ["total", "0", "20"]


def test_zeros_are_made_where_and_as_the_parameters_are(device):
    model = Linear(3, 4).to("float64").to(device)
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model.summary((1, 3))
    assert seen[0].dtype == "float64"
    assert seen[0].device == model.weight.device


def test_the_model_is_left_as_it_was_also_after_an_error():
    model = Sequential(Linear(3, 2), BatchNorm1d(2), ReLU().eval())
    for shape in ((4, 3), (4, 7)):
        try:
            model.summary(shape)
        except ValueError:
            assert shape == (4, 7)
        assert [m.training for m in model.modules()] == [True, True, True, False]
        assert not any(m._hooks for m in model.modules())
    assert model[1].running_mean.tolist() == [0.0, 0.0]


def test_no_graph_is_left(rng):
    seen = []
    model = Linear(3, 2)
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    model.summary((1, 3))
    assert seen == [False]


@pytest.mark.parametrize("value", [0.0, [1.0]])
def test_outputs_without_a_shape_have_an_empty_one(value):
    class Constant(Module):
        def forward(self):
            return value

    assert cells(Constant().summary())[1][:2] == ["Constant", "()"]
