"""The command line: what `info` prints, and what `check` finds, by its table and its exit code."""

import importlib.metadata
import sys

import numpy as np
import pytest

from tests import strict_cupy
from tinygrad_lite import __main__ as command_line
from tinygrad_lite import backend
from tinygrad_lite.__main__ import main
from tinygrad_lite.checking.cases import CASES, Case
from tinygrad_lite.checking.cases.case import normal, strided
from tinygrad_lite.ops.elementwise import Mul


@pytest.fixture
def cases(monkeypatch):
    """Two cases of mul and one of add, in place of all that there are."""
    few = [
        Case("mul: by itself", lambda t, x: x * x, (normal(2, 3),)),
        Case("mul: broadcast", lambda t, x, y: x * y, (strided(normal(2, 3)), normal(3))),
        Case("add", lambda t, x, y: x + y, (normal(4), normal())),
    ]
    monkeypatch.setattr(command_line, "CASES", few)
    return few


# -- info ------------------------------------------------------------------------------------------------


def info(capsys):
    assert main(["info"]) == 0
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


def test_info_names_the_versions_and_the_cores(capsys):
    rows = info(capsys)
    assert rows["Python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert rows["NumPy"] == np.__version__
    assert int(rows["cores"]) >= 1


def test_info_names_the_blas_its_kernels_and_its_threads(capsys, monkeypatch):
    pool = {"internal_api": "openblas", "version": "0.3.31", "architecture": "Haswell", "num_threads": 2}
    monkeypatch.setattr(command_line.threadpoolctl, "threadpool_info", lambda: [pool])
    assert info(capsys)["BLAS"] == "openblas 0.3.31, kernels for Haswell, threads: 2"


@pytest.mark.parametrize("missing", [{"version": None}, {"version": None, "architecture": None}])
def test_info_does_without_what_a_blas_does_not_tell(capsys, monkeypatch, missing):
    pool = {"internal_api": "accelerate", "num_threads": 1} | missing
    monkeypatch.setattr(command_line.threadpoolctl, "threadpool_info", lambda: [pool])
    assert info(capsys)["BLAS"].split() == ["accelerate", ",", "threads:", "1"]


def test_info_tells_the_installed_version(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", {"tinygrad-lite": "3.2.1"}.get)
    assert info(capsys)["tinygrad_lite"] == "3.2.1"


def test_info_tells_that_it_runs_from_its_source(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert info(capsys)["tinygrad_lite"] == "not installed, run from its source"


def test_info_tells_why_there_is_no_gpu(capsys, monkeypatch):
    monkeypatch.setattr(command_line, "cuda_problem", lambda: "CuPy is not installed")
    assert info(capsys)["GPU"] == "CuPy is not installed"


def test_info_names_the_gpu(capsys, monkeypatch):
    for name, module in strict_cupy.MODULES.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(backend, "_cuda", {})
    assert info(capsys)["GPU"] == "NumPy behind a stand-in for CuPy, by CuPy 13.6.0"


# -- check -----------------------------------------------------------------------------------------------


def test_check_finds_all_right_and_ends_with_0(capsys, cases):
    assert main(["check"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["op", "case", "inputs", "ok", "worst", "error"]
    assert [" ".join(row.split()[:-1]) for row in rows[:3]] == [
        "mul by itself (2, 3) yes",
        "mul broadcast (2, 3) (3,) yes",
        "add (4,) () yes",
    ]
    assert rows[-1] == "3 cases, 0 problems"


@pytest.mark.parametrize(
    ("patterns", "count"), [(["mul"], 2), (["broad"], 1), (["add", "itself"], 2), (["mul", "broad"], 2)]
)
def test_check_takes_the_cases_with_one_of_the_patterns_in_their_name(capsys, cases, patterns, count):
    assert main(["check", *patterns]) == 0
    assert f"{count} cases, 0 problems" in capsys.readouterr().out


def test_check_finds_a_wrong_gradient_and_ends_with_1(capsys, cases, monkeypatch):
    monkeypatch.setattr(Mul, "backward", lambda self, grad, a, b: (grad * b, grad * b))
    assert main(["check", "--first-only"]) == 1
    out = capsys.readouterr().out
    assert "yes" in next(line for line in out.splitlines() if line.startswith("mul  by itself"))
    assert "NO" in next(line for line in out.splitlines() if line.startswith("mul  broadcast"))
    assert "mul: broadcast: the gradient of input 1, shape (3,), is wrong at 3 of 3 elements" in out


def test_check_finds_a_wrong_second_gradient_unless_told_to_leave_it_out(capsys, monkeypatch):
    def cut(t, x):
        return x * x.detach() + x.detach() * x - x.detach() * x.detach()

    monkeypatch.setattr(command_line, "CASES", [Case("cut", cut, (normal(3),))])
    assert main(["check", "--first-only"]) == 0
    assert main(["check"]) == 1
    assert "gradient of cut: the gradient of input 0" in capsys.readouterr().out


def test_check_looks_only_at_the_inputs_that_a_case_names(capsys, monkeypatch):
    case = Case("mul", lambda t, x, y: x * y.detach(), (normal(3), normal(3)), wrt=(0,))
    monkeypatch.setattr(command_line, "CASES", [case])
    assert main(["check", "--first-only"]) == 0


def test_check_goes_on_after_a_case_that_raises(capsys, cases, monkeypatch):
    def broken(t, x):
        raise ValueError("this op is broken")

    cases.insert(0, Case("broken", broken, (normal(3),)))
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "broken: ValueError: this op is broken" in out
    assert "4 cases, 1 problems" in out


def test_a_gradient_that_is_nan_has_the_worst_error(capsys, monkeypatch):
    monkeypatch.setattr(Mul, "backward", lambda self, grad, a, b: (grad * float("nan"), grad * a))
    monkeypatch.setattr(command_line, "CASES", [Case("mul", lambda t, x, y: x * y, (normal(2), normal(2)))])
    assert main(["check", "--first-only"]) == 1
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["NO", "inf"]


def test_a_pattern_that_no_case_has_ends_with_2_and_names_the_ops(capsys, cases):
    assert main(["check", "soft", "max"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "check: no case has soft or max in its name; there are add, mul\n")


def test_one_pattern_that_no_case_has_is_enough_to_stop(capsys, cases):
    assert main(["check", "mul", "max"]) == 2
    assert capsys.readouterr().err.startswith("check: no case has max in its name")


def test_check_has_the_cases_of_every_op(capsys):
    assert main(["check", "relu", "--first-only"]) == 0
    assert [case.name for case in command_line.CASES] == [case.name for case in CASES]


# -- usage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [[], ["chek"], ["check", "--second"]])
def test_bad_usage_ends_with_2(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: python -m tinygrad_lite" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["info", "--help"], ["check", "--help"]])
def test_help_ends_with_0(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m tinygrad_lite")


def test_ctrl_c_ends_with_130_and_one_line(capsys, cases, monkeypatch):
    def interrupted(t, x):
        raise KeyboardInterrupt

    cases.insert(0, Case("slow", interrupted, (normal(3),)))
    assert main(["check"]) == 130
    assert capsys.readouterr().err == "stopped\n"
