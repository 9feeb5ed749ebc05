"""The example of distillation: that it runs, and with -m slow what its header promises."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "distill_digits.py"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example as a module; its picture goes to `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("distill_digits", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
