"""The exponential moving average of weights."""

import numpy as np
import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.nn import BatchNorm1d, Linear, Sequential
from tinygrad_lite.optim import ExponentialMovingAverage


def set_weights(model, value):
    for p in model.parameters():
        p.data[...] = value


@pytest.fixture
def model(device):
    model = Linear(2, 1).to(device)
    set_weights(model, 1.0)
    return model


def by_hand(values, decay):
    """The average of a number that was first values[0], then values[1], …"""
    average = values[0]
    for t, value in enumerate(values[1:]):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * value
    return average


def test_agrees_with_the_formula_over_20_updates(model, rng):
    values = [1.0, *rng.standard_normal(20)]
    average = ExponentialMovingAverage(model, decay=0.5)
    for value in values[1:]:
        set_weights(model, value)
        average.update()
    with average.applied():
        np.testing.assert_allclose(model.weight.numpy(), by_hand(values, 0.5), rtol=1e-5)


def test_the_first_update_keeps_a_tenth_of_the_beginning(model):
    average = ExponentialMovingAverage(model, decay=0.999)
    set_weights(model, 11.0)
    average.update()
    average.copy_to(model)
    np.testing.assert_allclose(model.weight.numpy(), 10.0, rtol=1e-6)


def test_weights_that_stay_are_their_own_average(model):
    average = ExponentialMovingAverage(model)
    for _ in range(3):
        average.update()
    with average.applied():
        assert model.weight.tolist() == [[1.0, 1.0]]


def test_the_model_has_its_own_weights_again_afterwards_also_after_an_error(model):
    average = ExponentialMovingAverage(model)
    set_weights(model, 3.0)
    own = model.weight.data
    with pytest.raises(AttributeError), average.applied():
        model.weight.no_such_method()
    assert model.weight.data is own
    assert model.weight.tolist() == [[3.0, 3.0]]
    with average.applied():
        assert model.weight.tolist() == [[1.0, 1.0]]


def test_a_graph_from_before_refuses_to_run_within_applied(model, device):
    loss = model(Tensor([[1.0, 2.0]], device=device, requires_grad=True)).sum()
    with ExponentialMovingAverage(model).applied(), pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


def test_buffers_are_not_averaged():
    model = Sequential(Linear(2, 2), BatchNorm1d(2))
    average = ExponentialMovingAverage(model)
    model(Tensor(np.array([[1.0, 2.0], [5.0, 6.0]], dtype="float32")))
    before = model[1].running_mean.tolist()
    with average.applied():
        assert model[1].running_mean.tolist() == before != [0.0, 0.0]


def test_copy_to_fills_another_model_of_the_same_make(model, device):
    average = ExponentialMovingAverage(model)
    other = Linear(2, 1).to(device)
    average.copy_to(other)
    assert other.weight.tolist() == [[1.0, 1.0]]
    assert other.weight.data is not average.averages["weight"]


def test_a_shared_parameter_is_averaged_once():
    model = Sequential(Linear(2, 2), Linear(2, 2))
    model[1].weight = model[0].weight
    average = ExponentialMovingAverage(model)
    set_weights(model, 0.5)
    average.update()
    expected = average.averages["0.weight"].tolist()
    average.copy_to(model)
    assert model[1].weight.tolist() == expected


def test_copy_to_a_model_of_another_make_is_refused():
    average = ExponentialMovingAverage(Linear(2, 1))
    differences = r"bias \(\(1,\) and None\), weight \(\(1, 2\) and \(1, 3\)\)"
    with pytest.raises(ValueError, match=rf"copy_to: the shapes here and there differ: {differences}"):
        average.copy_to(Linear(3, 1, bias=False))


def test_an_average_goes_on_from_a_state_as_if_never_stopped(model, device):
    average = ExponentialMovingAverage(model)
    set_weights(model, 2.0)
    average.update()
    resumed = ExponentialMovingAverage(Linear(2, 1).to(device))
    resumed.load_state_dict(average.state_dict())
    for each in (average, resumed):
        set_weights(each.model, 4.0)
        each.update()
    with average.applied(), resumed.applied():
        assert resumed.model.weight.tolist() == model.weight.tolist() != [[4.0, 4.0]]


def test_a_state_of_another_model_is_refused():
    state = ExponentialMovingAverage(Linear(3, 1)).state_dict()
    with pytest.raises(
        ValueError, match=r"load_state_dict: the shapes here and there differ: weight \(\(1, 2\)"
    ):
        ExponentialMovingAverage(Linear(2, 1)).load_state_dict(state)


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_outside_0_to_1_is_refused(decay):
    with pytest.raises(ValueError, match=f"ExponentialMovingAverage: decay must lie in 0 … 1; got {decay}"):
        ExponentialMovingAverage(Linear(2, 1), decay=decay)
