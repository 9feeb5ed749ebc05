"""The example of diffusion: that it runs, and with -m slow what its header promises."""

import pytest

from tests.examples.test_small_examples import load


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example as a module; its picture goes to `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return load("diffuse_digits")


def test_one_epoch_gives_a_share_and_a_picture(example, tmp_path, capsys):
    found = example.main(epochs=1)
    assert 0 <= found["nearest is of the class"] <= 1
    assert "epoch 1: loss" in capsys.readouterr().out
    assert (tmp_path / "out" / "diffuse_digits.png").exists()


@pytest.mark.slow
def test_most_drawn_digits_are_nearest_to_a_real_one_of_their_class(example):
    assert example.main()["nearest is of the class"] >= 0.8
