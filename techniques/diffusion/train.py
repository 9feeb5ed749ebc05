"""Training a diffusion model: it learns to tell the noise that was added from the data beneath."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.losses import noise_prediction_loss
from techniques.models.unet import NO_CLASS
from tinygrad_lite.backend import to_device
from tinygrad_lite.data import DataLoader
from tinygrad_lite.optim import AdamW, ExponentialMovingAverage, WarmupCosine, clip_grad_norm_
from tinygrad_lite.run import Run


def train(
    model: DiffusionModel,
    loader: DataLoader,
    *,
    folder: str | Path,
    epochs: int,
    label_dropout: float = 0.1,
    lr: float = 2e-3,
    weight_decay: float = 1e-2,
    max_norm: float = 1.0,
    decay: float = 0.999,
    seed: int = 0,
    label: str = "denoiser",
    resume: bool = False,
    progress: bool = True,
) -> ExponentialMovingAverage:
    """Train `model`, in place, to predict the noise in noisy data.

    Args:
        model: a network and its noise scheduler, on the device where it is to learn.
        loader: gives (data, labels) as arrays: float32 pictures in [−1, 1], and their classes, NO_CLASS where
            none is known.
        folder: of the run: its log and checkpoint.
        epochs: passes over the loader.
        label_dropout: the share of labels that are kept from the model, so that it learns to do without: what
            guidance needs (Ho & Salimans 2022, arXiv:2207.12598, algorithm 1).
        lr: the highest learning rate of AdamW: it rises for a tenth of the steps, then falls along half a
            cosine wave.
        weight_decay: of AdamW.
        max_norm: longer gradients are shortened to this.
        decay: of the moving average of the weights.
        seed: of the noise and its levels; the order of the data is the loader's.
        label: what the progress bar calls the run.
        resume: go on with the run in `folder`.
        progress: show a progress bar.

    Returns:
        The average of the weights, which draws better samples than the weights: within `average.applied()` it
        is the model's.

    Raises:
        RunError: for a folder that cannot be used, or holds a run with other settings.
    """
    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    steps = epochs * len(loader)
    schedule = WarmupCosine(optimizer, warmup=steps // 10, total=steps)
    average = ExponentialMovingAverage(model, decay)
    run = Run(
        folder,
        state={"model": model, "optimizer": optimizer, "schedule": schedule, "average": average},
        config={
            "label_dropout": label_dropout,
            "lr": lr,
            "weight_decay": weight_decay,
            "max_norm": max_norm,
            "decay": decay,
        },
        seed=seed,
        label=label,
        resume=resume,
        progress=progress,
    )
    device = model.device
    model.train()
    with run:
        for step, (data, labels) in run.steps(loader, epochs):
            noise = step.rng("noise").standard_normal(data.shape, dtype="float32")
            is_hidden = step.rng("hidden labels").random(len(labels)) < label_dropout
            labels = np.where(is_hidden, NO_CLASS, labels)
            data, noise, labels = (to_device(array, device) for array in (data, noise, labels))

            noisy_data, noise_level = model.scheduler.add_noise(data, noise, rng=step.rng("noise levels"))
            predicted_noise = model(noisy_data, noise_level, labels)
            loss = noise_prediction_loss(predicted_noise, noise)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            schedule.step()
            average.update()
            run.log(loss=loss)
    return average
