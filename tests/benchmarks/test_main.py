"""The command line and the report."""

import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.measure import Comparison


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "torch,tinygrad"], "no workload is written for tinygrad; there are torch, autograd"),
        (["--against", "torch", "--only", "lennet"], "no workload lennet; --help lists them"),
        (["--cpu-time", "--threads", "2"], "needs --threads 1"),
        (["--turns", "0"], "needs at least 1; got 0"),
        (["--turns", "-1"], "needs at least 1; got -1"),
        (["--profile", "--readme"], "--profile measures no ratios"),
        (["--json", "no/such/folder/x.json"], "there is no folder"),
    ],
)
def test_what_cannot_be_measured_or_written_is_refused_at_once(arguments, message, capsys, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: name)
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert message in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_told(capsys, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "mlp"])
    assert "torch is not installed: pip install -e '.[bench]'" in capsys.readouterr().err


def comparison(name, ratio, others=0.0):
    return Comparison(name, ratio, 1.0, [ratio], 3_000_000, None, 5, others)


def test_a_row_tells_seconds_ratio_memory_and_products():
    cells = report.row(comparison("mlp", 0.5), 20.0, is_marked=True).split()
    assert cells == ["mlp", "500.000", "1000.000", "0.50", "(0.50-0.50)", "3", "50%", "25%"]


def test_a_row_is_marked_where_others_used_the_cores():
    disturbed = comparison("mlp", 1.0, others=0.7)
    assert report.row(disturbed, 1.0, is_marked=True).endswith("others: 0.7 cores")
    assert "others" not in report.row(disturbed, 1.0, is_marked=False)
    assert "warning" in report.conclusion([disturbed], is_marked=True)
    assert "warning" not in report.conclusion([disturbed], is_marked=False)


def test_the_mean_is_geometric_and_over_training_steps():
    results = [comparison("mlp", 4.0), comparison("lenet", 1.0), comparison("overhead", 100.0)]
    said = report.conclusion(results, is_marked=True)
    assert said == "geometric mean of 2 training steps: 2.00, worst 4.00"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("resnet", ["resnet"]),
        ("mlp,ntxent", ["mlp", "ntxent-512", "ntxent-4096"]),
        ("conv-forward-32-32-k3-28", ["conv-forward-32-32-k3-28"]),
    ],
)
def test_a_name_chooses_its_workload_or_those_that_go_on_from_it(text, names):
    assert [workload.name for workload in command.chosen_workloads(text)] == names


def test_the_readme_gets_a_row_a_workload_and_the_means():
    found = {"torch": [comparison("mlp", 4.0), comparison("lenet", 1.0), comparison("conv-forward-a", 0.5)]}
    assert report.markdown(found).splitlines()[2:] == [
        "| **torch** |  |  |  |  |  |",
        "| mlp | 4000.00 | 1000.00 | 4.00 (4.00 to 4.00) | 3 |  |",
        "| lenet | 1000.00 | 1000.00 | 1.00 (1.00 to 1.00) | 3 |  |",
        "| geometric mean of 2 training steps |  |  | 2.00, worst 4.00 |  |  |",
        "| geometric mean of 1 convolutions |  |  | 0.50, worst 0.50 |  |  |",
    ]


def test_the_readme_tells_the_command_that_measured(monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: name)
    options = command._parser().parse_args(["--against", "torch", "--only", "mlp", "--cpu-time", "--readme"])
    told = report.told(command._command(options), cpu_time=True, threads=1)
    assert told.startswith("`python -m benchmarks --against torch --only mlp --cpu-time`")
    assert told.endswith("1 thread a side, seconds of CPU:")
    fewer = command._parser().parse_args(["--turns", "3"])
    assert command._command(fewer) == "python -m benchmarks --against torch --turns 3"
    everything = command._parser().parse_args([])
    assert command._command(everything) == "python -m benchmarks --against torch"
