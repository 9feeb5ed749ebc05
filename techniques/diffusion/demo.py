"""Diffusion on the bundled digits: a UNet learns to draw them by class.

A judge, a classifier that learned from the real digits alone, says how many of the drawn digits are of the
class that was asked for; and how many were before the UNet had learned anything.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.schedule import NoiseScheduler
from techniques.diffusion.train import train
from techniques.diffusion.use import denoising_path, sample
from techniques.models import CNN, UNet
from techniques.models.evaluate import outputs
from techniques.report import Result
from tinygrad_lite import manual_seed, viz
from tinygrad_lite.backend import to_device
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.metrics import accuracy
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.optim import AdamW, WarmupCosine
from tinygrad_lite.run import Run, read_log

EPOCHS, JUDGE_EPOCHS = 22, 12
CLASSES, EACH = 10, 20  # so many digits of each class are drawn and judged
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
    """Train a UNet on the digits and a judge; draw digits of each class, and let the judge name them.

    Args:
        out: folder for everything the run makes.
        seed: the same seed gives the same numbers.
        epochs: the UNet's passes over the training part, by default EPOCHS; the judge always takes
            JUDGE_EPOCHS.
        device: "cpu", "cuda" or "cuda:1".
        resume: go on from the last checkpoints in `out`.
        progress: show progress bars.

    Raises:
        RunError: for a folder that cannot be used.
    """
    began = time.perf_counter()
    epochs = EPOCHS if epochs is None else epochs
    options: dict[str, Any] = {"seed": seed, "resume": resume, "progress": progress}
    judge = train_judge(out / "judge", epochs=JUDGE_EPOCHS, device=device, **options)

    manual_seed(seed, "UNet")
    model = DiffusionModel(UNet(1, (24, 48), CLASSES), NoiseScheduler("cosine")).to(device)
    before = draw(model, seed, progress)
    average = train(model, batches(seed), folder=out / "unet", epochs=epochs, lr=8e-3, **options)
    with average.applied():
        after = draw(model, seed, progress)
        path = denoising_path(
            model,
            (CLASSES, 1, 8, 8),
            np.arange(CLASSES),
            num_steps=NUM_STEPS,
            guidance_scale=GUIDANCE_SCALE,
            seed=seed,
        )

    _, (images, labels) = digits()
    losses = read_log(out / "unet")["loss"]
    figures = {
        "drawn_of_class": accuracy(verdicts(judge, after), asked()),
        "untrained_of_class": accuracy(verdicts(judge, before), asked()),
        "judge_error": 1 - accuracy(verdicts(judge, images), labels),
        "loss": float(np.mean(losses[-50:])),
    }
    return Result(
        "diffusion",
        story="A UNet learns to tell the noise in noisy digits of 8×8 pixels. Step by step it then makes "
        "digits of pure noise, of a class that it is asked for. The judge, a classifier that never saw a "
        "drawn digit, says how many are of their class: one in ten by chance.",
        rows=[
            ("drawn digits that are of their class", f"{figures['drawn_of_class']:.1%}"),
            ("the same before training", f"{figures['untrained_of_class']:.1%}"),
            ("error of the judge on real test digits", f"{figures['judge_error']:.1%}"),
        ],
        figures=figures,
        pictures=draw_pictures(out, after, path, losses),
        seconds=time.perf_counter() - began,
    )


def batches(seed: int) -> DataLoader:
    """Full batches of the training part, in a new order in each epoch."""
    return DataLoader(TensorDataset(*digits()[0]), 64, shuffle=True, seed=seed, drop_last=True)


def asked() -> np.ndarray:
    """The classes of the digits to draw, EACH rows of 0 … 9: (EACH·CLASSES,)."""
    return np.tile(np.arange(CLASSES), EACH)


def draw(model: DiffusionModel, seed: int, progress: bool) -> np.ndarray:
    """Digits of the classes `asked`."""
    return sample(
        model,
        (EACH * CLASSES, 1, 8, 8),
        asked(),
        num_steps=NUM_STEPS,
        guidance_scale=GUIDANCE_SCALE,
        seed=seed,
        progress=progress,
    )


# -- the judge -------------------------------------------------------------------------------------------


def train_judge(folder: Path, *, seed: int, epochs: int, device: str, resume: bool, progress: bool) -> CNN:
    """A classifier that has learned from the training part."""
    manual_seed(seed, "judge")
    judge = CNN(1, CLASSES, widths=(16, 32)).to(device)
    loader = batches(seed)
    optimizer = AdamW(judge.parameters(), lr=5e-3)
    schedule = WarmupCosine(optimizer, warmup=0, total=epochs * len(loader))
    state = {"judge": judge, "optimizer": optimizer, "schedule": schedule}
    with Run(folder, state=state, seed=seed, label="judge", resume=resume, progress=progress) as run:
        for _, (data, labels) in run.steps(loader, epochs):
            loss = cross_entropy(judge(to_device(data, device)), to_device(labels, device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            run.log(loss=loss)
    return judge


def verdicts(judge: CNN, images: np.ndarray) -> np.ndarray:
    """The class that the judge takes each image for: (N,)."""
    return outputs(judge, images).argmax(1)


# -- what came out ---------------------------------------------------------------------------------------


def draw_pictures(out: Path, drawn: np.ndarray, path: np.ndarray, losses: list[float]) -> dict[str, Path]:
    """The pictures of the report, by caption."""
    classes = [str(k) for k in range(CLASSES)]
    rows = drawn.reshape(EACH, CLASSES, 1, 8, 8)[:8]
    done = [f"{share:.0%}" for share in np.linspace(0, 1, len(path))]
    return {
        "Digits drawn, by class": viz.image_grid(out / "digits.png", rows, col_labels=classes),
        "A row of digits on its way out of noise": viz.image_grid(
            out / "denoising.png", path, row_labels=done, col_labels=classes
        ),
        "Error of the predicted noise": viz.curves(
            out / "diffusion_loss.png", {"mean squared error": losses}, smooth=25, log=True
        ),
    }
