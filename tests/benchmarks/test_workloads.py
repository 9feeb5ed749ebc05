"""The workloads themselves, where they are small enough for a test."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import ours
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.parts import Shape, conv_backward, conv_forward
from benchmarks.workloads.workload import integers, normal, starting_weight

SMALL = ("mlp", "distill", "overhead", "ntxent-512")


def test_every_name_stands_for_one_workload():
    assert [name for name, n in Counter(w.name for w in WORKLOADS).items() if n > 1] == []


@pytest.mark.parametrize("name", SMALL)
def test_two_jobs_begin_with_the_same_checks_and_they_are_finite(name):
    workload = next(w for w in WORKLOADS if w.name == name)
    one, other = (workload.build(ours, workload.draw()) for _ in range(2))
    checks = one.checks(one.step())
    assert np.isfinite(checks).all()
    assert checks == other.checks(other.step())


def test_an_mlp_step_has_three_times_the_products_of_its_forward_pass():
    workload = next(w for w in WORKLOADS if w.name == "mlp")
    job = workload.build(ours, workload.draw())
    assert job.multiply_adds == 3 * 128 * (784 * 256 + 256 * 128 + 128 * 10)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 3, 3, 5, batch=2, padding=1),
        Shape(4, 4, 3, 6, batch=2, stride=2, padding=1, groups=4),
        Shape(1, 2, 5, 7, batch=1, is_first=True),
    ],
)
def test_a_convolution_has_the_products_of_its_shape(shape):
    data = shape.draw()
    (y,) = [conv_forward(ours, data, shape).step()]
    each = shape.channels // shape.groups * shape.kernel**2
    assert shape.multiply_adds == y.numel() * each
    gradients = conv_backward(ours, data, shape).step()
    assert len(gradients) == (1 if shape.is_first else 2)


def test_draws_depend_on_their_key_alone():
    assert (normal(3, 2, key="a") == normal(3, 2, key="a")).all()
    assert (normal(3, 2, key="a") != normal(3, 2, key="b")).all()
    assert (integers(9, 5) == integers(9, 5)).all()


def test_weights_have_the_variance_of_their_fan_in_and_scales_lie_around_1():
    assert starting_weight("0.weight", (200, 50)).var() == pytest.approx(2 / 50, rel=0.05)
    assert starting_weight("0.weight", (500,)).mean() == pytest.approx(1, abs=0.02)
    assert starting_weight("0.bias", (500,)).mean() == pytest.approx(0, abs=0.02)
    assert starting_weight("0.weight", (500,)).dtype == np.float32
