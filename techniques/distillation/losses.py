"""The losses of distillation, each explicit: its value, its gradient, and where they come from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lite import Function, Tensor, exp, log_softmax, mean, softmax, sum, to
from tinygrad_lite.backend import to_numpy

UNLABELED = -100  # the label of a sample that has none: the teacher alone teaches it


class Distillation(Function):
    """Hinton's loss: the student imitates the teacher's softened outputs, and learns the labels.

    Shapes:    s, t (N, classes) → a scalar.
    Value:     p = softmax(t/T), q = softmax(s/T), r = softmax(s), for teacher logits t and student logits s;
               L = α·T²·Σᵢₖ pᵢₖ·(log pᵢₖ − log qᵢₖ)/N − (1−α)·Σᵢₖ Yᵢₖ·log rᵢₖ/M,
               Y the labels one-hot, a row of zeros for each sample without one; M samples have one.
    Gradient:  ∂L/∂s = α·T·(q − p)/N + (1−α)·(r − Y)/M, the second term only in rows with a label;
               none to the teacher, which is frozen.
    Numerics:  logarithms are those of log_softmax, so nothing overflows and none is of 0. T² makes up for
               the 1/T² by which softened outputs shrink the gradient. M is 1 where no sample has a label.
    Known:     equal logits leave (1−α) times the cross-entropy; at α = 0 the teacher does not matter.
    Source:    Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2.
    """

    private = ("p", "q", "r")

    def __init__(self, labels: np.ndarray, temperature: float, alpha: float) -> None:
        self.labels, self.T, self.alpha = labels, temperature, alpha
        self.M = max(int(np.count_nonzero(labels != UNLABELED)), 1)

    def forward(self, s, t):
        labels = self.xp.asarray(self.labels)[:, None]
        self.Y, self.labeled = labels == self.xp.arange(s.shape[1]), labels != UNLABELED
        logits = self.xp.stack([t / self.T, s / self.T, s])  # three softmaxes in one call
        logs = log_softmax(logits, 2)
        log_p, log_q, log_r = logs[0], logs[1], logs[2]
        probabilities = exp(logs)
        self.p, self.q, self.r = probabilities[0], probabilities[1], probabilities[2]
        soft = self.alpha * self.T**2 / s.shape[0] * self.p * (log_p - log_q)
        hard = (self.alpha - 1) / self.M * log_r * self.Y
        return sum(soft + hard)

    def backward(self, grad, s, t):
        p, q, r = softmax(t / self.T, 1), softmax(s / self.T, 1), softmax(s, 1)
        return self.gradients(grad, p, q, r), None

    def backward_fused(self, grad):
        return self.gradients(grad, self.p, self.q, self.r), None

    def gradients(self, grad, p, q, r):
        """∂L/∂s by the formula."""
        soft = self.alpha * self.T / len(self.labels) * (q - p)
        hard = (1 - self.alpha) / self.M * (r * self.labeled - self.Y)
        return grad * (soft + hard)


def distillation_loss(
    student_logits: Tensor, teacher_logits: Any, labels: Any, temperature: float = 4.0, alpha: float = 0.9
) -> Tensor:
    """α·T²·KL(teacher ‖ student) at temperature T, plus (1−α)·cross-entropy; each a mean over samples.

    Args:
        student_logits: (N, classes).
        teacher_logits: (N, classes), from `teacher.eval()`, best under `no_grad()`: no gradient flows back.
        labels: (N,) integers; UNLABELED (−100) for a sample without one, which only the first term counts.
        temperature: T > 0; high ones show more of what the teacher thinks of the wrong classes.
        alpha: the share of the first term, from 0 to 1.

    Raises:
        ValueError: for shapes that differ, no samples, T ≤ 0, α outside [0, 1].
        IndexError: for a label that is no integer, or no class.
    """
    shape, labels = tuple(student_logits.shape), _host_labels(labels)
    if len(shape) != 2 or tuple(teacher_logits.shape) != shape or labels.shape != shape[:1]:
        raise ValueError(
            "distillation_loss: needs student and teacher logits (N, classes) and labels (N,); got "
            f"{shape}, {tuple(teacher_logits.shape)} and {labels.shape}"
        )
    _check("distillation_loss", shape, alpha)
    if not temperature > 0:
        raise ValueError(f"distillation_loss: temperature must be positive; got {temperature}")
    if labels.dtype.kind not in "iu":
        raise IndexError(f"distillation_loss: labels must be integers; got dtype {labels.dtype}")
    wrong = labels[(labels != UNLABELED) & ((labels < 0) | (labels >= shape[1]))]
    if wrong.size:
        raise IndexError(
            f"distillation_loss: label {wrong[0]} is not one of 0 … {shape[1] - 1}, nor {UNLABELED}"
        )
    teacher = _frozen(teacher_logits, student_logits)
    return Distillation(labels, temperature, alpha)(student_logits, teacher)


def _host_labels(labels: Any) -> np.ndarray:
    return to_numpy(labels.data if isinstance(labels, Tensor) else labels)


def _frozen(teacher: Any, student: Tensor) -> Any:
    """The teacher's outputs as constants, in the dtype of the student's."""
    return to(teacher.detach() if isinstance(teacher, Tensor) else teacher, student.dtype)


def _check(name: str, shape: tuple[int, ...], alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name}: alpha must lie in [0, 1]; got {alpha}")
    if 0 in shape:
        raise ValueError(f"{name}: needs at least one sample and one output; got shape {shape}")


class RegressionDistillation(Function):
    """The student imitates the teacher's outputs, and learns the targets, both by squared error.

    Shapes:    three times the same → a scalar.
    Value:     L = α·Σ(s − t)²/n + (1−α)·Σ(s − y)²/n over all n numbers of the student's outputs s,
               the teacher's t and the targets y.
    Gradient:  ∂L/∂s = 2·(α·(s − t) + (1−α)·(s − y))/n; none to the teacher and the targets.
    Known:     the gradient is that of the squared error to the mixture α·t + (1−α)·y.
    Source:    Ba & Caruana 2013, arXiv:1312.6184, equation (1), for the first term.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def forward(self, s, t, y):
        return self.alpha * mean((s - t) ** 2) + (1 - self.alpha) * mean((s - y) ** 2)

    def backward(self, grad, s, t, y):
        n = math.prod(s.shape)
        return grad * 2 * (self.alpha * (s - t) + (1 - self.alpha) * (s - y)) / n, None, None


def regression_distillation_loss(student: Tensor, teacher: Any, targets: Any, alpha: float = 0.5) -> Tensor:
    """α times the mean squared error to the teacher's outputs, plus (1−α) times that to the targets.

    Args:
        student: the student's outputs, any shape.
        teacher: the teacher's, of the same shape; no gradient flows back to it.
        targets: the true values, of the same shape.
        alpha: the teacher's share, from 0 to 1.

    Raises:
        ValueError: for shapes that differ, nothing in them, or α outside [0, 1].
    """
    shapes = [tuple(x.shape) for x in (student, teacher, targets)]
    if len(set(shapes)) > 1:
        raise ValueError(f"regression_distillation_loss: needs three equal shapes; got {shapes}")
    _check("regression_distillation_loss", shapes[0], alpha)
    return RegressionDistillation(alpha)(student, _frozen(teacher, student), _frozen(targets, student))
