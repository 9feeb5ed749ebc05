"""How good is it? Arrays to numbers, in float64 on the CPU; predictions come first, then labels.

Classification, generated samples, retrieval (with the search it stands on), clustering, anomalies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# -- classification --------------------------------------------------------------------------------------


def accuracy(predictions: Any, labels: Any) -> float:
    """Share of samples whose predicted class is their label.

    Args:
        predictions: scores (N, C), of which the highest wins (the first of equal ones), or classes (N,).
        labels: the true classes (N,).

    Raises:
        ValueError: if the lengths differ or are 0, or predictions have another number of dimensions.
    """
    predictions, labels = _paired("accuracy", predictions, labels, ndim=(1, 2))
    if predictions.ndim == 2:
        predictions = predictions.argmax(axis=1)
    return float(np.mean(predictions == labels))


def expected_calibration_error(probabilities: Any, labels: Any, bins: int = 15) -> float:
    """Σ_b |B_b|/N · |accuracy(B_b) − confidence(B_b)|, over bins B_b of equal width in the confidence.

    The confidence is the highest probability of a row; bin b of M holds those in (b/M, (b + 1)/M].

    Args:
        probabilities: rows (N, C) that sum to 1.
        labels: the true classes (N,).
        bins: how many, M.

    Raises:
        ValueError: if the lengths differ or are 0, a row does not sum to 1, or bins < 1.

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3.
    """
    probabilities, labels = _paired("expected_calibration_error", probabilities, labels, ndim=(2,))
    if bins < 1:
        raise ValueError(f"expected_calibration_error: bins needs to be at least 1; got {bins}")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        got = f"{probabilities.shape} from {probabilities.min():.3g} to {probabilities.max():.3g}"
        raise ValueError(f"expected_calibration_error: needs probabilities (N, C), rows of sum 1; got {got}")
    confidence = probabilities.max(axis=1).astype(np.float64)
    gap = (probabilities.argmax(axis=1) == labels) - confidence
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(which, weights=gap, minlength=bins)).sum() / len(labels))


# -- generated samples -----------------------------------------------------------------------------------


def frechet_distance(features_a: Any, features_b: Any) -> float:
    """‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½): how far apart two sets lie, each taken for a Gaussian.

    With the features of an Inception network this is the FID. It grows as the sets shrink: compare only
    values at the same N. The last trace is the sum of the singular values of Σ_a^½ Σ_b^½.

    Args:
        features_a: (N, d), N ≥ 2.
        features_b: (M, d), M ≥ 2.

    Raises:
        ValueError: if either is not 2-D, has fewer than 2 rows, or their widths differ.

    Source: Heusel et al. 2017, arXiv:1706.08500, eq. 6.
    """
    a, b = _same_width("frechet_distance", features_a, features_b, rows=2)
    root_a, root_b = _root_of_covariance(a), _root_of_covariance(b)
    shift = a.mean(axis=0) - b.mean(axis=0)
    traces = (root_a**2).sum() + (root_b**2).sum()
    return max(0.0, float(shift @ shift + traces - 2 * np.linalg.norm(root_a @ root_b, "nuc")))


def _root_of_covariance(features: np.ndarray) -> np.ndarray:
    """Σ^½ = V √λ Vᵀ of the unbiased covariance."""
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def precision_recall_coverage(real: Any, generated: Any, k: int = 5) -> tuple[float, float, float]:
    """Precision: share of generated samples that look real. Recall, coverage: share of reality generated.

    A sample's ball reaches to its k-th nearest neighbor in its own set. Precision: generated samples inside
    some real ball. Recall: real samples inside some generated ball. Coverage: real balls with a generated
    sample inside, which an outlier among the generated cannot inflate. Copies of few real samples have
    precision 1 and low recall and coverage.

    Args:
        real: features (N, d).
        generated: features (M, d).
        k: which neighbor bounds the ball; below N and M.

    Raises:
        ValueError: if either is not 2-D, has k or fewer rows, or their widths differ.

    Source: Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 1-2; Naeem et al. 2020, arXiv:2002.09797.
    """
    real, generated = _same_width("precision_recall_coverage", real, generated, rows=k + 1)
    reach_real = np.sort(squared_distances(real, real), axis=1)[:, k]  # column 0 is the sample itself
    reach_generated = np.sort(squared_distances(generated, generated), axis=1)[:, k]
    between = squared_distances(real, generated)  # (N, M)
    in_real, in_generated = between <= reach_real[:, None], between <= reach_generated
    precision, coverage = in_real.any(axis=0).mean(), in_real.any(axis=1).mean()
    return float(precision), float(in_generated.any(axis=1).mean()), float(coverage)


# -- retrieval -------------------------------------------------------------------------------------------


def nearest_neighbors(queries: Any, gallery: Any, k: int) -> np.ndarray:
    """The k rows of `gallery` with the highest cosine to each row of `queries`, best first: indices (Q, k).

    Of equal cosines the lower index comes first; a zero row has cosine 0 to every other.

    Args:
        queries: (Q, d).
        gallery: (N, d); None for the other queries, so that no row is its own neighbor.
        k: how many; at most N (without a gallery Q − 1).

    Raises:
        ValueError: if either is not 2-D, their widths differ, or k is out of range.
    """
    alone = gallery is None
    queries, gallery = _same_width("nearest_neighbors", queries, queries if alone else gallery, rows=1)
    most = len(gallery) - alone
    if not 1 <= k <= most:
        raise ValueError(f"nearest_neighbors: k needs to be from 1 to {most}; got {k}")
    queries, gallery = unit_rows(queries), unit_rows(gallery)
    found = np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), 1024):  # in blocks, for all cosines at once may not fit in memory
        block = slice(start, start + 1024)
        cosines = queries[block] @ gallery.T
        if alone:
            np.fill_diagonal(cosines[:, start:], -np.inf)
        found[block] = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return found


def recall_at_k(embeddings: Any, labels: Any, k: int = 1) -> float:
    """Share of samples with a sample of their own class among their k nearest others, by cosine.

    Raises:
        ValueError: if the lengths differ, or k is not from 1 to N − 1.
    """
    embeddings, labels = _paired("recall_at_k", embeddings, labels, ndim=(2,))
    neighbors = nearest_neighbors(embeddings, None, k)
    return float(np.mean((labels[neighbors] == labels[:, None]).any(axis=1)))


def knn_accuracy(features: Any, labels: Any, test_features: Any, test_labels: Any, k: int = 5) -> float:
    """Accuracy on the test part of the commonest class among the k nearest features, by cosine.

    Where two classes are equally common, the one with the nearest neighbor wins.

    Raises:
        ValueError: if lengths or widths differ, or k is not from 1 to N.
    """
    features, labels = _paired("knn_accuracy", features, labels, ndim=(2,))
    test_features, test_labels = _paired("knn_accuracy", test_features, test_labels, ndim=(2,))
    classes, labels = np.unique(labels, return_inverse=True)
    neighbors = labels[nearest_neighbors(test_features, features, k)]
    # The bonuses 1/4, 1/8, ... stay below one vote together, and one of them outweighs all after it.
    votes = 1 + 0.5 ** np.arange(2, k + 2)
    scores = np.stack([((neighbors == c) * votes).sum(axis=1) for c in range(len(classes))], axis=1)
    return float(np.mean(classes[scores.argmax(axis=1)] == test_labels))


# -- clustering ------------------------------------------------------------------------------------------


def nmi(clusters: Any, labels: Any) -> float:
    """Normalized mutual information of two partitions: I(clusters; labels) / mean(H(clusters), H(labels)).

    1 for the same partition under any names, 0 for independent ones; 1 if both have a single part.

    Raises:
        ValueError: if the lengths differ or are 0.
    """
    clusters, labels = _paired("nmi", clusters, labels, ndim=(1,))
    rows, columns = (np.unique(part, return_inverse=True)[1] for part in (clusters, labels))
    counts = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(counts, (rows, columns), 1)
    alone = _entropy(counts.sum(axis=1)) + _entropy(counts.sum(axis=0))
    # I is what the two hold alone less what they hold together; their mean entropy is alone / 2.
    return max(0.0, 2 * (1 - _entropy(counts) / alone)) if alone else 1.0


def _entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


# -- anomalies -------------------------------------------------------------------------------------------


def auroc(scores: Any, labels: Any) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        scores: (N,), higher for what is more likely positive.
        labels: (N,), true or 1 for the positives, false or 0 for the negatives.

    Raises:
        ValueError: if the lengths differ, scores hold NaN, or labels not both classes and nothing else.
    """
    scores, labels = _paired("auroc", scores, labels, ndim=(1,))
    if np.isnan(scores).any():
        raise ValueError(
            f"auroc: a score is NaN, which is neither high nor low: number {np.isnan(scores).argmax()}"
        )
    if sorted(set(labels.tolist())) != [0, 1]:
        raise ValueError(
            f"auroc: labels need to hold both 0 and 1, and nothing else; got {np.unique(labels)}"
        )
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # from 1; equal scores share their mean rank
    positives = int(labels.sum())
    wins = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * (len(labels) - positives)))


# -- shared ----------------------------------------------------------------------------------------------


def _paired(name: str, values: Any, labels: Any, ndim: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    values, labels = np.asarray(values), np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or values.shape[:1] != labels.shape or values.ndim not in ndim:
        shapes = " or ".join("(N,)" if n == 1 else "(N, …)" for n in ndim)
        raise ValueError(
            f"{name}: needs {shapes}, and one label (N,) a row, N ≥ 1; got {values.shape} and {labels.shape}"
        )
    return values, labels


def _same_width(name: str, a: Any, b: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < rows:
        needs = f"rows of one width, (N, d) and (M, d), at least {rows} of each"
        raise ValueError(f"{name}: needs {needs}; got {a.shape} and {b.shape}")
    return a, b


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a_i − b_j‖², (N, M), of the differences themselves: exactly 0 for equal rows."""
    return np.stack([((a - row) ** 2).sum(axis=1) for row in b], axis=1)


def unit_rows(x: np.ndarray) -> np.ndarray:
    """The rows of x (N, d), each of length 1; rows of zeros stay."""
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norm > 0, norm, 1)
