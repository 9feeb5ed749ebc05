"""K-means: on groups that are plain to see, and against all partitions of a few points."""

import itertools

import numpy as np
import pytest

from techniques.contrastive.cluster import kmeans


def test_separated_groups_become_the_clusters(rng):
    groups = np.repeat(np.arange(3), 20)
    x = 50.0 * np.eye(3)[groups] + rng.standard_normal((60, 3))
    clusters = kmeans(x, 3, rng)
    assert len({*zip(groups, clusters, strict=True)}) == 3


def test_clusters_are_no_worse_than_the_best_of_all_partitions(rng):
    x = rng.standard_normal((7, 2))

    def cost(clusters):
        clusters = np.asarray(clusters)
        parts = [x[clusters == c] for c in set(clusters.tolist())]
        return sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts)

    assert cost(kmeans(x, 2, rng)) == pytest.approx(min(map(cost, itertools.product((0, 1), repeat=7))))


def test_one_restart_finds_groups_that_lie_far_apart(rng):
    groups = np.repeat(np.arange(12), [100, *[5] * 11])  # points drawn alike would mostly be of the first
    x = 1000.0 * np.eye(12)[groups] + rng.standard_normal((155, 12))
    clusters = kmeans(x, 12, rng, restarts=1)
    assert len({*zip(groups, clusters, strict=True)}) == 12


def test_as_many_clusters_as_points_give_each_its_own(rng):
    assert sorted(kmeans(np.arange(5.0)[:, None], 5, rng)) == [0, 1, 2, 3, 4]


def test_one_cluster_holds_all_points(rng):
    assert (kmeans(rng.standard_normal((6, 2)), 1, rng) == 0).all()


def test_equal_points_are_no_obstacle(rng):
    assert kmeans(np.ones((6, 2)), 3, rng).shape == (6,)


def test_clusters_are_a_function_of_the_generator(rng):
    x = rng.standard_normal((40, 3))
    first, again = (kmeans(x, 4, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)


def test_more_clusters_than_points_are_refused(rng):
    with pytest.raises(
        ValueError, match=r"kmeans: needs x \(N, d\) and k from 1 to N; got \(2, 1\) and k = 3"
    ):
        kmeans(np.zeros((2, 1)), 3, rng)


def test_no_restart_and_no_step_are_refused(rng):
    with pytest.raises(ValueError, match="kmeans: needs restarts and steps of at least 1; got 0 and 100"):
        kmeans(np.zeros((2, 1)), 1, rng, restarts=0)
    with pytest.raises(ValueError, match="kmeans: needs restarts and steps of at least 1; got 10 and 0"):
        kmeans(np.zeros((2, 1)), 1, rng, steps=0)
