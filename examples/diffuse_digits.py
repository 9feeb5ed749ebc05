"""Learn to take noise away from digits; then draw new ones, by class, out of pure noise.

Run:     python examples/diffuse_digits.py          (measured: 25 seconds, one core)
Shows:   the loss as it falls, how near the drawn digits are to real ones, and out/diffuse_digits.png
Expect:  at least 80 % of the drawn digits have a real digit of their class as nearest picture
Read:    techniques/diffusion/schedule.py, denoiser.py; Ho et al. 2020, arXiv:2006.11239
"""

import numpy as np

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.losses import noise_prediction_loss
from techniques.diffusion.schedule import NoiseScheduler
from techniques.models import UNet
from tinygrad_lite import manual_seed, set_num_threads, viz
from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.metrics import knn_accuracy
from tinygrad_lite.optim import AdamW, ExponentialMovingAverage, WarmupCosine, clip_grad_norm_

ROWS = 4  # how often each of the ten digits is drawn


def main(epochs: int = 22, seed: int = 0) -> dict[str, float]:
    train, _ = digits()  # 1,437 pictures (1, 8, 8) in [-1, 1]
    loader = DataLoader(TensorDataset(*train), 64, shuffle=True, seed=seed, drop_last=True)
    scheduler = NoiseScheduler("cosine")
    manual_seed(seed)
    model = DiffusionModel(UNet(1, (16, 64), num_classes=10), scheduler)
    average = fit(model, loader, epochs, seed)

    classes = np.tile(np.arange(10), ROWS)
    with average.applied():  # averaged weights draw better
        drawn = draw(model, classes, seed)

    real, labels = train
    near = knn_accuracy(real.reshape(len(real), -1), labels, drawn.reshape(len(drawn), -1), classes, k=1)
    print(f"{near:.0%} of the drawn digits have a real digit of their class as nearest picture")
    print(viz.image_grid("out/diffuse_digits.png", drawn.reshape(ROWS, 10, 1, 8, 8), col_labels=range(10)))
    return {"nearest is of the class": near}


def fit(model, loader, epochs, seed):
    """Add noise, predict it, compare; and return the average of the weights."""
    optimizer = AdamW(model.parameters(), lr=2e-3)
    schedule = WarmupCosine(optimizer, warmup=epochs * len(loader) // 10, total=epochs * len(loader))
    average = ExponentialMovingAverage(model, 0.999)
    model.train()
    for epoch in range(epochs):
        rng = keyed_rng(seed, "noise", epoch)
        losses = []
        for data, labels in loader.batches(epoch):
            noise = rng.standard_normal(data.shape, dtype="float32")
            noisy_data, noise_level = model.scheduler.add_noise(data, noise, rng=rng)
            predicted_noise = model(noisy_data, noise_level, labels)
            loss = noise_prediction_loss(predicted_noise, noise)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            average.update()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
    return average


def draw(model, classes, seed):
    """Start from pure noise and take it away, step by step."""
    model.eval()
    rng = keyed_rng(seed, "sampling")
    noise = rng.standard_normal((len(classes), 1, 8, 8), dtype="float32")
    for step in model.scheduler.reverse_steps(100):
        noise = model.denoise(noise, step, classes, rng=rng)
    return noise


if __name__ == "__main__":
    set_num_threads(1)  # of BLAS: matrices this small are not faster with more
    main()
