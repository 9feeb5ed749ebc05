"""Parameter groups, the steps over them, and the state of an optimizer."""

import json

import numpy as np
import pytest

from tinygrad_lite import Tensor, nn
from tinygrad_lite.optim import SGD, Adam, AdamW, Optimizer

ALL = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (Adam, {"lr": 0.1}),
    (AdamW, {"lr": 0.1}),
]


def leaf(*values, dtype="float32", device=None):
    return Tensor(np.array(values, dtype=dtype), device=device, requires_grad=True)


def descend(optimizer, params, steps):
    """Steps down the bowl Σ (p − 1)²/2 of each parameter."""
    for _ in range(steps):
        optimizer.zero_grad()
        for p in params:
            (((p - 1) ** 2).sum() * 0.5).backward()
        optimizer.step()


# -- steps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_reaches_the_bottom_of_a_bowl(kind, options, device):
    p = leaf(3.0, -2.0, device=device)
    descend(kind([p], **options), [p], 200)
    np.testing.assert_allclose(p.numpy(), 1.0, atol=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), ALL)
def test_a_dtype_stays_what_it_is_in_parameters_and_state(kind, options, dtype, device):
    p = leaf(3.0, -2.0, dtype=dtype, device=device)
    optimizer = kind([p], **options, weight_decay=np.float64(0.1))
    descend(optimizer, [p], 2)
    arrays = [p.data, *[a for a in optimizer.state[p].values() if not isinstance(a, int)]]
    assert {str(a.dtype) for a in arrays} == {dtype}


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_a_scalar_takes_the_steps_of_a_vector(kind, options):
    scalar, vector = Tensor(3.0, requires_grad=True), leaf(3.0)
    for p in (scalar, vector):
        descend(kind([p], **options), [p], 5)
    assert scalar.item() == vector.item() != 3.0


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_a_parameter_without_gradient_stays_and_keeps_no_state(kind, options):
    used, unused = leaf(3.0), leaf(3.0)
    optimizer = kind([used, unused], **options, weight_decay=0.5)
    descend(optimizer, [used], 3)
    assert unused.item() == 3.0
    assert list(optimizer.state) == [used]


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_the_gradient_is_not_changed_by_a_step(kind, options):
    p = leaf(3.0, 4.0)
    optimizer = kind([p], **options, weight_decay=0.5)
    descend(optimizer, [p], 3)
    p.grad = Tensor(np.ones(2, dtype="float32"))
    optimizer.step()
    assert p.grad.tolist() == [1.0, 1.0]


def test_zero_grad_leaves_none():
    p = leaf(3.0)
    optimizer = SGD([p])
    descend(optimizer, [p], 1)
    optimizer.zero_grad()
    assert p.grad is None


def test_a_graph_from_before_a_step_refuses_to_run():
    p = leaf(3.0)
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    SGD([p]).step()
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


# -- groups --------------------------------------------------------------------------------------------


def test_a_group_has_its_own_options_and_else_those_of_the_optimizer():
    slow, fast = leaf(1.0), leaf(1.0)
    optimizer = SGD([{"params": [slow]}, {"params": fast, "lr": 0.5}], lr=0.25)
    for p in (slow, fast):
        p.grad = Tensor([1.0])
    optimizer.step()
    assert (slow.item(), fast.item()) == (0.75, 0.5)


def test_a_learning_rate_that_is_changed_holds_from_the_next_step():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.25)
    optimizer.param_groups[0]["lr"] = 0.5
    p.grad = Tensor([1.0])
    optimizer.step()
    assert p.item() == 0.5


def test_an_iterator_of_parameters_is_taken_once():
    p, q = leaf(1.0), leaf(2.0)
    assert SGD(iter([p, q])).param_groups[0]["params"] == [p, q]


def test_no_parameters_are_refused():
    with pytest.raises(ValueError, match="SGD: got no parameters"):
        SGD([])


def test_one_tensor_is_refused():
    with pytest.raises(TypeError, match="Adam: needs a list of tensors, or of groups; got one tensor"):
        Adam(leaf(1.0))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="SGD: optimizes tensors; got a str"):
        SGD("ab")


def test_a_computed_tensor_is_refused():
    with pytest.raises(ValueError, match=r"SGD: a tensor of shape \(1,\) was computed, by <Exp>; optimize"):
        SGD([leaf(1.0).exp()])


@pytest.mark.parametrize("groups", [lambda p: [{"params": [p]}, {"params": [p]}], lambda p: [p, p]])
def test_a_parameter_that_is_there_twice_is_refused(groups):
    with pytest.raises(ValueError, match=r"SGD: a tensor of shape \(1,\) is there twice"):
        SGD(groups(leaf(1.0)))


def test_a_misspelled_option_is_refused():
    with pytest.raises(
        ValueError, match="Adam: a group has params and any of lr, betas, eps, weight_decay; got"
    ):
        Adam([{"params": [leaf(1.0)], "learning_rate": 0.1}])


def test_a_group_without_params_is_refused():
    with pytest.raises(ValueError, match=r"SGD: a group has params and any of .*; got lr"):
        SGD([{"lr": 0.1}])


@pytest.mark.parametrize("name", ["lr", "weight_decay", "eps"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_an_option_below_0_is_refused(name, value):
    with pytest.raises(ValueError, match=f"AdamW: {name} must be at least 0; got {value}"):
        AdamW([leaf(1.0)], **{name: value})


def test_an_option_of_a_group_is_checked_too():
    with pytest.raises(ValueError, match=r"SGD: momentum must be at least 0; got -0\.5"):
        SGD([{"params": [leaf(1.0)], "momentum": -0.5}])


def test_betas_of_1_are_refused():
    with pytest.raises(ValueError, match=r"Adam: betas are two numbers, each 0 ≤ β < 1; got \(0.9, 1.0\)"):
        Adam([leaf(1.0)], betas=(0.9, 1.0))


@pytest.mark.parametrize("betas", [0.9, (0.9, 0.9, 0.9)])
def test_betas_that_are_not_two_are_refused(betas):
    with pytest.raises(ValueError, match="Adam: betas are two numbers"):
        Adam([leaf(1.0)], betas=betas)


def test_a_tensor_among_groups_is_refused():
    with pytest.raises(TypeError, match="SGD: a group is a dict with params; got a Tensor"):
        SGD([{"params": [leaf(1.0)]}, leaf(2.0)])


def test_an_optimizer_of_ones_own_needs_an_update_alone():
    class SignDescent(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, lr=lr)

        def update(self, p, g, state, lr):
            p -= lr * np.sign(g)

    p = leaf(3.0, -2.0)
    descend(SignDescent([p], lr=0.5), [p], 2)
    assert p.tolist() == [2.0, -1.0]


# -- state ---------------------------------------------------------------------------------------------


def trained(kind, options, steps=3):
    params = [leaf(3.0, -2.0), leaf(0.5)]
    optimizer = kind([{"params": params[:1]}, {"params": params[1:], "lr": 0.01}], **options)
    descend(optimizer, params, steps)
    return optimizer, params


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_another_optimizer_goes_on_from_the_state_bit_for_bit(kind, options):
    optimizer, params = trained(kind, options)
    copies = [Tensor(p.data.copy(), requires_grad=True) for p in params]
    other = kind([{"params": copies[:1]}, {"params": copies[1:]}], lr=5.0)
    other.load_state_dict(optimizer.state_dict())
    descend(optimizer, params, 3)
    descend(other, copies, 3)
    assert [p.tolist() for p in copies] == [p.tolist() for p in params]


@pytest.mark.parametrize(("kind", "options"), ALL)
def test_without_its_arrays_the_state_survives_json(kind, options):
    def without_arrays(value):
        if isinstance(value, dict):
            return {k: without_arrays(v) for k, v in value.items() if not isinstance(v, np.ndarray)}
        return [without_arrays(v) for v in value] if isinstance(value, list | tuple) else value

    plain = without_arrays(trained(kind, {**options, "weight_decay": np.float32(0.5)})[0].state_dict())
    assert json.loads(json.dumps(plain)) == plain


def test_the_state_that_was_loaded_is_a_copy():
    optimizer, _ = trained(Adam, {})
    state = optimizer.state_dict()
    before = state["state"]["0"]["exp_avg"].copy()
    other, params = trained(Adam, {}, steps=0)
    other.load_state_dict(state)
    descend(other, params, 1)
    np.testing.assert_array_equal(state["state"]["0"]["exp_avg"], before)


def test_a_state_goes_where_the_parameters_are(cuda):
    optimizer, params = trained(Adam, {})
    there = [Tensor(p.data, device=cuda, requires_grad=True) for p in params]
    other = Adam([{"params": there[:1]}, {"params": there[1:]}])
    other.load_state_dict(optimizer.state_dict())
    descend(optimizer, params, 2)
    descend(other, there, 2)
    for here, p in zip(params, there, strict=True):
        np.testing.assert_allclose(p.numpy(), here.numpy(), rtol=1e-6)


def test_a_state_of_other_groups_is_refused():
    with pytest.raises(
        ValueError, match=r"Adam: the groups of the state have \[1, 1\] parameters; needs \[2\]"
    ):
        Adam([leaf(1.0), leaf(2.0)]).load_state_dict(trained(Adam, {})[0].state_dict())


def test_a_state_of_another_kind_of_optimizer_is_refused():
    optimizer, _ = trained(SGD, {})
    with pytest.raises(
        ValueError, match=r"Adam: the state has the options lr, momentum, .*; needs lr, betas"
    ):
        trained(Adam, {})[0].load_state_dict(optimizer.state_dict())


def test_a_state_of_another_shape_is_refused_and_nothing_is_changed():
    optimizer, _ = trained(Adam, {"lr": 0.1})
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = 9.0
    state["state"]["1"]["exp_avg"] = np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"Adam: exp_avg has shape \(2, 2\); its parameter has \(1,\)"):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_gradient_that_does_not_fit_its_parameter_is_refused():
    p = Tensor(np.ones(2), requires_grad=True)
    optimizer = SGD([p], lr=0.1)
    for wrong, got in [(np.ones(3), "a ndarray"), (Tensor(np.ones(3)), r"\(3,\), float64")]:
        p.grad = wrong
        with pytest.raises(
            TypeError, match=rf"SGD: \.grad must be a Tensor of shape \(2,\), float64; got {got}"
        ):
            optimizer.step()


def test_a_model_in_the_place_of_its_parameters_is_refused():
    with pytest.raises(
        TypeError, match=r"SGD: needs tensors, as model\.parameters\(\) gives them; got Linear"
    ):
        SGD(nn.Linear(2, 3), lr=0.1)
