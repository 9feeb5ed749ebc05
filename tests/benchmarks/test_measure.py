"""The sides in their processes, and what a comparison of them says."""

import math

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.measure import Comparison, DisagreementError, Side, SideError, check_agreement, compare
from benchmarks.side import Worker
from tests.benchmarks.tiny import TINY

OURS, WRONG = "benchmarks.ours", "tests.benchmarks.tiny"


def test_a_library_against_itself_agrees_and_takes_as_long():
    with Side(OURS, 1) as one, Side(OURS, 1) as other:
        result = compare(TINY, one, other, turns=3, cpu_time=True)
    assert (result.workload, result.multiply_adds, len(result.ratios)) == ("tiny", 12, 3)
    assert 1 / 3 < result.ratio < 3
    assert 0 < result.ours < 0.01


def test_sides_that_disagree_are_not_timed():
    with (
        Side(OURS, 1) as ours,
        Side(WRONG, 1) as theirs,
        pytest.raises(DisagreementError, match=r"tiny: the sides disagree, and are not timed: \d.* and \d"),
    ):
        compare(TINY, ours, theirs, turns=3, cpu_time=True)


def test_a_process_that_ends_too_early_is_told_by_name():
    with (
        Side("benchmarks.nothing", 1) as side,
        pytest.raises(SideError, match=r"nothing: .* ended at 'about'"),
    ):
        side.ask("about")


@pytest.mark.parametrize("theirs", [[1.0, 2.01], [1.0, math.nan], [1.0], [1.0, math.inf]])
def test_checks_that_differ_are_refused(theirs):
    with pytest.raises(DisagreementError, match="tiny: the sides disagree"):
        check_agreement(TINY, [1.0, 2.0], theirs)


def test_checks_may_differ_by_rounding():
    check_agreement(TINY, [1.0, 2.0], [1.0001, 1.9999])


def test_checks_that_are_not_finite_on_both_sides_are_refused():
    with pytest.raises(DisagreementError, match="nan and nan"):
        check_agreement(TINY, [math.nan], [math.nan])


def test_the_ratio_is_the_median_and_the_spread_the_middle_half():
    result = Comparison("tiny", 1.0, 1.0, [5.0, 1.0, 2.0, 3.0, 4.0], None, None, 0, None)
    assert result.ratio == 3
    assert result.spread == (2, 4)


def test_sides_start_without_the_pins_and_with_their_threads(monkeypatch):
    for pin in machine.PINS:
        monkeypatch.setenv(pin, "Haswell")
    found = machine.environment(2)
    assert not found.keys() & set(machine.PINS)
    assert found["OPENBLAS_NUM_THREADS"] == found["OMP_NUM_THREADS"] == "2"


@pytest.fixture
def worker():
    """A side's worker in this process."""
    worker = Worker(OURS, 1)
    worker.build(TINY, TINY.draw())
    return worker


def test_the_first_call_of_a_turn_is_thrown_away(worker):
    calls = []
    worker.job = worker.job.__class__(lambda: calls.append(1), worker.job.checks)
    assert len(worker.turn(3, cpu_time=False).seconds) == 3
    assert len(calls) == 4


def test_work_before_build_is_refused():
    with pytest.raises(RuntimeError, match="asked for work before build"):
        Worker(OURS, 1).turn(1, cpu_time=False)


def test_the_peak_holds_what_was_freed_since(worker):
    before = worker.peak()
    if before is not None:  # where the system tells
        np.ones(20_000_000).sum()  # so many that no memory kept from before holds them
        assert worker.peak() >= before + 150e6


def test_a_profile_names_the_operations(worker):
    lines = worker.profile().splitlines()
    assert {"Mul", "Sum"} <= {line.split()[0] for line in lines}
