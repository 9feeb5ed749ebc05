"""Training by labels alone, and by a teacher: the loops that distillation compares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from techniques.distillation.losses import distillation_loss
from tinygrad_lite import Tensor, nn, no_grad
from tinygrad_lite.data import DataLoader
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.optim import AdamW, WarmupCosine
from tinygrad_lite.run import Run

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of (the student's outputs, the teacher's outputs, labels or targets)."""


def train_classifier(
    model: nn.Module,
    loader: DataLoader,
    *,
    folder: str | Path,
    epochs: int,
    lr: float = 5e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
    label: str = "classifier",
    resume: bool = False,
    progress: bool = True,
) -> None:
    """Train `model`, in place, by cross-entropy to labels: so learns a teacher, or a student without one.

    Args:
        model: a classifier, on the device where it is to learn.
        loader: gives (data, labels) as arrays; a sample whose label is UNLABELED teaches nothing, but
            each batch needs one that has a label.
        folder: of the run: its log and checkpoint.
        epochs: passes over the loader.
        lr: the highest learning rate of AdamW: it rises for a tenth of the steps, then falls along half a
            cosine wave.
        weight_decay: of AdamW.
        seed: of the draws in the steps, such as dropout's; the order of the data is the loader's.
        label: what the progress bar calls the run.
        resume: go on with the run in `folder`.
        progress: show a progress bar.

    Raises:
        RunError: for a folder that cannot be used, or holds a run with other settings.
    """
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * len(loader)
    schedule = WarmupCosine(optimizer, warmup=steps // 10, total=steps)
    run = Run(
        folder,
        state={"model": model, "optimizer": optimizer, "schedule": schedule},
        config={"lr": lr, "weight_decay": weight_decay},
        seed=seed,
        label=label,
        resume=resume,
        progress=progress,
    )
    device = next(model.parameters()).device
    model.train()
    with run:
        for _, batch in run.steps(loader, epochs):
            data, labels = (Tensor(array, device=device) for array in batch)
            loss = cross_entropy(model(data), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.log(loss=loss)


def distill(
    *,
    teacher: nn.Module,
    student: nn.Module,
    loader: DataLoader,
    folder: str | Path,
    epochs: int,
    loss_fn: Loss = distillation_loss,
    lr: float = 5e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
    label: str = "student",
    resume: bool = False,
    progress: bool = True,
) -> None:
    """Train `student`, in place, to answer as the teacher does, and by what labels there are.

    The teacher is put into eval mode, and nothing else of it changes: neither parameters nor statistics.

    Args:
        teacher: a trained model, on the student's device.
        student: a model with outputs of the same shape; it shares nothing with the teacher.
        loader: gives (data, labels) as arrays; with `distillation_loss`, labels may be UNLABELED.
        loss_fn: of (student's outputs, teacher's outputs, labels). For other options than the defaults
            `partial(distillation_loss, temperature=2.0, alpha=0.5)`; for regression, where the labels are
            targets of the shape of the outputs, `regression_distillation_loss`.
        folder: of the run: its log and checkpoint.
        epochs: passes over the loader.
        lr: the highest learning rate of AdamW; see `train_classifier`.
        weight_decay: of AdamW.
        seed: of the draws in the steps; the order of the data is the loader's.
        label: what the progress bar calls the run.
        resume: go on with the run in `folder`.
        progress: show a progress bar.

    Raises:
        ValueError: if teacher and student share parameters.
        RunError: for a folder that cannot be used, or holds a run with other settings.
    """
    if {id(p) for p in teacher.parameters()} & {id(p) for p in student.parameters()}:
        raise ValueError("distill: teacher and student share parameters, so the teacher would learn too")
    optimizer = AdamW(student.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * len(loader)
    schedule = WarmupCosine(optimizer, warmup=steps // 10, total=steps)
    run = Run(
        folder,
        state={"student": student, "optimizer": optimizer, "schedule": schedule},
        config={"lr": lr, "weight_decay": weight_decay, "loss": _written_out(loss_fn)},
        seed=seed,
        label=label,
        resume=resume,
        progress=progress,
    )
    device = next(student.parameters()).device
    teacher.eval()
    student.train()
    with run:
        for _, batch in run.steps(loader, epochs):
            data, labels = (Tensor(array, device=device) for array in batch)
            with no_grad():
                teacher_logits = teacher(data)
            student_logits = student(data)
            loss = loss_fn(student_logits, teacher_logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.log(loss=loss)


def _written_out(loss_fn: Loss) -> str:
    """The loss with its options, as the run's settings hold it: a run goes on with the same or not at all."""
    if isinstance(loss_fn, partial):
        options = ", ".join(f"{name}={value!r}" for name, value in loss_fn.keywords.items())
        return f"{_written_out(loss_fn.func)}({options})"
    return getattr(loss_fn, "__name__", type(loss_fn).__name__)
