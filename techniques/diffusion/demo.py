"""Diffusion on the bundled digits: a UNet learns to draw them by class, and a classifier judges its drawings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import tinygrad_lite.nn.functional as F
from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.schedule import NoiseScheduler
from techniques.diffusion.train import train
from techniques.diffusion.use import denoising_path, sample
from techniques.models import CNN, UNet
from techniques.report import Result
from tinygrad_lite import manual_seed, no_grad, viz
from tinygrad_lite.backend import to_device
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.metrics import accuracy
from tinygrad_lite.optim import AdamW, WarmupCosine
from tinygrad_lite.run import Run, read_log

WIDTHS, EPOCHS, LR = (24, 48), 22, 8e-3
JUDGE_EPOCHS = 12
CLASSES, EACH = 10, 20  # how many digits of each class are drawn and judged
NUM_STEPS, GUIDANCE_SCALE = 20, 1.5


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
) -> Result:
    """Train on digits, draw some of every class, and count those that a classifier takes for their class.

    Args:
        out: folder for everything the run makes.
        seed: the same seed gives the same numbers.
        epochs: passes over the training set; as many as the figures need, by default.
        device: "cpu", "cuda" or "cuda:1".
        resume: go on from the last checkpoint in `out`.
        progress: show progress bars.

    Raises:
        RunError: for a folder that cannot be used.
    """
    began = time.perf_counter()
    training, test = digits()
    manual_seed(seed, "diffusion: weights")
    judge = CNN(widths=(16, 32)).to(device)
    train_judge(judge, *training, folder=out / "judge", seed=seed, resume=resume, progress=progress)

    model = DiffusionModel(UNet(1, WIDTHS, num_classes=CLASSES), NoiseScheduler("cosine")).to(device)
    untrained = draw(model, seed, progress)
    average = train(
        model,
        *training,
        folder=out / "unet",
        epochs=EPOCHS if epochs is None else epochs,
        lr=LR,
        seed=seed,
        resume=resume,
        progress=progress,
    )
    with average.applied():
        drawn = draw(model, seed, progress)
        row = np.arange(CLASSES)
        path = denoising_path(
            model,
            (CLASSES, 1, 8, 8),
            row,
            num_steps=NUM_STEPS,
            guidance_scale=GUIDANCE_SCALE,
            seed=seed,
        )

    asked = np.tile(row, EACH)
    of_class = accuracy(predict(judge, drawn), asked)
    untrained_of_class = accuracy(predict(judge, untrained), asked)
    judge_error = 1 - accuracy(predict(judge, test.images), test.labels)
    losses = read_log(out / "unet")["loss"]
    return Result(
        "diffusion",
        rows=[
            ("drawn digits that a classifier takes for their class", f"{of_class:.1%}"),
            ("the same before training", f"{untrained_of_class:.1%}"),
            ("error of that classifier on the test set", f"{judge_error:.1%}"),
        ],
        figures={
            "drawn_of_class": of_class,
            "untrained_of_class": untrained_of_class,
            "judge_error": judge_error,
            "loss": float(np.mean(losses[-50:])),
        },
        pictures=draw_pictures(out, drawn, path, losses),
        seconds=time.perf_counter() - began,
    )


def draw(model: DiffusionModel, seed: int, progress: bool) -> np.ndarray:
    """EACH rows of the digits 0 … 9: (EACH · 10, 1, 8, 8)."""
    asked = np.tile(np.arange(CLASSES), EACH)
    return sample(
        model,
        (len(asked), 1, 8, 8),
        asked,
        num_steps=NUM_STEPS,
        guidance_scale=GUIDANCE_SCALE,
        seed=seed,
        progress=progress,
    )


def train_judge(
    judge: CNN,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    folder: Path,
    seed: int,
    resume: bool,
    progress: bool,
) -> None:
    """Train the classifier that judges, in place, on real digits alone, and leave it in eval mode."""
    device = next(judge.parameters()).device
    loader = DataLoader(TensorDataset(images, labels), 64, shuffle=True, seed=seed, drop_last=True)
    optimizer = AdamW(judge.parameters(), lr=5e-3)
    total = JUDGE_EPOCHS * len(loader)
    schedule = WarmupCosine(optimizer, warmup=total // 10, total=total)
    state = {"judge": judge, "optimizer": optimizer, "schedule": schedule}
    with Run(folder, state=state, seed=seed, label="judge", resume=resume, progress=progress) as run:
        for _, (data, classes) in run.steps(loader, JUDGE_EPOCHS):
            loss = F.cross_entropy(judge(to_device(data, device)), to_device(classes, device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.log(loss=loss)
    judge.eval()


def predict(judge: CNN, images: np.ndarray) -> np.ndarray:
    """The class of each image, as the judge sees it: (N,)."""
    with no_grad():
        logits = judge(to_device(images, next(judge.parameters()).device))
    return logits.numpy().argmax(axis=1)


def draw_pictures(out: Path, drawn: np.ndarray, path: np.ndarray, losses: list[float]) -> dict[str, Path]:
    """The pictures of the report, by caption."""
    classes = [str(digit) for digit in range(CLASSES)]
    rows = drawn.reshape(EACH, CLASSES, 1, 8, 8)[:8]
    left = [f"{share:.0%}" for share in np.linspace(0, 1, len(path))]
    return {
        "Digits drawn by class": viz.image_grid(out / "digits.png", rows, col_labels=classes),
        "One row of them, out of noise": viz.image_grid(
            out / "denoising.png", path, row_labels=left, col_labels=classes
        ),
        "Error of the predicted noise": viz.curves(
            out / "diffusion_loss.png", {"mean squared error": losses}, smooth=25, log=True
        ),
    }
