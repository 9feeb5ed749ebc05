"""The experiment on the digits: what it leaves behind, and the claim it makes."""

import json

import numpy as np
import pytest

from techniques.contrastive import demo
from techniques.contrastive.demo import draw_labeled, run_demo
from techniques.models import ResNet


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "ResNet", lambda: ResNet(widths=(4, 8)))


def test_it_leaves_figures_and_pictures_and_resumes_to_the_same(small, tmp_path):
    result = run_demo(tmp_path, epochs=1, progress=False)
    assert json.loads(json.dumps(result.figures)) == result.figures
    assert all(0 <= value <= 1 for name, value in result.figures.items() if name != "loss")
    assert len(result.pictures) == 2
    assert all(path.is_file() and tmp_path in path.parents for path in result.pictures.values())
    few = [f"{result.figures[f'{name}_few_labels']:.1%}" for name in ("contrastive", "random", "pixels")]
    assert [value for _, value in result.rows[:3]] == few
    assert result.figures["pixels_few_labels"] < result.figures["pixels_all_labels"] - 0.02
    assert run_demo(tmp_path, epochs=1, progress=False, resume=True).figures == result.figures


def test_the_labeled_samples_are_so_many_of_each_class_and_follow_the_seed():
    labels = np.tile(np.arange(4), 20)
    chosen = draw_labeled(labels, 3, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [3, 3, 3, 3]
    assert sorted(draw_labeled(labels, 20, seed=0)) == list(range(80))
    assert np.array_equal(chosen, draw_labeled(labels, 3, seed=0))
    assert not np.array_equal(chosen, draw_labeled(labels, 3, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_ten_labels_a_class_contrastive_features_beat_random_ones_and_pixels(seed, tmp_path):
    figures = run_demo(tmp_path, seed=seed, progress=False).figures
    assert figures["contrastive_few_labels"] >= 0.93
    assert figures["contrastive_few_labels"] > figures["random_few_labels"] + 0.1
    assert figures["contrastive_few_labels"] > figures["pixels_few_labels"] + 0.03
    assert figures["contrastive_recall_at_1"] > figures["random_recall_at_1"] + 0.08
    assert figures["contrastive_nmi"] > figures["pixels_nmi"]
