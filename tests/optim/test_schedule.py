"""Schedules: their known values."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite import Tensor
from tinygrad_lite.optim import SGD, CosineAnnealingLR, LambdaLR, LRScheduler, WarmupCosine


def optimizer_with(*rates):
    return SGD([{"params": Tensor([1.0], requires_grad=True), "lr": rate} for rate in rates])


def rates(schedule, steps):
    """The rates of the first group at steps 0 … steps−1."""
    seen = []
    for _ in range(steps):
        seen.append(schedule.get_last_lr()[0])
        schedule.step()
    return seen


def test_lambda_multiplies_the_base_rate_of_each_group():
    optimizer = optimizer_with(1.0, 10.0)
    schedule = LambdaLR(optimizer, lambda t: 0.5**t)
    schedule.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 2.5]


def test_the_rate_of_step_0_is_set_at_once():
    optimizer = optimizer_with(4.0)
    LambdaLR(optimizer, lambda t: 0.5)
    assert optimizer.param_groups[0]["lr"] == 2.0


def test_cosine_annealing_is_at_base_half_way_and_the_minimum_where_it_should_be():
    seen = rates(CosineAnnealingLR(optimizer_with(1.0), T_max=10, eta_min=0.2), 11)
    assert (seen[0], seen[5], seen[10]) == (1.0, pytest.approx(0.6), pytest.approx(0.2))


def test_warmup_is_a_line_that_starts_above_0_and_ends_at_base():
    seen = rates(WarmupCosine(optimizer_with(1.0), warmup=4, total=10), 5)
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_after_the_warmup_comes_half_a_cosine_wave():
    seen = rates(WarmupCosine(optimizer_with(2.0), warmup=4, total=10, final=0.1), 11)[4:]
    expected = [0.2 + 1.8 * (1 + math.cos(math.pi * k / 6)) / 2 for k in range(7)]
    assert seen == pytest.approx(expected)
    assert seen[-1] == pytest.approx(0.2)


def test_after_the_total_the_rate_stays_at_the_final_one():
    seen = rates(WarmupCosine(optimizer_with(1.0), warmup=1, total=3, final=0.1), 6)
    assert seen[3:] == pytest.approx([0.1, 0.1, 0.1])


@settings(deadline=None, max_examples=30)
@given(warmup=st.integers(0, 8), rest=st.integers(1, 8), final=st.floats(0, 1))
def test_the_rate_goes_up_then_down_and_stays_between_the_final_one_and_base(warmup, rest, final):
    seen = rates(WarmupCosine(optimizer_with(1.0), warmup, warmup + rest, final), warmup + rest + 1)
    assert seen[: warmup + 1] == sorted(seen[: warmup + 1])
    assert seen[warmup:] == sorted(seen[warmup:], reverse=True)
    assert max(seen) == seen[warmup] == 1.0
    assert seen[-1] == pytest.approx(final)


def test_a_schedule_that_was_resumed_goes_on_as_if_never_stopped():
    schedule = WarmupCosine(optimizer_with(0.3), warmup=2, total=9)
    rates(schedule, 5)
    late = optimizer_with(0.3)
    late.load_state_dict(schedule.optimizer.state_dict())  # brings the rate of step 5, which is not the base
    resumed = WarmupCosine(late, warmup=2, total=9)
    resumed.load_state_dict(schedule.state_dict())
    assert rates(resumed, 4) == rates(schedule, 4)


def test_a_state_of_another_number_of_groups_is_refused():
    state = LambdaLR(optimizer_with(1.0, 2.0), lambda t: 1.0).state_dict()
    with pytest.raises(ValueError, match="LambdaLR: the state has 2 groups; the optimizer has 1"):
        LambdaLR(optimizer_with(1.0), lambda t: 1.0).load_state_dict(state)


@pytest.mark.parametrize(("warmup", "total"), [(-1, 5), (5, 5), (0, 0)])
def test_a_warmup_that_does_not_fit_into_the_total_is_refused(warmup, total):
    with pytest.raises(ValueError, match=f"needs 0 ≤ warmup < total; got warmup {warmup}, total {total}"):
        WarmupCosine(optimizer_with(1.0), warmup, total)


def test_cosine_annealing_over_no_steps_is_refused():
    with pytest.raises(ValueError, match="CosineAnnealingLR: T_max must be at least 1; got 0"):
        CosineAnnealingLR(optimizer_with(1.0), T_max=0)


def test_a_schedule_without_a_rate_says_what_it_needs():
    with pytest.raises(NotImplementedError, match=r"LRScheduler needs a method rate\(base, t\)"):
        LRScheduler(optimizer_with(1.0))
