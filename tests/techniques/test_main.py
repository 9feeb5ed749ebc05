"""The command line: what it runs, where it writes, how it ends. The techniques are stand-ins here."""

import json
import shlex
from pathlib import Path

import pytest

from techniques import __main__ as cli
from techniques.report import Result
from tinygrad_lite.run import RunError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for the three techniques; the list of how each was called."""
    seen = []

    def stand_in(name):
        def run_demo(out, **options):
            out.mkdir(parents=True, exist_ok=True)
            seen.append((name, out, options))
            return Result(name, [("error", "1 %")], {"error": 0.01}, {}, 1.0)

        return run_demo

    techniques = {name: (stand_in(name), "a stand-in") for name in ("distill", "diffuse", "contrast")}
    monkeypatch.setattr(cli, "TECHNIQUES", techniques)
    return seen


def raising(monkeypatch, error):
    def run_demo(out, **options):
        raise error

    monkeypatch.setattr(cli, "TECHNIQUES", {"distill": (run_demo, "a stand-in")})


def test_demo_runs_all_three_each_in_a_folder_of_its_own(calls, capsys):
    assert cli.main(["demo", "--seed", "3"]) == 0
    assert [(name, out) for name, out, _ in calls] == [
        (name, Path("runs/demo") / name) for name in ("distill", "diffuse", "contrast")
    ]
    assert all(options["seed"] == 3 and not options["resume"] for _, _, options in calls)
    assert json.loads(Path("runs/demo/results.json").read_text())["options"]["seed"] == 3
    assert Path("runs/demo/report.html").exists()
    assert "contrast" in capsys.readouterr().out


def test_one_technique_takes_epochs_and_a_folder(calls):
    assert cli.main(["distill", "--epochs", "2", "--out", "here"]) == 0
    [(name, out, options)] = calls
    assert (name, out, options["epochs"]) == ("distill", Path("here"), 2)
    told = json.loads(Path("here/results.json").read_text())["options"]
    assert told == {"command": "distill", "seed": 0, "epochs": 2, "device": "cpu", "threads": 1}


def test_a_second_run_goes_into_a_folder_of_its_own(calls):
    cli.main(["demo"])
    cli.main(["demo"])
    assert calls[-1][1] == Path("runs/demo-2/contrast")


def test_resume_goes_on_in_the_newest_folder(calls):
    cli.main(["contrast"])
    cli.main(["contrast"])
    cli.main(["contrast", "--resume"])
    assert calls[-1][1] == Path("runs/contrast-2")
    assert calls[-1][2]["resume"]


def test_resume_of_a_folder_that_is_not_there_is_refused(calls, capsys):
    assert cli.main(["contrast", "--resume", "--out", "misspelt"]) == 1
    assert "misspelt holds no run: there is nothing to resume" in capsys.readouterr().err
    assert not calls


def test_a_folder_belongs_to_the_command_that_made_it(calls, capsys):
    cli.main(["distill", "--out", "here"])
    assert cli.main(["contrast", "--out", "here", "--resume"]) == 1
    assert "here holds a run of 'distill', not of 'contrast'" in capsys.readouterr().err
    assert cli.main(["distill", "--out", "here"]) == 1
    assert "here holds a run already: go on with it (--resume)" in capsys.readouterr().err
    assert len(calls) == 1


def test_a_folder_with_other_things_in_it_is_left_alone(calls, capsys):
    Path("docs").mkdir()
    Path("docs/mine.txt").write_text("")
    assert cli.main(["distill", "--out", "docs"]) == 1
    assert "docs holds other things: choose a new one" in capsys.readouterr().err
    assert not calls


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["distil"], "invalid choice: 'distil'"),
        (["distill", "--epochs", "0"], "--epochs: must be a whole number from 1 on; got '0'"),
        (["demo", "--seed", "-1"], "--seed: must be a whole number from 0 on; got '-1'"),
        (["demo", "--device", "gpu"], "--device: device: expected 'cpu', 'cuda' or 'cuda:1'; got 'gpu'"),
        (["demo", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
    ],
)
def test_bad_options_end_with_code_2_and_say_what_would_be_right(argv, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(argv)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


def test_a_gpu_that_cannot_be_used_is_said_at_once(monkeypatch, capsys):
    monkeypatch.setattr(cli, "cuda_problem", lambda: "no driver")
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["demo", "--device", "cuda"])
    assert exit_info.value.code == 2
    assert "cuda cannot be used: no driver" in capsys.readouterr().err


def test_a_folder_that_is_a_file_ends_in_one_line(calls, capsys):
    Path("taken").write_text("")
    assert cli.main(["distill", "--out", "taken/run"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot use taken" in error


def test_a_run_that_is_refused_ends_in_one_line(monkeypatch, capsys):
    raising(monkeypatch, RunError("runs/distill is in use by process 1"))
    assert cli.main(["distill"]) == 1
    assert capsys.readouterr().err == "techniques: runs/distill is in use by process 1\n"


def test_ctrl_c_ends_with_130_and_tells_how_to_go_on(monkeypatch, capsys):
    raising(monkeypatch, KeyboardInterrupt())
    assert cli.main(["distill", "--seed", "4", "--epochs", "7"]) == 130
    error = capsys.readouterr().err
    assert "python -m techniques distill --out runs/distill --seed 4 --epochs 7 --resume" in error


def test_the_command_that_goes_on_repeats_every_setting_and_survives_the_shell(monkeypatch, capsys):
    raising(monkeypatch, KeyboardInterrupt())
    cli.main(["distill", "--out", "my runs/a", "--threads", "2"])
    command = capsys.readouterr().err.strip().partition("checkpoint: ")[2]
    again = cli._parser().parse_args(shlex.split(command)[3:])
    assert again.resume
    assert (again.out, again.threads) == (Path("my runs/a"), 2)
