"""The experiment on the digits, shortened: what it leaves behind."""

import pytest

from techniques.diffusion import demo


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(demo, "JUDGE_EPOCHS", 1)
    monkeypatch.setattr(demo, "EACH", 8)
    monkeypatch.setattr(demo, "NUM_STEPS", 3)


def test_it_leaves_figures_and_pictures_and_repeats_itself(short, tmp_path):
    result, again = (demo.run_demo(tmp_path / name, epochs=1, progress=False) for name in "ab")
    assert result.figures == again.figures
    assert result.figures.keys() == {"drawn_of_class", "untrained_of_class", "judge_error", "loss"}
    assert len(result.rows) == 3
    assert all(path.is_file() and tmp_path / "a" in path.parents for path in result.pictures.values())
    assert len(result.pictures) == 3
    assert result.seconds > 0


def test_a_finished_one_resumes_to_the_same_figures(short, tmp_path):
    result = demo.run_demo(tmp_path, epochs=1, progress=False)
    again = demo.run_demo(tmp_path, epochs=1, progress=False, resume=True)
    assert again.figures == result.figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nine_of_ten_drawn_digits_are_of_their_class(seed, tmp_path):
    figures = demo.run_demo(tmp_path, seed=seed, progress=False).figures
    assert figures["drawn_of_class"] >= 0.9
    assert figures["untrained_of_class"] <= 0.2
    assert figures["judge_error"] < 0.03
