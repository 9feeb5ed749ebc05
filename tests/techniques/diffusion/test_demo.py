"""The experiment on the digits, shortened: what it leaves behind."""

import pytest

from techniques.diffusion import demo


def test_it_leaves_figures_and_pictures_and_resumes_to_the_same(monkeypatch, tmp_path):
    for name, value in {"EACH": 8, "NUM_STEPS": 2, "JUDGE_EPOCHS": 1}.items():
        monkeypatch.setattr(demo, name, value)
    result = demo.run_demo(tmp_path, epochs=1, progress=False)
    assert result.figures.keys() == {"drawn_of_class", "untrained_of_class", "judge_error", "loss"}
    assert len(result.rows) == len(result.pictures) == 3
    assert all(path.is_file() and tmp_path in path.parents for path in result.pictures.values())
    assert demo.run_demo(tmp_path, epochs=1, progress=False, resume=True).figures == result.figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nine_of_ten_drawn_digits_are_of_their_class(seed, tmp_path):
    figures = demo.run_demo(tmp_path, seed=seed, progress=False).figures
    assert figures["drawn_of_class"] >= 0.9
    assert figures["untrained_of_class"] <= 0.2
    assert figures["judge_error"] < 0.03
