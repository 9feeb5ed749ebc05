"""What a contrastive backbone is for: embeddings, by which to classify, to search and to find anomalies."""

from __future__ import annotations

import numpy as np

from techniques.models.evaluate import outputs
from tinygrad_lite import nn
from tinygrad_lite.metrics import nearest_neighbors, unit_rows
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.optim import Adam


def embed(backbone: nn.Module, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """The features (N, d) of images (N, ...): the backbone's output in eval mode, without the head.

    The head forgets whatever differs between two views, and a later task may need that: Chen et al. 2020,
    arXiv:2002.05709, section 4.2.
    """
    return outputs(backbone, images, batch_size)


def fit_classifier(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    weight_decay: float = 1e-2,
    lr: float = 0.05,
    steps: int = 200,
) -> nn.Linear:
    """A linear classifier of frozen features: (N, d) → logits (N, classes), for the classes 0 … max(labels).

    It is fitted to the features with each column standardized, so that their scale does not matter, and
    returned for features as they are. The loss is convex: there is one best classifier, and no seed.

    Args:
        features: (N, d), as from `embed`.
        labels: (N,), integers from 0 on.
        weight_decay: λ of the penalty λ/2·‖p‖², on weight and bias for standardized features.
        lr: the learning rate of Adam.
        steps: of gradient descent, each on all samples.

    Raises:
        ValueError: unless features are (N, d) and labels (N,).
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        got = f"{features.shape} and {labels.shape}"
        raise ValueError(f"fit_classifier: needs features (N, d) and labels (N,); got {got}")
    features = features.astype(np.float64)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale <= 1e-12 * abs(mean)] = np.inf  # a constant column, to rounding, says nothing
    standardized = ((features - mean) / scale).astype(np.float32)
    classifier = nn.Linear(features.shape[1], int(labels.max()) + 1)
    for p in classifier.parameters():
        nn.init.zeros_(p)
    optimizer = Adam(classifier.parameters(), lr, weight_decay=weight_decay)
    for _ in range(steps):
        predictions = classifier(standardized)
        loss = cross_entropy(predictions, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weight, bias = (p.numpy() for p in classifier.parameters())
    weight = weight / scale
    classifier.load_state_dict({"weight": weight, "bias": bias - weight @ mean})
    return classifier


def search(queries: np.ndarray, gallery: np.ndarray | None, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of `gallery` most like each query, best first: their indices and their cosines, each (Q, k).

    Args:
        queries: features (Q, d).
        gallery: features (N, d); None for the other queries, so that no row finds itself.
        k: how many.

    Raises:
        ValueError: for shapes that do not fit, or k out of range; see `nearest_neighbors`.
    """
    found = nearest_neighbors(queries, gallery, k)
    rows = unit_rows(queries if gallery is None else gallery)[found]  # (Q, k, d)
    return found, (rows @ unit_rows(queries)[:, :, None])[..., 0]


def anomaly_scores(reference: np.ndarray, features: np.ndarray, k: int = 5) -> np.ndarray:
    """How far each row is from all that is normal: 1 − the mean cosine to the k rows of `reference` nearest.

    Args:
        reference: features (N, d) of normal samples.
        features: (M, d), what is to be judged.
        k: how many neighbors.

    Returns:
        (M,), to rounding from 0, like what is normal, to 2.
    """
    return 1 - search(features, reference, k)[1].mean(axis=1)
