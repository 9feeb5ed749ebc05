"""The example of distillation: that it runs, and with -m slow what its header promises."""

import numpy as np
import pytest

from tests.examples.test_small_examples import load


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example as a module; its picture goes to `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    return load("distill_digits")


def test_one_epoch_gives_a_table_and_a_picture(example, tmp_path, capsys):
    errors = example.main(epochs=1)
    assert list(errors) == ["teacher", "student alone", "student distilled"]
    printed = capsys.readouterr().out
    assert all(f"{name:<18} {percent:5.1f} % error" in printed for name, percent in errors.items())
    assert (tmp_path / "out" / "distill_digits.png").exists()


@pytest.mark.slow
def test_the_distilled_student_errs_at_most_half_as_often_in_the_mean_of_3_seeds(example):
    runs = [example.main(seed=seed) for seed in range(3)]
    alone, distilled = (np.mean([run[f"student {how}"] for run in runs]) for how in ("alone", "distilled"))
    assert distilled <= alone / 2
