"""Embeddings and their uses: eval mode, a classifier against plain gradient descent, search, anomalies."""

import numpy as np
import pytest

from techniques.contrastive.use import anomaly_scores, embed, fit_classifier, search
from techniques.models import ResNet
from tinygrad_lite import manual_seed
from tinygrad_lite.metrics import accuracy


@pytest.fixture
def backbone():
    manual_seed(0)
    return ResNet(widths=(4, 6))


@pytest.fixture
def images(rng):
    return rng.standard_normal((7, 1, 8, 8), dtype=np.float32)


# -- embed ---------------------------------------------------------------------------------------------


def test_features_are_the_backbones_output_in_eval_mode(backbone, images):
    features = embed(backbone, images)
    backbone.eval()
    np.testing.assert_array_equal(features, backbone(images).numpy())


def test_embedding_changes_neither_the_mode_nor_the_statistics(backbone, images):
    for mode in (True, False):
        backbone.train(mode)
        before = {name: value.numpy().copy() for name, value in backbone.state_dict().items()}
        embed(backbone, images)
        assert backbone.training == mode
        assert all(module.training == mode for module in backbone.modules())
        for name, value in backbone.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
def test_the_size_of_batches_does_not_matter(backbone, images, batch_size):
    np.testing.assert_allclose(embed(backbone, images, batch_size), embed(backbone, images), atol=1e-6)


def test_a_backbone_on_a_gpu_gives_the_same_features_as_numpy_arrays(cuda, backbone, images):
    features = embed(backbone, images)
    moved = embed(backbone.to(cuda), images)
    assert type(moved) is np.ndarray
    np.testing.assert_allclose(moved, features, atol=1e-5)


# -- fit_classifier ------------------------------------------------------------------------------------


def groups(rng, scale=1.0, offset=0.0):
    """Features of three classes that overlap a little: (90, 4) and (90,)."""
    labels = np.repeat(np.arange(3), 30)
    return offset + scale * (2 * np.eye(3, 4)[labels] + rng.standard_normal((90, 4))), labels


def penalized_loss_and_slope(p, x, labels, weight_decay):
    """Of multinomial regression with parameters p (classes, d + 1), the last column being the bias."""
    ones = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    e = np.exp(ones @ p.T)
    q = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(q[np.arange(len(x)), labels]).mean() + weight_decay / 2 * (p**2).sum()
    return loss, (q - np.eye(len(p))[labels]).T @ ones / len(x) + weight_decay * p


def test_the_classifier_is_the_best_one_of_standardized_features(rng):
    x, labels = groups(rng)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    best = np.zeros((3, 5))
    for _ in range(2000):
        best -= penalized_loss_and_slope(best, x, labels, 0.01)[1]
    classifier = fit_classifier(x, labels, weight_decay=0.01)
    fitted = np.concatenate([classifier.weight.numpy(), classifier.bias.numpy()[:, None]], axis=1)
    centered = fitted - fitted.mean(axis=0)  # what all classes share changes no prediction
    np.testing.assert_allclose(centered, best, atol=0.02)
    at_best, _ = penalized_loss_and_slope(best, x, labels, 0.01)
    assert penalized_loss_and_slope(fitted, x, labels, 0.01)[0] == pytest.approx(at_best, rel=1e-3)


def test_scale_and_offset_of_the_features_do_not_matter():
    x, labels = groups(np.random.default_rng(0))
    moved, _ = groups(np.random.default_rng(0), scale=np.array([1e-2, 1, 7, 100]), offset=3.0)
    logits, logits_moved = (fit_classifier(z, labels)(z.astype("float32")).numpy() for z in (x, moved))
    np.testing.assert_allclose(logits_moved, logits, atol=1e-3)


def test_separated_classes_are_told_apart(rng):
    x, labels = groups(rng)
    x[:, :3] += 20 * np.eye(3)[labels]
    assert accuracy(fit_classifier(x, labels)(x.astype("float32")).numpy(), labels) == 1


def test_a_constant_feature_gets_no_weight(rng):
    x, labels = groups(rng)
    classifier = fit_classifier(np.concatenate([x, np.full((90, 1), 0.3)], axis=1), labels)
    assert (classifier.weight.numpy()[:, 4] == 0).all()


def test_the_fit_has_no_seed(rng):
    x, labels = groups(rng)
    manual_seed(1)
    one = fit_classifier(x, labels)
    manual_seed(2)
    other = fit_classifier(x, labels)
    np.testing.assert_array_equal(one.weight.numpy(), other.weight.numpy())


def test_features_and_labels_that_do_not_match_are_refused(rng):
    message = r"fit_classifier: needs features \(N, d\) and labels \(N,\); got \(6, 1, 8\) and \(6,\)"
    with pytest.raises(ValueError, match=message):
        fit_classifier(np.zeros((6, 1, 8)), np.zeros(6, dtype=int))
    with pytest.raises(ValueError, match=r"got \(6, 8\) and \(5,\)"):
        fit_classifier(np.zeros((6, 8)), np.zeros(5, dtype=int))


# -- search --------------------------------------------------------------------------------------------


def test_search_finds_the_rows_in_the_order_of_their_cosines(rng):
    queries, gallery = rng.standard_normal((4, 3)), rng.standard_normal((9, 3))
    found, cosines = search(queries, gallery, 5)
    for query, rows, values in zip(queries, found, cosines, strict=True):
        all_cosines = [q @ query / np.linalg.norm(q) / np.linalg.norm(query) for q in gallery]
        assert rows.tolist() == np.argsort(all_cosines)[::-1][:5].tolist()
        np.testing.assert_allclose(values, np.sort(all_cosines)[::-1][:5])


def test_a_row_finds_itself_in_a_gallery_that_holds_it_and_not_among_the_others(rng):
    x = rng.standard_normal((6, 3))
    found, cosines = search(x, x, 1)
    assert found[:, 0].tolist() == list(range(6))
    np.testing.assert_allclose(cosines, 1)
    found, cosines = search(x, None, 5)
    assert all(i not in row for i, row in enumerate(found))
    assert (cosines < 1 - 1e-9).all()


def test_more_neighbors_than_rows_are_refused(rng):
    with pytest.raises(ValueError, match="nearest_neighbors: k needs to be from 1 to 6; got 7"):
        search(rng.standard_normal((2, 3)), rng.standard_normal((6, 3)), 7)


# -- anomalies -----------------------------------------------------------------------------------------


def test_the_score_grows_with_the_angle_to_the_reference_from_0_to_2():
    at_0_45_90_and_180_degrees = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    scores = anomaly_scores(np.array([[1.0, 0.0]]), at_0_45_90_and_180_degrees, k=1)
    np.testing.assert_allclose(scores, [0, 1 - np.sqrt(1 / 2), 1, 2], atol=1e-15)


def test_the_score_is_the_mean_over_the_nearest():
    reference, x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), np.array([[1.0, 0.0]])
    assert anomaly_scores(reference, x, k=1) == pytest.approx([0])
    assert anomaly_scores(reference, x, k=2) == pytest.approx([1 / 2])
    assert anomaly_scores(reference, x, k=3) == pytest.approx([1])
