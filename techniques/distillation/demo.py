"""Distillation on the bundled digits: a student with ten labels a class, alone and with a teacher's help.

The teacher, a convolutional network, learns from all 1,437 labels. The student, a small perceptron, has the
labels of 100 pictures. Alone it learns from these; distilled it learns from all pictures, 1,337 of which have
nothing but the teacher's answer. The weights it begins with, the optimizer, the schedule, the number of steps
and of pictures in each are the same either way, and no picture is augmented.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from techniques.distillation.losses import UNLABELED
from techniques.distillation.train import distill, train_classifier
from techniques.distillation.use import cost, predict, save_student
from techniques.models import CNN, MLP
from techniques.report import Result
from tinygrad_lite import Tensor, cat, manual_seed, nn, viz
from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.run import read_log

EPOCHS, TEACHER_EPOCHS = 30, 12
PER_CLASS = 10  # labels that a student has

CAPTIONS = {
    "teacher": "teacher, all labels",
    "alone": f"student alone, {PER_CLASS} labels a class",
    "distilled": "student distilled, the same labels",
    "shuffled": "student distilled, shuffled answers",
}


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
) -> Result:
    """Train a teacher and three students; measure their errors on the test part, and what a student saves.

    Args:
        out: folder for everything the run makes.
        seed: the same seed gives the same numbers.
        epochs: the students' passes over the training part, by default EPOCHS; the teacher always takes
            TEACHER_EPOCHS.
        device: "cpu", "cuda" or "cuda:1".
        resume: go on from the last checkpoints in `out`.
        progress: show progress bars.

    Raises:
        RunError: for a folder that cannot be used.
    """
    began = time.perf_counter()
    epochs = EPOCHS if epochs is None else epochs
    options: dict[str, Any] = {"seed": seed, "resume": resume, "progress": progress}
    teacher, teacher_error = train_teacher(out / "teacher", epochs=TEACHER_EPOCHS, device=device, **options)

    (images, all_labels), _ = digits()
    labels = few_labels(all_labels, PER_CLASS, seed)
    few = np.resize(np.flatnonzero(labels != UNLABELED), len(labels))  # over and over: as many as all
    alone = new_student(seed).to(device)
    loader = batches(images[few], labels[few], 32, seed)
    train_classifier(alone, loader, folder=out / "alone", epochs=epochs, label="alone", **options)

    errors = {"teacher": teacher_error, "alone": test_error(alone)}
    for name, its_teacher in (("shuffled", ShuffledTeacher(teacher)), ("distilled", teacher)):
        student = new_student(seed).to(device)
        distill(
            teacher=its_teacher,
            student=student,
            loader=batches(images, labels, 32, seed),
            folder=out / name,
            epochs=epochs,
            label=name,
            **options,
        )
        errors[name] = test_error(student)

    return Result(
        "distillation",
        story="A small student has 10 labels a class. Distilled, it also learns from a large teacher's "
        "answers to all training pictures; the fewer errors on the test part, the better. Shuffled answers "
        "are the teacher's to other pictures: a control, by which nothing should be gained.",
        rows=[(f"error: {CAPTIONS[who]}", f"{errors[who]:.1%}") for who in CAPTIONS]
        + savings(out, teacher=teacher, student=student),
        figures={f"{who}_error": errors[who] for who in CAPTIONS},
        pictures=draw_pictures(out, errors),
        seconds=time.perf_counter() - began,
    )


# -- teachers and students -------------------------------------------------------------------------------


def train_teacher(
    folder: Path,
    *,
    seed: int = 0,
    epochs: int = TEACHER_EPOCHS,
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
) -> tuple[CNN, float]:
    """A CNN that has learned from all labels, and its error on the test part.

    With `resume`, a run in `folder` is continued, or read if it is finished; see `run_demo` for the rest.
    """
    manual_seed(seed, "teacher")
    teacher = CNN(widths=(32, 64)).to(device)
    train_classifier(
        teacher,
        batches(*digits()[0], 64, seed),
        folder=folder,
        epochs=epochs,
        seed=seed,
        label="teacher",
        resume=resume,
        progress=progress,
    )
    return teacher, test_error(teacher)


class ShuffledTeacher(nn.Module):
    """A teacher whose answers go astray: each picture gets the answer to the next one in its batch.

    All in all the answers are the same, and as soft. So what a student loses by them, it owed to their being
    the answers to its pictures.
    """

    def __init__(self, teacher: nn.Module) -> None:
        self.teacher = teacher

    def forward(self, data: Tensor) -> Tensor:
        """The teacher's logits (N, classes), row i + 1 in row i, and the first in the last."""
        logits = self.teacher(data)
        return cat([logits[1:], logits[:1]])


def new_student(seed: int) -> MLP:
    """A small perceptron, the same for the same seed."""
    manual_seed(seed, "student")
    return MLP(64, 64, 10)


def few_labels(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """`labels` with `per_class` of each class left, drawn at random, and UNLABELED in place of the others."""
    rng = keyed_rng(seed, "few labels")
    few = np.full_like(labels, UNLABELED)
    for k in np.unique(labels):
        few[rng.permutation(np.flatnonzero(labels == k))[:per_class]] = k
    return few


def batches(images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int) -> DataLoader:
    """Full batches, in a new order in each epoch."""
    return DataLoader(TensorDataset(images, labels), batch_size, shuffle=True, seed=seed, drop_last=True)


# -- what came out ---------------------------------------------------------------------------------------


def test_error(model: nn.Module) -> float:
    """The share of the test part that `model` takes for another class."""
    _, (images, labels) = digits()
    return float(np.mean(predict(model, images) != labels))


def savings(out: Path, *, teacher: nn.Module, student: nn.Module) -> list[tuple[str, str]]:
    """Rows for the table: what one prediction takes of either; the student is written to `out`."""
    size = save_student(out / "student.safetensors", student)
    sample = digits()[1].images[:1]
    large, small = cost(teacher, sample), cost(student, sample)
    return [
        ("parameters, teacher and student", f"{large.parameters:,} and {small.parameters:,}"),
        ("multiply-adds a picture", f"{large.multiply_adds:,} and {small.multiply_adds:,}"),
        ("milliseconds a picture", f"{large.milliseconds:.2f} and {small.milliseconds:.2f}"),
        ("the student's file", f"{size / 1000:.0f} kB"),
    ]


def draw_pictures(out: Path, errors: dict[str, float]) -> dict[str, Path]:
    """The pictures of the report, by caption."""
    percent = {CAPTIONS[who]: (100 * errors[who], 0.0) for who in CAPTIONS}
    losses = {CAPTIONS[who]: read_log(out / who)["loss"] for who in CAPTIONS if who != "teacher"}
    return {
        "Errors on the test part": viz.bars(out / "errors.png", percent, xlabel="error on the test part, %"),
        "Training losses; alone counts the labels only, the others the teacher's answers too": viz.curves(
            out / "losses.png", losses, ylabel="training loss", smooth=25, log=True
        ),
    }
