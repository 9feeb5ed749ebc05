"""Training a diffusion model: add noise to data, and learn to tell it from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.losses import noise_prediction_loss
from techniques.models.unet import NO_CLASS
from tinygrad_lite.backend import to_device
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.optim import AdamW, ExponentialMovingAverage, WarmupCosine, clip_grad_norm_
from tinygrad_lite.run import Run


def train(
    model: DiffusionModel,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    folder: str | Path,
    epochs: int,
    batch_size: int = 64,
    lr: float = 2e-3,
    label_dropout: float = 0.1,
    decay: float = 0.999,
    max_norm: float = 1.0,
    seed: int = 0,
    resume: bool = False,
    progress: bool = True,
) -> ExponentialMovingAverage:
    """Train `model`, in place, to predict the noise in noisy images.

    Args:
        model: what learns, on the device where it is to learn.
        images: x₀ (N, C, H, W), float32, in [−1, 1].
        labels: classes (N,), NO_CLASS among them where one is not known; None for no classes at all.
        folder: of the run: its log and checkpoint.
        epochs: passes over the images.
        batch_size: images in a step.
        lr: the highest learning rate: it rises for a tenth of all steps, then falls along half a cosine wave.
        label_dropout: the share of labels that are hidden, so that the model learns to do without, too:
            guidance needs both (Ho & Salimans 2022, arXiv:2207.12598, algorithm 1).
        decay: of the moving average of the weights, which draws better samples than the weights themselves.
        max_norm: gradients longer than this are shortened to it.
        seed: of the order of the images, and of all noise.
        resume: go on with the run in `folder`.
        progress: show a progress bar.

    Returns:
        The average of the weights: `with average.applied(): sample(model, ...)`.

    Raises:
        RunError: for a folder that cannot be used.
    """
    scheduler = model.scheduler
    labels = np.full(len(images), NO_CLASS) if labels is None else labels
    loader = DataLoader(TensorDataset(images, labels), batch_size, shuffle=True, seed=seed, drop_last=True)
    optimizer = AdamW(model.parameters(), lr=lr)
    total = epochs * len(loader)
    schedule = WarmupCosine(optimizer, warmup=total // 10, total=total)
    average = ExponentialMovingAverage(model, decay)
    state = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
    with Run(folder, state=state, seed=seed, label="diffusion", resume=resume, progress=progress) as run:
        for step, (data, known_labels) in run.steps(loader, epochs):
            noise = step.rng("noise").standard_normal(data.shape, dtype=data.dtype)
            noisy_data, noise_level = scheduler.add_noise(data, noise, rng=step.rng("level"))
            hidden = step.rng("label dropout").random(len(data)) < label_dropout
            told_labels = np.where(hidden, NO_CLASS, known_labels)
            predicted_noise = model(
                *(to_device(a, model.device) for a in (noisy_data, noise_level, told_labels))
            )
            loss = noise_prediction_loss(predicted_noise, to_device(noise, model.device))
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            schedule.step()
            average.update()
            run.log(loss=loss)
    return average
