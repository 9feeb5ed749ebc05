"""Metrics against definitions written out in loops, and on inputs whose answer is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite.metrics import (
    accuracy,
    auroc,
    expected_calibration_error,
    frechet_distance,
    knn_accuracy,
    nearest_neighbors,
    nmi,
    precision_recall_coverage,
    recall_at_k,
)

approx = pytest.approx
seeds = st.integers(0, 10_000).map(np.random.default_rng)
quick = settings(deadline=None, max_examples=25)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- classification


def test_accuracy_is_the_share_of_right_classes():
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75


def test_accuracy_of_scores_takes_the_highest_of_each_row():
    assert accuracy([[0.1, 0.9], [2.0, -1.0], [0.0, 3.0]], [1, 0, 0]) == approx(2 / 3)


@pytest.mark.parametrize(("predictions", "labels"), [([0, 1], [0]), ([], []), ([0], [[0]])])
def test_labels_that_do_not_pair_up_are_refused(predictions, labels):
    with pytest.raises(ValueError, match=r"accuracy: needs .* one label \(N,\) a row, .* got \(\d,\) and \("):
        accuracy(predictions, labels)


def test_a_classifier_as_right_as_it_is_sure_is_calibrated():
    probabilities = np.tile([0.75, 0.25], (8, 1))
    assert expected_calibration_error(probabilities, [0, 0, 0, 1, 0, 0, 0, 1]) == approx(0)


def test_a_classifier_that_is_sure_and_wrong_has_calibration_error_one():
    assert expected_calibration_error([[1.0, 0.0]] * 4, [1] * 4) == 1


def test_over_and_under_confidence_in_different_bins_do_not_cancel():
    probabilities = [[0.6, 0.4]] * 2 + [[0.9, 0.1]] * 2
    assert expected_calibration_error(probabilities, [0, 0, 0, 1], bins=10) == approx((0.4 + 0.4) / 2)


def test_over_and_under_confidence_in_one_bin_cancel():
    assert expected_calibration_error([[0.6, 0.4]] * 5, [0, 0, 0, 1, 1], bins=1) == approx(0)


@quick
@given(seeds, st.integers(1, 12))
def test_calibration_error_agrees_with_its_definition_bin_by_bin(rng, bins):
    probabilities = rng.dirichlet(np.ones(3), 40)
    labels = rng.integers(0, 3, 40)
    expected = 0.0
    for b in range(bins):
        inside = [i for i in range(40) if b / bins < probabilities[i].max() <= (b + 1) / bins]
        if inside:
            right = np.mean([np.argmax(probabilities[i]) == labels[i] for i in inside])
            expected += len(inside) / 40 * abs(right - np.mean([probabilities[i].max() for i in inside]))
    assert expected_calibration_error(probabilities, labels, bins) == approx(expected)


def test_calibration_refuses_logits():
    with pytest.raises(ValueError, match=r"needs probabilities \(N, C\), .* got \(1, 2\) from -1 to 4"):
        expected_calibration_error([[4.0, -1.0]], [0])


# -- generated samples


def test_the_frechet_distance_of_a_set_to_itself_is_zero(rng):
    x = rng.standard_normal((20, 6))
    assert frechet_distance(x, x) == approx(0, abs=1e-10)


def test_a_shift_has_its_squared_length_as_frechet_distance(rng):
    x = rng.standard_normal((20, 3))
    assert frechet_distance(x, x + np.array([3, 0, 4])) == approx(25)


def test_frechet_distance_in_one_dimension_is_that_of_means_and_deviations(rng):
    a, b = rng.standard_normal((50, 1)), 1 + 3 * rng.standard_normal((30, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == approx(expected)


def test_frechet_distance_agrees_with_the_eigenvalues_of_the_product_of_covariances(rng):
    a, b = (rng.standard_normal((40, 5)) @ rng.standard_normal((5, 5)) for _ in range(2))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    trace_of_root = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real).sum()
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
    assert frechet_distance(a, b) == approx(shift + np.trace(cov_a + cov_b) - 2 * trace_of_root)


def test_frechet_distance_is_symmetric_and_not_negative_with_fewer_rows_than_columns(rng):
    a, b = rng.standard_normal((4, 9)), rng.standard_normal((3, 9))
    assert frechet_distance(a, b) == approx(frechet_distance(b, a))
    assert frechet_distance(a, a) >= 0


def test_features_of_different_widths_are_refused():
    with pytest.raises(ValueError, match=r"frechet_distance: needs rows of one .* got \(5, 2\) and \(5, 3\)"):
        frechet_distance(np.zeros((5, 2)), np.zeros((5, 3)))


def by_definition(real, generated, k):
    """Precision, recall and coverage, sample by sample."""

    def reach(points):
        return [sorted(math.dist(p, q) for q in points)[k] for p in points]

    reach_r, reach_g = reach(real), reach(generated)
    precision = [any(math.dist(g, r) <= t for r, t in zip(real, reach_r, strict=True)) for g in generated]
    recall = [any(math.dist(r, g) <= t for g, t in zip(generated, reach_g, strict=True)) for r in real]
    coverage = [any(math.dist(r, g) <= t for g in generated) for r, t in zip(real, reach_r, strict=True)]
    return np.mean(precision), np.mean(recall), np.mean(coverage)


@quick
@given(seeds, st.integers(1, 3))
def test_precision_recall_and_coverage_agree_with_their_definitions(rng, k):
    real, generated = rng.standard_normal((12, 2)), 1 + 1.5 * rng.standard_normal((9, 2))
    assert precision_recall_coverage(real, generated, k) == approx(by_definition(real, generated, k))


def test_reality_itself_has_precision_recall_and_coverage_one(rng):
    x = rng.standard_normal((30, 4))
    assert precision_recall_coverage(x, x) == (1, 1, 1)


def test_a_ball_holds_what_lies_on_its_rim():
    # Both real balls have radius 1: the sample at 2 is on the rim of one, the sample at 9 in none.
    assert precision_recall_coverage([[0.0], [1.0]], [[2.0], [9.0]], k=1) == (0.5, 1, 0.5)


def test_copies_of_few_samples_have_full_precision_and_hardly_any_recall(rng):
    real = rng.standard_normal((200, 6))
    precision, recall, coverage = precision_recall_coverage(real, np.repeat(real[:10], 20, axis=0))
    assert precision == 1
    assert recall == 10 / 200
    assert coverage < 0.5


def test_samples_far_from_reality_have_none_of_the_three(rng):
    real, generated = rng.standard_normal((2, 20, 3))
    assert precision_recall_coverage(real, generated + 99) == (0, 0, 0)


# -- retrieval


def test_neighbors_come_best_first_by_angle_whatever_the_length():
    gallery = [[0.0, 1.0], [5.0, 0.1], [-1.0, 0.0], [1.0, 1.0]]
    assert nearest_neighbors([[2.0, 0.0]], gallery, 4).tolist() == [[1, 3, 0, 2]]


def test_equal_neighbors_come_in_the_order_of_the_gallery():
    gallery = np.ones((200, 2))
    gallery[150, 1] = 0
    found = nearest_neighbors([[1.0, 0.0]], gallery, 200)
    assert found[0].tolist() == [150, *range(150), *range(151, 200)]


def test_without_a_gallery_no_row_is_its_own_neighbor():
    rows = np.ones((5, 3))
    found = nearest_neighbors(rows, None, 4)
    assert [sorted({*range(5)} - {i}) for i in range(5)] == [sorted(row) for row in found.tolist()]


def test_blocks_of_queries_give_the_same_as_one_by_one(rng):
    rows = rng.standard_normal((1100, 4))
    found = nearest_neighbors(rows, None, 2)
    for i in (0, 1023, 1024, 1099):
        others = np.delete(np.arange(1100), i)
        cosines = rows[others] @ rows[i] / np.linalg.norm(rows[others], axis=1)
        assert found[i].tolist() == others[np.argsort(-cosines)[:2]].tolist()


def test_a_zero_row_is_nobodys_neighbor_before_a_similar_one():
    assert nearest_neighbors([[1.0, 0.0]], [[0.0, 0.0], [1.0, 9.0]], 2).tolist() == [[1, 0]]


@pytest.mark.parametrize(("gallery", "k", "most"), [(np.ones((3, 2)), 4, 3), (None, 2, 1), (None, 0, 1)])
def test_more_neighbors_than_there_are_is_refused(gallery, k, most):
    with pytest.raises(ValueError, match=f"nearest_neighbors: k needs to be from 1 to {most}; got {k}"):
        nearest_neighbors(np.ones((2, 2)), gallery, k)


def test_recall_counts_queries_with_a_hit_among_the_k_nearest():
    angles = np.deg2rad([0, 10, 12, 90, 95])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = [0, 1, 0, 2, 2]
    assert recall_at_k(embeddings, labels, 1) == 2 / 5
    assert recall_at_k(embeddings, labels, 2) == 4 / 5


def test_the_commonest_class_among_the_neighbors_wins():
    features = [[1.0, 0.0], [1.0, 0.2], [1.0, 0.3]]
    assert knn_accuracy(features, [7, 4, 4], [[1.0, 0.0]], [4], k=3) == 1
    assert knn_accuracy(features, [7, 4, 4], [[1.0, 0.0]], [4], k=1) == 0


def test_of_equally_common_classes_the_nearest_wins():
    features = [[1.0, 0.4], [1.0, 0.0], [1.0, 0.2], [1.0, 0.1]]
    for labels in itertools.permutations([0, 0, 1, 1]):
        assert knn_accuracy(features, labels, [[1.0, 0.0]], [labels[1]], k=4) == 1


# -- clustering


def test_the_same_partition_under_other_names_has_nmi_one():
    assert nmi([0, 0, 1, 2, 2], [5, 5, 3, 9, 9]) == approx(1)


def test_independent_partitions_have_nmi_zero():
    assert nmi([0, 0, 1, 1], [0, 1, 0, 1]) == approx(0, abs=1e-15)


def test_one_single_cluster_says_nothing_about_many_classes():
    assert nmi([0] * 10, range(10)) == approx(0, abs=1e-15)


def test_two_single_clusters_agree():
    assert nmi([0] * 10, [3] * 10) == 1


def test_nmi_of_halves_against_quarters_is_two_thirds():
    assert nmi([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]) == approx(2 / 3)


@quick
@given(seeds)
def test_nmi_agrees_with_the_sum_over_pairs_of_clusters_and_classes(rng):
    a, b = rng.integers(0, 3, 25).tolist(), rng.integers(0, 4, 25).tolist()
    pairs = list(zip(a, b, strict=True))
    mutual = 0.0
    for pair in set(pairs):
        p, q, both = a.count(pair[0]) / 25, b.count(pair[1]) / 25, pairs.count(pair) / 25
        mutual += both * math.log(both / (p * q))
    shares = [[part.count(i) / 25 for i in set(part)] for part in (a, b)]
    entropies = [-sum(share * math.log(share) for share in part) for part in shares]
    assert nmi(a, b) == approx(mutual / np.mean(entropies), abs=1e-12)


# -- anomalies


@quick
@given(seeds)
def test_auroc_is_the_share_of_pairs_in_the_right_order_with_ties_as_halves(rng):
    scores, labels = rng.integers(0, 6, 30), np.arange(30) % 3 == 0
    wins = [(p > n) + (p == n) / 2 for p in scores[labels].tolist() for n in scores[~labels].tolist()]
    assert auroc(scores, labels) == approx(sum(wins) / len(wins))


def test_auroc_is_one_for_a_clean_cut_and_zero_for_its_reverse():
    assert auroc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == 1
    assert auroc([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]) == 0


def test_equal_scores_have_auroc_one_half():
    assert auroc([3, 3, 3], [True, False, False]) == 0.5


@pytest.mark.parametrize("labels", [[1, 1], [0, 2]])
def test_auroc_refuses_labels_without_both_classes(labels):
    with pytest.raises(ValueError, match="auroc: labels need to hold both 0 and 1, and nothing else; got"):
        auroc([0.0, 1.0], labels)


@pytest.mark.parametrize(
    "call",
    [
        lambda: accuracy(np.zeros((3, 3, 3)), [0, 0, 0]),
        lambda: auroc(np.zeros((3, 2)), [0, 1, 1]),
        lambda: nmi(np.zeros((3, 2)), [0, 1, 1]),
    ],
)
def test_values_of_other_dimensions_are_refused(call):
    with pytest.raises(ValueError, match=r"needs \(N,\).*, and one label \(N,\) a row, N ≥ 1; got \(3, "):
        call()


def test_auroc_refuses_a_score_that_is_nan():
    with pytest.raises(ValueError, match=r"auroc: a score is NaN, .* number 1"):
        auroc([1.0, np.nan, 2.0], [0, 1, 1])


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="bins needs to be at least 1; got 0"):
        expected_calibration_error([[0.5, 0.5]], [0], bins=0)
