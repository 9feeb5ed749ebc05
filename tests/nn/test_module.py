"""Modules: what they find among their attributes, their state, hooks and looks."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite import Tensor, checkpoint
from tinygrad_lite.nn import BatchNorm1d, Linear, Module, Parameter, ReLU, Sequential
from tinygrad_lite.optim import SGD


class Net(Module):
    """A parameter, a buffer and two modules, one of them without anything of its own."""

    def __init__(self, features=3, scale=2.0, bias=True):
        self.first = Linear(features, 2, bias=bias)
        self.act = ReLU()
        self.scale = Parameter([scale])
        self.register_buffer("count", Tensor(np.zeros(1, dtype="int64")))

    def forward(self, x):
        return self.act(self.first(x)) * self.scale


class Nested(Module):
    def __init__(self):
        super().__init__()
        self.inner = Net()
        self.norm = BatchNorm1d(2)

    def forward(self, x):
        return self.norm(self.inner(x))


def data(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype("float32")


def names(named):
    return [name for name, _ in named]


# -- what it finds -------------------------------------------------------------------------------------


def test_parameters_are_found_own_first_then_by_module_in_order_of_assignment():
    assert names(Nested().named_parameters()) == [
        *("inner.scale", "inner.first.weight", "inner.first.bias", "norm.weight", "norm.bias")
    ]


def test_buffers_are_found_by_their_names():
    assert names(Nested().named_buffers()) == ["inner.count", "norm.running_mean", "norm.running_var"]


def test_modules_are_found_outer_before_inner():
    assert names(Nested().named_modules()) == ["", "inner", "inner.first", "inner.act", "norm"]


def test_children_are_the_modules_one_level_down():
    assert names(Nested().named_children()) == ["inner", "norm"]
    assert [type(child).__name__ for child in Nested().children()] == ["Net", "BatchNorm1d"]


def test_what_is_shared_is_found_once():
    net = Net()
    net.second = net.first
    net.other = Net()
    net.other.first.weight = net.first.weight
    assert names(net.named_modules()) == ["", "first", "act", "other", "other.first", "other.act"]
    assert [name for name in names(net.named_parameters()) if "weight" in name] == ["first.weight"]


def test_a_plain_tensor_is_neither_parameter_nor_buffer():
    net = Net()
    net.loose = Tensor([1.0], requires_grad=True)
    assert not any(x is net.loose for x in (*net.parameters(), *net.buffers()))


def test_a_module_may_get_new_attributes_while_it_is_walked_over():
    for module in Nested().modules():
        module.seen = True


def test_a_parameter_cannot_become_a_plain_tensor():
    net = Net()
    with pytest.raises(
        TypeError, match=r"Net.scale can become a Parameter or None; got a Tensor\. To give it a"
    ):
        net.scale = net.scale * 2


def test_a_buffer_cannot_become_an_array():
    with pytest.raises(TypeError, match=r"Net\.count can become a Tensor or None; got a ndarray"):
        Net().count = np.ones(1)


def test_a_buffer_may_become_another_tensor():
    net = Net()
    net.count = Tensor([5])
    assert net.state_dict()["count"].item() == 5


def test_a_parameter_may_become_another_or_none():
    net = Net()
    net.scale = Parameter([7.0])
    assert net.state_dict()["scale"].item() == 7.0
    net.scale = None
    assert "scale" not in net.state_dict()


@pytest.mark.parametrize("name", ["", "a.b", "scale", "forward"])
def test_a_buffer_needs_a_new_name_without_a_dot(name):
    with pytest.raises(
        ValueError, match=f"register_buffer: Net needs a new name without a dot; got '{name}'"
    ):
        Net().register_buffer(name, Tensor([1.0]))


@pytest.mark.parametrize("value", [np.ones(1), Parameter([1.0])])
def test_a_buffer_is_a_plain_tensor(value):
    with pytest.raises(TypeError, match="register_buffer: b must be a plain Tensor; got a"):
        Net().register_buffer("b", value)


def test_a_module_works_without_the_constructor_of_its_base_class():
    class Forgetful(Module):
        def __init__(self):
            self.weight = Parameter([3.0])

        def forward(self, x):
            return x * self.weight

    model = Forgetful()
    assert model(Tensor([2.0])).item() == 6.0
    assert model.training


# -- the forward pass ----------------------------------------------------------------------------------


def test_an_array_goes_in_and_a_tensor_comes_out():
    output = Net()(data(4, 3))
    assert isinstance(output, Tensor)
    assert output.requires_grad


def test_an_array_on_the_host_is_refused_by_a_model_on_the_gpu(cuda):
    with pytest.raises(TypeError, match=r"\(4, 3\) on cpu, \(2, 3\) on cuda:0.*; move one of them with .to"):
        Net().to(cuda)(data(4, 3))


def test_a_module_without_forward_says_what_it_needs():
    with pytest.raises(NotImplementedError, match=r"Empty needs a method forward\(\) to be called"):
        type("Empty", (Module,), {})()(1)


def test_hooks_see_inputs_and_output():
    seen = []
    layer = Linear(3, 2)
    layer.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs)))
    layer.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs, output)))
    x = Tensor(data(4, 3))
    y = layer(x)
    assert seen == [(layer, (x,)), (layer, (x,), y)]


def test_what_a_hook_returns_takes_the_place_of_inputs_and_output():
    layer = ReLU()
    layer.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1)
    layer.register_forward_hook(lambda module, inputs, output: (inputs[0], output * 10))
    x, y = layer(Tensor([-0.5, 2.0]))
    assert (x.tolist(), y.tolist()) == ([0.5, 3.0], [5.0, 30.0])


def test_a_hook_that_was_removed_is_not_called():
    layer, calls = ReLU(), []
    handle = layer.register_forward_hook(lambda *_: calls.append(1))
    layer(Tensor([1.0]))
    handle.remove()
    handle.remove()
    layer(Tensor([1.0]))
    assert calls == [1]


def test_a_hook_may_remove_itself():
    layer, calls = ReLU(), []

    def once(*_):
        calls.append(1)
        handle.remove()

    handle = layer.register_forward_hook(once)
    layer.register_forward_hook(lambda *_: calls.append(2))
    layer(Tensor([1.0]))
    layer(Tensor([1.0]))
    assert calls == [1, 2, 2]


# -- what is done to all of it -------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = Nested()
    assert {m.training for m in net.eval().modules()} == {False}
    assert {m.training for m in net.train().modules()} == {True}
    assert {m.training for m in net.train(False).modules()} == {False}


def test_a_frozen_model_gives_outputs_without_graph():
    net = Net().requires_grad_(False)
    assert not net(data(4, 3)).requires_grad
    assert net.requires_grad_()(data(4, 3)).requires_grad


def test_zero_grad_leaves_none():
    net = Net()
    net(data(4, 3)).sum().backward()
    net.zero_grad()
    assert [p.grad for p in net.parameters()] == [None, None, None]


def test_to_a_dtype_casts_what_is_float_and_keeps_the_parameters_themselves():
    net = Net()
    net(data(4, 3)).sum().backward()
    before = list(net.parameters())
    assert net.to("float64") is net
    assert all(p is q for p, q in zip(net.parameters(), before, strict=True))
    assert {str(x.dtype) for p in net.parameters() for x in (p, p.grad)} == {"float64"}
    assert net.count.dtype == "int64"


def test_to_a_device_moves_parameters_gradients_and_buffers(cuda):
    net = Nested()
    net(data(4, 3)).sum().backward()
    optimizer = SGD(net.parameters(), lr=0.1)
    expected = [p.numpy() - np.float32(0.1) * p.grad.numpy() for p in net.parameters()]
    net.to(cuda)
    optimizer.step()
    assert {x.device for x in (*net.parameters(), *net.buffers())} == {"cuda:0"}
    for p, q in zip(net.to("cpu").parameters(), expected, strict=True):
        np.testing.assert_allclose(p.numpy(), q, rtol=1e-6)


def test_to_integers_is_refused():
    with pytest.raises(TypeError, match="to: a module needs a float dtype or a device; got 'int64'"):
        Net().to("int64")


@pytest.mark.parametrize("target", ["gpu", None])
def test_to_what_is_neither_a_dtype_nor_a_device_is_refused(target):
    with pytest.raises(TypeError, match=f"to: a module needs a float dtype or a device; got {target!r}"):
        Net().to(target)


def test_a_graph_from_before_a_move_refuses_to_run():
    net = Net()
    loss = net(data(4, 3)).sum()
    net.to("float64")
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


def test_a_deep_copy_has_weights_of_its_own_and_shares_among_them_what_was_shared():
    net = Net()
    net.again = net.first
    other = copy.deepcopy(net)
    other.first.weight.data[...] = 0.0
    assert other.again is other.first
    assert isinstance(other.first.weight, Parameter)
    assert net.first.weight.numpy().any()


# -- its state -----------------------------------------------------------------------------------------


def test_the_state_has_what_is_saved_by_dotted_names():
    net = Nested()
    net.register_buffer("scratch", Tensor([1.0]), persistent=False)
    net.register_buffer("absent", None)
    assert list(net.state_dict()) == [
        *("inner.scale", "inner.count", "inner.first.weight", "inner.first.bias"),
        *("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"),
    ]


def test_the_state_shares_its_memory_with_the_module_and_has_no_graph():
    net = Net()
    weight = net.state_dict()["first.weight"]
    assert weight.data is net.first.weight.data
    assert not weight.requires_grad


def test_a_shared_parameter_stands_in_the_state_under_each_name():
    net = Net()
    net.second = Linear(3, 2)
    net.second.weight = net.first.weight
    state = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    assert {"first.weight", "second.weight"} <= state.keys()
    state["first.weight"][...] = state["second.weight"][...] = 4.0
    net.load_state_dict(state)
    assert net.first.weight is net.second.weight
    assert net.first.weight.tolist() == [[4.0] * 3] * 2


@settings(deadline=None, max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    as_tensors=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_state_goes_into_another_model_of_the_same_make_bit_for_bit(sizes, as_tensors, seed):
    def make():
        pairs = pairwise(sizes)
        return Sequential(*[Sequential(Linear(i, o, bias=o % 2 == 0), BatchNorm1d(o)) for i, o in pairs])

    one, other = make(), make()
    one(np.random.default_rng(seed).standard_normal((3, sizes[0])).astype("float32"))  # moves the buffers
    state = one.state_dict()
    assert other.load_state_dict(state if as_tensors else {k: v.numpy() for k, v in state.items()}) == (
        [],
        [],
    )
    assert {k: v.tolist() for k, v in other.state_dict().items()} == {k: v.tolist() for k, v in state.items()}
    assert not any(a.data is b.data for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_state_survives_a_checkpoint(tmp_path):
    one, other = Nested(), Nested()
    checkpoint.save(tmp_path / "net", {"model": one.state_dict()})
    other.load_state_dict(checkpoint.load(tmp_path / "net")["model"])
    assert other.inner.first.weight.tolist() == one.inner.first.weight.tolist()


def test_loading_writes_into_the_parameters_and_says_so_to_their_graphs():
    net = Net()
    weight, loss = net.first.weight, net(data(4, 3)).sum()
    net.load_state_dict(Net().state_dict())
    assert net.first.weight is weight
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


def test_loading_casts_and_moves_to_what_the_module_is(device):
    net = Net().to(device)
    state = {name: tensor.numpy() for name, tensor in Net().to("float64").state_dict().items()}
    net.load_state_dict(state)
    assert net.first.weight.dtype == "float32"
    np.testing.assert_allclose(net.first.weight.numpy(), state["first.weight"], rtol=1e-7)


def test_a_state_that_does_not_fit_is_refused_with_all_that_is_wrong_and_nothing_is_written():
    net = Net()
    state = Net(scale=9.0).state_dict()
    before = net.scale.tolist()
    state["first.weight"] = data(5, 3)
    state["more"] = state.pop("count")
    state["third.weight"] = state.pop("first.bias")
    message = (
        "Net.load_state_dict: first.weight has shape (5, 3), not (2, 3); count is missing; "
        "first.bias is missing; more is unexpected; third.weight is unexpected"
    )
    with pytest.raises(ValueError, match="load_state_dict") as error:
        net.load_state_dict(state)
    assert str(error.value) == message
    assert net.scale.tolist() == before


def test_without_strict_the_names_that_do_not_fit_are_returned_and_the_rest_is_loaded():
    net, state = Net(), Net(scale=9.0).state_dict()
    state["more"] = state.pop("count")
    assert net.load_state_dict(state, strict=False) == (["count"], ["more"])
    assert net.scale.item() == 9.0


def test_shapes_must_fit_without_strict_too():
    with pytest.raises(
        ValueError, match=r"Net.load_state_dict: first.weight has shape \(2, 4\), not \(2, 3\)$"
    ):
        Net().load_state_dict(Net(features=4).state_dict(), strict=False)


# -- how it looks --------------------------------------------------------------------------------------


def test_repr_shows_modules_within_modules():
    assert repr(Nested()) == (
        "Nested(\n"
        "  (inner): Net(\n"
        "    (first): Linear(in_features=3, out_features=2)\n"
        "    (act): ReLU()\n"
        "  )\n"
        "  (norm): BatchNorm1d(num_features=2)\n"
        ")"
    )


def test_repr_of_a_layer_is_the_call_that_makes_it():
    assert repr(Linear(3, 4, bias=False)) == "Linear(in_features=3, out_features=4, bias=False)"
    assert repr(BatchNorm1d(3, eps=0.5, affine=False)) == "BatchNorm1d(num_features=3, eps=0.5, affine=False)"


def test_repr_shows_options_beside_modules():
    class Block(Module):
        def __init__(self, width, depth=1, weights=None):
            self.width, self.depth, self.weights = width, depth, weights
            self.layer = Linear(width, width)

    assert repr(Block(2, weights=np.ones(3))) == (
        "Block(\n  width=2\n  (layer): Linear(in_features=2, out_features=2)\n)"
    )
