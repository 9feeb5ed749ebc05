"""The contrastive example: that it runs, and what its header promises."""

import pytest

from tests.examples.test_small_examples import load


def test_it_runs_and_leaves_its_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    right = load("contrast_digits").main(epochs=1)
    assert right.keys() == {"pixels", "random backbone", "contrastive"}
    assert (tmp_path / "out" / "contrast_digits.png").is_file()
    assert f"{right['contrastive']:.1%} of the test digits right" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_contrastive_features_need_the_fewest_labels(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    right = load("contrast_digits").main(seed=seed)
    assert right["contrastive"] == pytest.approx(0.96, abs=0.025)
    assert right["contrastive"] >= right["pixels"] + 0.03
    assert right["contrastive"] >= right["random backbone"] + 0.1
