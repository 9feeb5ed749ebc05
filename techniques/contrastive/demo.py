"""Contrastive learning on the bundled digits: a backbone without labels, then a classifier with few."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from techniques.contrastive.cluster import kmeans
from techniques.contrastive.train import pretrain
from techniques.contrastive.use import embed, fit_classifier
from techniques.models import MLP, ResNet
from techniques.report import Result
from tinygrad_lite import manual_seed, viz
from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data import DataLoader
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.metrics import accuracy, nmi, recall_at_k
from tinygrad_lite.run import read_log

EPOCHS, BATCH_SIZE = 30, 128
LABELS_A_CLASS = 10


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
) -> Result:
    """Pretrain a backbone on the digits without labels, and compare its features with others.

    The same linear classifier learns from LABELS_A_CLASS labels a class on the features of this backbone, on
    those of the backbone as it was before training, and on the pixels.

    Args:
        out: folder for everything the run makes.
        seed: the same seed gives the same numbers.
        epochs: passes over the training set; as many as the figures need, by default.
        device: "cpu", "cuda" or "cuda:1".
        resume: go on from the last checkpoint in `out`.
        progress: show a progress bar.

    Raises:
        RunError: for a folder that cannot be used.
    """
    began = time.perf_counter()
    train, test = digits()
    manual_seed(seed, "contrastive: weights")
    backbone = ResNet().to(device)
    projection_head = MLP(backbone.out_features, 128, 64, batch_norm=True).to(device)
    features = {
        "pixels": (train.images.reshape(len(train.images), -1), test.images.reshape(len(test.images), -1)),
        "random": (embed(backbone, train.images), embed(backbone, test.images)),
    }
    pretrain(
        backbone=backbone,
        projection_head=projection_head,
        loader=DataLoader(train.images, BATCH_SIZE, shuffle=True, seed=seed, drop_last=True),
        folder=out / "backbone",
        epochs=EPOCHS if epochs is None else epochs,
        seed=seed,
        resume=resume,
        progress=progress,
    )
    features["contrastive"] = (embed(backbone, train.images), embed(backbone, test.images))

    labeled = draw_labeled(train.labels, LABELS_A_CLASS, seed)
    figures: dict[str, float] = {}
    for name, (of_train, of_test) in features.items():
        few = fit_classifier(of_train[labeled], train.labels[labeled])
        full = fit_classifier(of_train, train.labels)
        figures |= {
            f"{name}_few_labels": accuracy(few(of_test).numpy(), test.labels),
            f"{name}_all_labels": accuracy(full(of_test).numpy(), test.labels),
            f"{name}_recall_at_1": recall_at_k(of_test, test.labels),
            f"{name}_nmi": nmi(kmeans(of_test, 10, keyed_rng(seed, "clusters")), test.labels),
        }
    losses = read_log(out / "backbone")["loss"]
    before, after = features["random"][1], features["contrastive"][1]
    return Result(
        "contrastive",
        story="A ResNet learns without labels that two random views of a picture belong together. On its "
        "features a linear classifier learns from 10 labels a class; the same classifier on pixels, and on "
        "the features of an untrained ResNet, shows what that was worth.",
        rows=as_rows(figures),
        figures=figures | {"loss": float(np.mean(losses[-10:]))},
        pictures={
            "The test digits, seen by the backbone before and after contrastive training": viz.embedding(
                out / "embedding.png",
                {
                    "random backbone": (viz.pca(before), test.labels),
                    "after contrastive training": (viz.pca(after), test.labels),
                },
            ),
            "Contrastive loss": viz.curves(out / "contrastive_loss.png", {"NT-Xent": losses}, smooth=11),
        },
        seconds=time.perf_counter() - began,
    )


def draw_labeled(labels: np.ndarray, each: int, seed: int) -> np.ndarray:
    """Indices of `each` samples a class, drawn: those whose label is known."""
    rng = keyed_rng(seed, "labeled")
    chosen = [rng.choice(np.flatnonzero(labels == c), each, replace=False) for c in np.unique(labels)]
    return np.concatenate(chosen)


def as_rows(figures: dict[str, float]) -> list[tuple[str, str]]:
    """What the table shows: the few labels on all three, the rest of the contrastive features alone."""
    few = f"accuracy with {LABELS_A_CLASS} labels a class, "
    return [
        (few + "contrastive features", f"{figures['contrastive_few_labels']:.1%}"),
        (few + "features of a random backbone", f"{figures['random_few_labels']:.1%}"),
        (few + "pixels", f"{figures['pixels_few_labels']:.1%}"),
        ("accuracy with all labels, contrastive features", f"{figures['contrastive_all_labels']:.1%}"),
        ("nearest test digit is of the same class", f"{figures['contrastive_recall_at_1']:.1%}"),
        ("clusters and classes agree (NMI, without labels)", f"{figures['contrastive_nmi']:.2f}"),
    ]
