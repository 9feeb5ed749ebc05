"""The losses of distillation: known values, limits, invariances, a second implementation, messages.

Their gradients are checked to second order by tests/checking, on the cases in tests/techniques/cases.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from techniques.distillation.losses import UNLABELED, distillation_loss, regression_distillation_loss
from tinygrad_lite import Tensor, grad

LABELS = np.array([2, UNLABELED, 0, 3])


@pytest.fixture
def logits(rng):
    """Student's and teacher's, (4, 5)."""
    return Tensor(rng.standard_normal((4, 5))), 2 * rng.standard_normal((4, 5))


def value(s, t, labels=LABELS, temperature=3.0, alpha=0.7):
    return distillation_loss(Tensor(np.asarray(s)), np.asarray(t), labels, temperature, alpha).item()


def gradient(s, t, labels=LABELS, temperature=3.0, alpha=0.7):
    s = Tensor(np.asarray(s), requires_grad=True)
    (ds,) = grad(distillation_loss(s, np.asarray(t), labels, temperature, alpha), s)
    return ds.numpy()


def probabilities(z, temperature=1.0):
    """A softmax of one row, number by number."""
    terms = [math.exp((float(x) - max(z)) / temperature) for x in z]
    return [term / sum(terms) for term in terms]


def cross_entropies(s, labels):
    """−log of the probability of its label, for each sample that has one."""
    return [-math.log(probabilities(row)[k]) for row, k in zip(s, labels, strict=True) if k != UNLABELED]


def by_loops(s, t, labels, temperature, alpha):
    """Hinton's objective as his text has it, sample by sample and class by class."""
    soft = 0.0
    for row, teachers in zip(s, t, strict=True):
        pairs = zip(probabilities(teachers, temperature), probabilities(row, temperature), strict=True)
        soft += sum(p * math.log(p / q) for p, q in pairs)
    hard = cross_entropies(s, labels)
    return alpha * temperature**2 * soft / len(s) + (1 - alpha) * sum(hard) / max(len(hard), 1)


# -- known values --------------------------------------------------------------------------------------


def test_two_classes_by_hand():
    t = [[0.0, math.log(3)]]  # p = 1/4, 3/4 and q = 1/2, 1/2
    divergence = 1 / 4 * math.log(1 / 2) + 3 / 4 * math.log(3 / 2)
    loss = value([[0.0, 0.0]], t, np.array([0]), temperature=1.0, alpha=0.25)
    assert loss == pytest.approx(0.25 * divergence + 0.75 * math.log(2))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0.5, 10), st.floats(0, 1), st.integers(0, 99))
def test_agrees_with_loops_over_samples_and_classes(n, classes, temperature, alpha, seed):
    rng = np.random.default_rng(seed)
    s, t = rng.standard_normal((2, n, classes)) * 2
    labels = rng.integers(-1, classes, n)
    labels[labels < 0] = UNLABELED
    expected = by_loops(s, t, labels, temperature, alpha)
    assert value(s, t, labels, temperature, alpha) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_equal_logits_leave_the_cross_entropy_times_one_minus_alpha(logits):
    s, _ = logits
    expected = 0.3 * np.mean(cross_entropies(s.numpy(), LABELS))
    assert distillation_loss(s, s.numpy(), LABELS, 3.0, 0.7).item() == pytest.approx(expected)


def test_at_alpha_0_the_teacher_and_the_temperature_do_not_matter(logits):
    s, t = logits
    expected = np.mean(cross_entropies(s.numpy(), LABELS))
    assert value(s, t, alpha=0, temperature=2) == pytest.approx(expected)
    assert value(s, 5 - 3 * t, alpha=0, temperature=9) == pytest.approx(expected)


def test_at_alpha_1_the_labels_do_not_matter(logits):
    s, t = logits
    others = np.array([UNLABELED, 4, 4, 1])
    assert value(s, t, LABELS, alpha=1) == value(s, t, others, alpha=1)
    np.testing.assert_array_equal(gradient(s, t, LABELS, alpha=1), gradient(s, t, others, alpha=1))


def test_the_temperature_divides_both_logits_and_its_square_multiplies(logits):
    s, t = logits
    at_one = value(s.numpy() / 4, t / 4, temperature=1, alpha=1)
    assert value(s, t, temperature=4, alpha=1) == pytest.approx(16 * at_one)


def test_at_a_high_temperature_it_is_half_the_variance_of_the_difference_of_logits(logits):
    s, t = logits
    expected = np.mean(np.var(t - s.numpy(), axis=1)) / 2
    assert value(s, t, temperature=1e4, alpha=1) == pytest.approx(expected, rel=1e-3)


def test_at_a_high_temperature_its_gradient_matches_logits(logits):
    s, t = logits
    difference = s.numpy() - t  # Hinton's equation (4), after the mean has been taken off
    expected = (difference - difference.mean(axis=1, keepdims=True)) / s.shape[1] / len(s)
    np.testing.assert_allclose(gradient(s, t, temperature=1e5, alpha=1), expected, rtol=1e-3, atol=1e-6)


def test_without_any_label_the_second_term_is_nothing(logits):
    s, t = logits
    nobody = np.full(4, UNLABELED)
    assert value(s, t, nobody, alpha=0) == 0
    assert value(s, t, nobody, alpha=0.25) == pytest.approx(value(s, t, nobody, alpha=1) / 4)


def test_defaults_are_temperature_4_and_alpha_9_tenths(logits):
    s, t = logits
    assert distillation_loss(s, t, LABELS).item() == value(s, t, temperature=4.0, alpha=0.9)


# -- invariances ---------------------------------------------------------------------------------------


def test_renaming_the_classes_changes_nothing(logits):
    s, t = logits
    order = np.array([3, 0, 4, 2, 1])  # new class k is the old class order[k]
    renamed = np.array([np.flatnonzero(order == k)[0] if k != UNLABELED else UNLABELED for k in LABELS])
    assert value(s.numpy()[:, order], t[:, order], renamed) == pytest.approx(value(s, t))


def test_the_order_of_samples_does_not_matter(logits):
    s, t = logits
    order = np.array([2, 0, 3, 1])
    assert value(s.numpy()[order], t[order], LABELS[order]) == pytest.approx(value(s, t))


@pytest.mark.parametrize("whose", [0, 1], ids=["student", "teacher"])
def test_an_offset_to_all_logits_of_a_sample_changes_nothing(logits, whose):
    moved = [np.asarray(logits[0].numpy()), logits[1]]
    moved[whose] = moved[whose] + np.array([[3.0], [-50.0], [0.5], [100.0]])
    assert value(*moved) == pytest.approx(value(*logits))


def test_every_row_of_the_gradient_sums_to_0(logits):
    np.testing.assert_allclose(gradient(*logits).sum(axis=1), 0, atol=1e-15)


def test_it_is_a_mean_over_samples(logits):
    s, t = logits
    twice = value(np.tile(s.numpy(), (2, 1)), np.tile(t, (2, 1)), np.tile(LABELS, 2))
    assert twice == pytest.approx(value(s, t))


def test_samples_without_a_label_do_not_thin_out_the_cross_entropy_of_the_others(logits):
    s, t = logits
    labeled = LABELS != UNLABELED
    few = value(s.numpy()[labeled], t[labeled], LABELS[labeled], alpha=0)
    assert value(s, t, alpha=0) == pytest.approx(few)


def test_a_sample_without_a_label_is_taught_by_the_teacher_alone(logits):
    s, t = logits
    q, p = (np.array(probabilities(row[1], 3.0)) for row in (s.numpy(), t))
    np.testing.assert_allclose(gradient(s, t)[1], 0.7 * 3.0 * (q - p) / 4, rtol=1e-12)


def test_swapping_teacher_and_student_changes_the_loss(logits):
    s, t = logits
    assert abs(value(s, t, alpha=1) - value(t, s.numpy(), alpha=1)) > 0.01


# -- what goes in and comes out ------------------------------------------------------------------------


def test_the_teacher_gets_no_gradient(logits):
    s, t = logits
    s, t = s.requires_grad_(), Tensor(t)
    distillation_loss(s, t, LABELS).backward()
    assert t.grad is None
    assert s.grad is not None


def test_labels_may_be_a_list_an_array_or_a_tensor(logits):
    s, t = logits
    values = {distillation_loss(s, t, labels).item() for labels in (LABELS, LABELS.tolist(), Tensor(LABELS))}
    assert len(values) == 1


def test_labels_may_be_an_array_on_the_gpu(logits, cuda):
    s, t = (Tensor(np.asarray(z.numpy() if isinstance(z, Tensor) else z), device=cuda) for z in logits)
    labels = Tensor(LABELS, device=cuda).data
    assert distillation_loss(s, t.data, labels).item() == pytest.approx(value(*logits, LABELS, 4.0, 0.9))


def test_logits_of_any_size_give_a_finite_loss():
    s, t = np.array([[1e4, 0, -1e4]]), np.array([[-1e4, 1e4, 0]])
    assert value(s, t, np.array([2]), temperature=0.1) == pytest.approx(0.7 * 0.01 * 1e5 + 0.3 * 2e4)


# -- messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("teacher", "labels", "got"),
    [
        ((4, 1), 4, r"\(4, 5\), \(4, 1\) and \(4,\)"),
        ((1, 5), 4, r"\(4, 5\), \(1, 5\) and \(4,\)"),
        ((4, 5), 1, r"\(4, 5\), \(4, 5\) and \(1,\)"),
    ],
)
def test_nothing_is_broadcast(teacher, labels, got):
    message = (
        rf"distillation_loss: needs student and teacher logits \(N, classes\) and labels \(N,\); got {got}"
    )
    with pytest.raises(ValueError, match=message):
        distillation_loss(Tensor(np.zeros((4, 5))), np.zeros(teacher), np.zeros(labels, int))


@pytest.mark.parametrize("shape", [(5,), (4, 5, 2)])
def test_logits_that_are_no_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"distillation_loss: needs .*; got \(.*, .*\) and"):
        distillation_loss(Tensor(np.zeros(shape)), np.zeros(shape), np.zeros(shape[:1], int))


@pytest.mark.parametrize("temperature", [0, -1.5])
def test_a_temperature_of_0_or_below_is_refused(logits, temperature):
    with pytest.raises(
        ValueError, match=f"distillation_loss: temperature must be positive; got {temperature}"
    ):
        value(*logits, temperature=temperature)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_an_alpha_outside_0_to_1_is_refused_by_both_losses(logits, alpha):
    with pytest.raises(ValueError, match=rf"^distillation_loss: alpha must lie in \[0, 1\]; got {alpha}"):
        value(*logits, alpha=alpha)
    s, t = logits
    with pytest.raises(ValueError, match=rf"regression_distillation_loss: alpha must lie .* got {alpha}"):
        regression_distillation_loss(s, t, t, alpha)


@pytest.mark.parametrize("label", [5, -1, -99])
def test_a_label_that_is_no_class_is_refused_by_its_value(logits, label):
    with pytest.raises(IndexError, match=rf"distillation_loss: label {label} is not one of 0 … 4, nor -100"):
        value(*logits, labels=np.array([2, UNLABELED, label, 3]))


def test_no_gradient_flows_back_to_a_teacher_that_could_take_one():
    s, t = (Tensor(np.ones((4, 5)), requires_grad=True) for _ in range(2))
    (distillation_loss(s, t, LABELS) + regression_distillation_loss(s, t, t)).backward()
    assert s.grad is not None
    assert t.grad is None


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(IndexError, match="distillation_loss: labels must be integers; got dtype float64"):
        value(np.ones((2, 3)), np.ones((2, 3)), np.array([0.5, 1.0]))


def test_a_batch_without_samples_is_refused_by_both_losses():
    empty = Tensor(np.ones((0, 3)))
    with pytest.raises(
        ValueError, match=r"^distillation_loss: needs at least one sample .* got shape \(0, 3\)"
    ):
        distillation_loss(empty, empty, np.zeros(0, dtype=int))
    with pytest.raises(ValueError, match=r"^regression_distillation_loss: needs at least one sample"):
        regression_distillation_loss(empty, empty, empty)


# -- regression ----------------------------------------------------------------------------------------


def test_regression_by_hand():
    s, t, y = (Tensor(np.array(x)) for x in ([[1.0, 2.0]], [[3.0, 2.0]], [[1.0, -1.0]]))
    assert regression_distillation_loss(s, t, y, 0.25).item() == pytest.approx(0.25 * 2 + 0.75 * 4.5)


def test_regression_weighs_teacher_and_targets_alike_by_default(logits):
    s, t = logits
    assert regression_distillation_loss(s, t, 0 * t).item() == pytest.approx(
        (np.mean((s.numpy() - t) ** 2) + np.mean(s.numpy() ** 2)) / 2
    )


def test_the_gradient_of_regression_is_that_of_the_squared_error_to_the_mixture(logits, rng):
    s, t = logits
    y = rng.standard_normal(t.shape)
    (ds,) = grad(regression_distillation_loss(s.requires_grad_(), t, y, 0.3), s)
    mixture = 0.3 * t + 0.7 * y
    np.testing.assert_allclose(ds.numpy(), 2 * (s.numpy() - mixture) / mixture.size)


def test_in_regression_the_targets_and_the_teacher_may_not_be_exchanged(logits):
    s, t = logits
    y = 0 * t
    loss, exchanged = regression_distillation_loss(s, t, y, 0.3), regression_distillation_loss(s, y, t, 0.3)
    assert abs(loss.item() - exchanged.item()) > 0.1


def test_regression_does_not_broadcast():
    got = r"\[\(3, 1\), \(3, 1\), \(3,\)\]"
    with pytest.raises(
        ValueError, match=f"regression_distillation_loss: needs three equal shapes; got {got}"
    ):
        regression_distillation_loss(Tensor(np.zeros((3, 1))), np.zeros((3, 1)), np.zeros(3))
