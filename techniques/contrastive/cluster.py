"""Clusters of embeddings, by k-means."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.metrics import squared_distances


def kmeans(
    x: np.ndarray, k: int, rng: np.random.Generator, restarts: int = 10, steps: int = 100
) -> np.ndarray:
    """Clusters of least squared distance to their means: numbers (N,) from 0 to k − 1, of the best restart.

    A restart draws k points far apart (k-means++). Then every point goes to its nearest center and every
    center to the mean of its points (Lloyd), until nothing moves. A center without points stays where it is.

    Args:
        x: points (N, d).
        k: how many clusters, at most N.
        rng: draws the first centers.
        restarts: how often to begin anew.
        steps: the most moves in a restart.

    Raises:
        ValueError: if x is not 2-D, k is not from 1 to N, or restarts or steps are below 1.

    Source: Arthur & Vassilvitskii 2007, "k-means++: The advantages of careful seeding".
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or not 1 <= k <= len(x):
        raise ValueError(f"kmeans: needs x (N, d) and k from 1 to N; got {x.shape} and k = {k}")
    if min(restarts, steps) < 1:
        raise ValueError(f"kmeans: needs restarts and steps of at least 1; got {restarts} and {steps}")
    runs = [_lloyd(x, _far_apart(x, k, rng), steps) for _ in range(restarts)]
    return min(runs, key=lambda run: run[1])[0]


def _far_apart(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of x, each drawn in proportion to its squared distance to the nearest one before it: (k, d)."""
    weight, picked = np.ones(len(x)), []
    for _ in range(k):
        picked.append(rng.choice(len(x), p=weight / weight.sum()))
        weight = squared_distances(x, x[picked]).min(axis=1)
        weight += np.finfo(float).tiny  # where all points are centers already, any will do
    return x[picked]


def _lloyd(x: np.ndarray, centers: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
    """The clusters after at most `steps` moves from `centers`, and their sum of squared distances."""
    for _ in range(steps):
        distance = squared_distances(x, centers)
        nearest = distance.argmin(axis=1)
        members = [x[nearest == c] for c in range(len(centers))]
        moved = np.stack([m.mean(axis=0) if len(m) else c for m, c in zip(members, centers, strict=True)])
        if np.array_equal(moved, centers):
            break
        centers = moved
    return nearest, distance.min(axis=1).sum()
