"""What a user waits for beside training steps: sampling, an epoch with its loading, the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.workloads.training import CLASSES, contrastive_networks
from benchmarks.workloads.workload import Data, Job, Library, Workload, length, normal
from techniques.contrastive.augment import augment

DIGITS = Path(__file__).parents[2] / "tinygrad_lite" / "data" / "datasets" / "digits.npz"
SAMPLING_STEPS = 50


def first_noise() -> Data:
    """Noise that becomes 64 pictures."""
    return {"noise": normal(64, 1, 8, 8, key="noise")}


def sample(lib: Library, data: Data) -> Job:
    """DDIM with the UNet of the demo."""
    model = lib.with_weights(lib.UNet(1, (24, 48), CLASSES)).eval()
    noise = lib.array(data["noise"])
    times = lib.array(np.zeros(len(data["noise"])))
    return Job(
        lambda: lib.sample(model, noise, SAMPLING_STEPS),
        lambda x: [length(x)],
        SAMPLING_STEPS * lib.multiply_adds(model, lib.tensor(data["noise"]), times),
    )


def digits() -> Data:
    """The bundled digits' training part, and an order to visit it in.

    Read from their file: a peer's process has no need of tinygrad_lite, and must not get its settings.
    """
    with np.load(DIGITS) as content:
        images = content["images"][~content["is_test"]]
    return {
        "images": images[:, None].astype(np.float32) / 8 - 1,
        "order": np.random.default_rng(0).permutation(len(images)),
    }


def epoch(lib: Library, data: Data) -> Job:
    """One epoch of the contrastive run; the views are made by the same NumPy code in every library."""
    backbone, head = contrastive_networks(lib)
    optimizer = lib.t.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=1e-3)
    loader = lib.batches(data["images"], data["order"], 128)

    def step() -> list[float]:
        rng = np.random.default_rng(0)
        losses = []
        for images in loader:
            view1, view2 = (lib.tensor(augment(images, rng)) for _ in range(2))
            loss = lib.nt_xent(head(backbone(view1)), head(backbone(view2)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return Job(step, lambda losses: losses[:3])


def nothing() -> Data:
    """No data."""
    return {}


def start(lib: Library, data: Data) -> Job:
    """A new process, from its start to its first gradient."""

    def step() -> float:
        command = [sys.executable, "-c", lib.START]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return Job(step, lambda gradient: [gradient])


RUNS = [
    Workload("sample", "50 DDIM steps of 64 pictures of 8²", first_noise, sample, compared=1),
    Workload("epoch", "an epoch of the contrastive run on the digits", digits, epoch, compared=1),
    Workload("import", "from the start of Python to the first gradient", nothing, start, compared=1),
]
