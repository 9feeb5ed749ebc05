"""The examples that take under a second: what their headers promise."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_autograd_in_60_lines_agrees_with_differences():
    assert load("autograd_in_60_lines").main()["largest difference"] < 1e-8


def test_your_own_op_shows_the_curvature_and_the_message(capsys):
    assert load("your_own_op").main()["curvature at 0"] == pytest.approx(0.25)
    assert "wrong softplus: the gradient of input 0, shape (7,), is wrong at 6" in capsys.readouterr().out


def test_your_numpy_code_is_told_right_from_wrong(capsys):
    found = load("check_your_numpy_code").main()
    assert found == {"batchnorm_backward": True, "batchnorm_backward_wrong": False}
    assert "batchnorm_backward_wrong: the gradient of input 0" in capsys.readouterr().out
