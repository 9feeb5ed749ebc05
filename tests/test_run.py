"""Runs: resumed ones equal uninterrupted ones bit for bit; folders that do not fit are refused in a line."""

import io
import os
import signal
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest

from tests.house import ROOT
from tinygrad_lite import Tensor, checkpoint, manual_seed
from tinygrad_lite.backend import ambient_rng, keyed_rng
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.nn import Linear, ReLU, Sequential
from tinygrad_lite.optim import Adam, ExponentialMovingAverage, WarmupCosine
from tinygrad_lite.run import Run, RunError, Step, read_log

SAMPLES, BATCH, EPOCHS = 22, 4, 3
TOTAL = 18  # 6 batches an epoch


class StoppedError(Exception):
    """What interrupts a run in these tests."""


class Training:
    """A small real training, with all that has a state."""

    def __init__(self, seed=0):
        manual_seed(seed)
        rng = np.random.default_rng(5)
        x, y = (rng.standard_normal((SAMPLES, n), dtype="float32") for n in (3, 2))
        self.loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True, seed=seed)
        self.model = Sequential(Linear(3, 5), ReLU(), Linear(5, 2))
        self.optimizer = Adam(self.model.parameters(), lr=0.01)
        self.schedule = WarmupCosine(self.optimizer, warmup=4, total=TOTAL)
        self.average = ExponentialMovingAverage(self.model, 0.9)
        self.state = {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "average": self.average,
        }

    def __call__(self, folder, stop_in=None, stop_with=StoppedError, **options):
        """Train; but raise `stop_with` in the step number `stop_in`, after the optimizer and the log."""
        with Run(folder, state=self.state, checkpoint_every=4, **options) as run:
            for step, (data, targets) in run.steps(self.loader, EPOCHS):
                noise = step.rng("noise").standard_normal(data.shape, dtype="float32")
                dropped = ambient_rng().random(data.shape, dtype="float32") > 0.1
                loss = ((self.model((data + 0.1 * noise) * dropped) - targets) ** 2).mean()
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.schedule.step()
                self.average.update()
                run.log(loss=loss, lr=self.optimizer.param_groups[0]["lr"])
                if step.index == stop_in:
                    raise stop_with
            run.log(draw=ambient_rng().random())
        return self


def bits(folder):
    """All that a run leaves: the log's bytes, and the checkpoint's."""
    return (folder / "log.jsonl").read_bytes(), (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    training = Training()(folder)
    return bits(folder), training


def steps_of(folder, epochs=1, loader=None, **options):
    """A run that trains nothing; its steps."""
    with Run(folder, **options) as run:
        return [step for step, _ in run.steps(loader or DataLoader(np.arange(6)), epochs)]


# -- resuming --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_in", [0, 2, 3, 4, 5, 6, 11, 15, 17])
def test_a_stopped_run_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, uninterrupted, stop_in):
    with pytest.raises(StoppedError):
        Training()(tmp_path, stop_in)
    training = Training(seed=0)(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]
    for name, w in training.model.state_dict().items():
        np.testing.assert_array_equal(w.numpy(), uninterrupted[1].model.state_dict()[name].numpy())


def test_a_run_stopped_three_times_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, uninterrupted):
    for stop_in in (3, 9, 13):
        with pytest.raises(StoppedError):
            Training()(tmp_path, stop_in, resume=True)
    Training()(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]


def test_another_start_of_the_parameters_does_not_matter_once_there_is_a_checkpoint(tmp_path, uninterrupted):
    with pytest.raises(StoppedError):
        Training()(tmp_path, 9)
    training = Training()
    for p in training.model.parameters():
        p.data[:] = 9
    training(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]


def test_a_run_killed_by_the_system_is_resumed_to_the_same_bits(tmp_path, uninterrupted):
    script = f"""
        import os, signal
        from pathlib import Path
        from tests.test_run import Training
        from tinygrad_lite.run import Run
        log = Run.log
        def log_and_die(run, **values):
            log(run, **values)
            if run.index == 10:
                os.kill(os.getpid(), signal.SIGKILL)
        Run.log = log_and_die
        Training()(Path({str(tmp_path)!r}))
    """
    killed = subprocess.run([sys.executable, "-c", dedent(script)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_log(tmp_path)["step"]) == 11
    Training()(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]


def test_ctrl_c_passes_through_and_the_last_checkpoint_resumes(tmp_path, uninterrupted):
    with pytest.raises(KeyboardInterrupt):
        Training()(tmp_path, 7, KeyboardInterrupt)
    Training()(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_a_stop_while_a_checkpoint_is_written_is_resumed_from_the_one_before(
    tmp_path, uninterrupted, monkeypatch, stage
):
    def stop(*_):
        raise StoppedError

    with pytest.raises(StoppedError):
        Training()(tmp_path, 6)
    monkeypatch.setattr(os, stage, stop)
    with pytest.raises(StoppedError):
        Training()(tmp_path, resume=True)
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "checkpoint.safetensors")["index"] == 4
    Training()(tmp_path, resume=True)
    assert bits(tmp_path) == uninterrupted[0]


def test_a_finished_run_trains_nothing_more_and_gives_its_parameters_back(tmp_path, uninterrupted):
    Training()(tmp_path)
    training = Training()
    for p in training.model.parameters():
        p.data[:] = 9
    training(tmp_path, stop_in=0, resume=True)
    assert bits(tmp_path) == uninterrupted[0]
    w, v = (t.model.state_dict()["0.weight"].numpy() for t in (training, uninterrupted[1]))
    np.testing.assert_array_equal(w, v)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(tmp_path, uninterrupted):
    Training()(tmp_path / "again")
    Training()(tmp_path / "other", seed=1)
    assert bits(tmp_path / "again") == uninterrupted[0]
    assert bits(tmp_path / "other")[0] != uninterrupted[0][0]


def test_a_resumed_run_that_logs_no_more_can_be_resumed_again(tmp_path):
    with pytest.raises(StoppedError):
        Training()(tmp_path, 6)
    for _ in range(2):
        training = Training()
        with Run(tmp_path, state=training.state, resume=True) as run:
            list(run.steps(training.loader, EPOCHS))
    assert len(read_log(tmp_path)["step"]) == 4


def test_the_log_is_on_disk_before_the_checkpoint_that_names_its_size(tmp_path, monkeypatch):
    files = []
    with Run(tmp_path) as run:
        for _ in run.steps(DataLoader(np.arange(1))):
            monkeypatch.setattr(os, "fsync", lambda file: files.append(os.fstat(file).st_ino))
    assert files.index((tmp_path / "log.jsonl").stat().st_ino) == 0
    assert len(files) == 2


def test_resuming_where_there_is_no_run_starts_one(tmp_path):
    assert len(steps_of(tmp_path / "new", resume=True)) == 6


def test_a_loop_left_by_break_is_not_finished(tmp_path):
    with Run(tmp_path, checkpoint_every=2) as run:
        for step, _ in run.steps(DataLoader(np.arange(6))):
            if step.index == 3:
                break
    assert [step.index for step in steps_of(tmp_path, resume=True)] == [2, 3, 4, 5]


# -- steps -----------------------------------------------------------------------------------------------


def test_steps_count_through_the_epochs(tmp_path):
    steps = steps_of(tmp_path, epochs=2, loader=DataLoader(np.arange(3)))
    assert [(step.index, step.epoch) for step in steps] == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 1)]


def test_the_batches_are_those_of_the_loader(tmp_path):
    loader = DataLoader(np.arange(7), 2, shuffle=True, seed=3)
    with Run(tmp_path) as run:
        batches = [batch.tolist() for _, batch in run.steps(loader, epochs=2)]
    assert batches == [b.tolist() for epoch in range(2) for b in loader.batches(epoch)]


def test_the_draws_of_a_step_follow_from_seed_purpose_and_index():
    assert Step(7, 3, 0).rng("noise").random() == keyed_rng(7, "noise", 3).random()


def test_the_ambient_draws_of_a_step_follow_from_seed_and_index(tmp_path):
    with Run(tmp_path, seed=7) as run:
        draws = [ambient_rng().random() for _ in run.steps(DataLoader(np.arange(3)))]
    assert draws == [keyed_rng(7, "ambient at a step", i).random() for i in range(3)]


def test_a_second_loop_is_refused(tmp_path):
    loader = DataLoader(np.arange(3))
    with Run(tmp_path) as run:
        list(run.steps(loader))
        with pytest.raises(RunError, match="steps: a run has one loop; open another Run"):
            list(run.steps(loader))


def test_checkpoints_come_every_n_steps_and_at_the_end(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with Run(tmp_path, checkpoint_every=2) as run:
        steps = run.steps(DataLoader(np.arange(5)))
        seen = [checkpoint.load(path)["index"] if path.exists() else None for _ in steps]
    assert seen == [None, None, 2, 2, 4]
    assert checkpoint.load(path)["index"] == 5


def test_checkpoint_every_below_1_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Run: checkpoint_every needs to be at least 1; got 0"):
        Run(tmp_path, checkpoint_every=0)


# -- the log ---------------------------------------------------------------------------------------------


def test_the_log_is_read_back_by_columns(tmp_path):
    with Run(tmp_path) as run:
        for step, _ in run.steps(DataLoader(np.arange(2)), epochs=2):
            run.log(loss=Tensor(step.index + 0.5), accuracy=np.float32(0.25))
    assert read_log(tmp_path) == {
        "step": [0, 1, 2, 3],
        "epoch": [0, 0, 1, 1],
        "loss": [0.5, 1.5, 2.5, 3.5],
        "accuracy": [0.25] * 4,
    }


def test_a_line_without_a_value_has_none_in_its_column(tmp_path):
    with Run(tmp_path) as run:
        for _ in run.steps(DataLoader(np.arange(2))):
            run.log(loss=1)
        run.log(error=0.5)
    assert read_log(tmp_path) == {
        "step": [0, 1, 2],
        "epoch": [0, 0, 1],
        "loss": [1.0, 1.0, None],
        "error": [None, None, 0.5],
    }


def test_a_line_is_in_the_file_as_soon_as_it_is_logged(tmp_path):
    with Run(tmp_path) as run:
        for step, _ in run.steps(DataLoader(np.arange(3))):
            run.log(loss=1.0)
            assert len(read_log(tmp_path)["loss"]) == step.index + 1


def test_a_loss_that_is_not_a_number_is_logged_as_such(tmp_path):
    with Run(tmp_path) as run:
        for _ in run.steps(DataLoader(np.arange(1))):
            run.log(loss=float("nan"))
    assert np.isnan(read_log(tmp_path)["loss"]).all()


def test_logging_before_the_first_step_is_refused(tmp_path):
    with (
        Run(tmp_path) as run,
        pytest.raises(RunError, match="log: there is no step yet; call it in `for step, "),
    ):
        run.log(loss=1.0)


def test_a_value_called_step_is_refused(tmp_path):
    with Run(tmp_path) as run:
        for _ in run.steps(DataLoader(np.arange(1))):
            with pytest.raises(TypeError, match="'step'"):
                run.log(step=1.0)


def test_a_folder_without_log_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"holds no run: .*log\.jsonl does not exist"):
        read_log(tmp_path)


# -- the bar ---------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(folder, monkeypatch, stream, **options):
    """What a run of 4 steps writes to stderr; the losses are 0, 1, 2, 3."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    with Run(folder, **options) as run:
        for step, _ in run.steps(DataLoader(np.arange(2)), epochs=2):
            run.log(loss=step.index)
    return stream.getvalue()


def test_the_bar_shows_label_epoch_steps_and_the_mean_loss(tmp_path, monkeypatch):
    last = shown(tmp_path, monkeypatch, Terminal(), label="distill").split("\r")[-1]
    assert last.startswith("distill, epoch 2 of 2: 100%")
    assert "4/4" in last
    assert "loss 1.5" in last


def test_the_bar_of_a_resumed_run_starts_where_the_run_stopped(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        Training()(tmp_path, 9)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    Training()(tmp_path, resume=True)
    assert [f" {n}/18 " in stream.getvalue() for n in (0, 8, 18)] == [False, True, True]


@pytest.mark.parametrize(
    ("stream", "progress"),
    [(io.StringIO(), True), (Terminal(), False)],
    ids=["no terminal", "progress=False"],
)
def test_there_is_no_bar_where_none_is_wanted(tmp_path, monkeypatch, stream, progress):
    assert shown(tmp_path, monkeypatch, stream, progress=progress) == ""


def test_the_bar_ends_its_line_when_a_step_raises(tmp_path, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(StoppedError):
        Training()(tmp_path, 3)
    assert stream.getvalue().endswith("\n")


# -- folders that do not fit -----------------------------------------------------------------------------


def refused(message, folder, **options):
    with pytest.raises(RunError, match=message) as caught:
        steps_of(folder, **options)
    assert "\n" not in str(caught.value)


def test_a_folder_with_a_run_is_not_overwritten_unless_asked(tmp_path):
    steps_of(tmp_path)
    before = bits(tmp_path)
    refused(r"holds a run already: go on with it \(--resume\), or choose another folder \(--out\)", tmp_path)
    assert bits(tmp_path) == before


def test_a_log_without_checkpoint_is_not_overwritten_unless_asked(tmp_path):
    (tmp_path / "log.jsonl").write_text("mine")
    refused("holds a run already", tmp_path)
    assert (tmp_path / "log.jsonl").read_text() == "mine"


def test_a_run_that_stopped_before_it_logged_anything_is_simply_started_again(tmp_path):
    with Run(tmp_path) as run:
        next(run.steps(DataLoader(np.arange(3))))
    assert len(steps_of(tmp_path)) == 6


def test_overwrite_starts_anew(tmp_path, uninterrupted):
    with pytest.raises(StoppedError):
        Training()(tmp_path, 9)
    Training()(tmp_path, overwrite=True)
    assert bits(tmp_path) == uninterrupted[0]


def test_what_was_overwritten_is_never_resumed(tmp_path, uninterrupted):
    Training()(tmp_path)
    with pytest.raises(StoppedError):
        Training()(tmp_path, 2, overwrite=True)
    with pytest.raises(StoppedError):
        Training()(tmp_path, 0, resume=True)


def test_overwrite_with_resume_resumes(tmp_path):
    steps_of(tmp_path)
    assert steps_of(tmp_path, resume=True, overwrite=True) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, r"holds a run with seed=0; it does not go on with seed=1: take the same, or choose"),
        ({"label": "b"}, r"holds a run with label='train'; it does not go on with label='b'"),
        ({"config": {"lr": 0.2, "sizes": (3, 4)}}, r"with lr=0\.1; it does not go on with lr=0\.2:"),
        ({"config": {"sizes": (3, 4), "wide": True}}, r"lr=0\.1, wide=None; .* with lr=None, wide=True:"),
        ({"epochs": 2}, r"holds a run with epochs=1; it does not go on with epochs=2"),
        ({"loader": DataLoader(np.arange(5))}, r"with batches=6; it does not go on with batches=5"),
        ({"state": {"model": Linear(1, 1)}}, r"with state=\[\]; it does not go on with state=\['model'\]"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(tmp_path, options, message):
    config = {"config": {"lr": 0.1, "sizes": (3, 4)}}
    steps_of(tmp_path, **config)
    refused(message, tmp_path, resume=True, **(config | options))


def test_the_same_settings_are_accepted(tmp_path):
    options = {"seed": 3, "config": {"lr": 0.1, "sizes": (3, 4)}, "label": "a"}
    steps_of(tmp_path, **options)
    assert steps_of(tmp_path, resume=True, **options) == []


def test_a_damaged_checkpoint_is_refused(tmp_path):
    steps_of(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused("is a safetensors file, but cut off or damaged", tmp_path, resume=True)


def test_a_checkpoint_that_is_not_of_a_run_is_refused(tmp_path):
    checkpoint.save(tmp_path / "checkpoint.safetensors", {"model": {}})
    refused("is the checkpoint of something else than a run", tmp_path, resume=True)


def test_a_log_that_lost_lines_is_refused(tmp_path):
    Training()(tmp_path)
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(RunError, match=r"log\.jsonl has lost lines since the last checkpoint"):
        Training()(tmp_path, resume=True)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    refused(r"file.* cannot be written \(.*\): choose another folder", tmp_path / place)


# -- one process at a time -------------------------------------------------------------------------------

HOLD = """
    import sys
    from tinygrad_lite.run import Run
    with Run(sys.argv[1]):
        print("open", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process with a run open in tmp_path."""
    command = [sys.executable, "-c", dedent(HOLD), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_folder_in_use_by_another_process_is_refused_by_its_number(tmp_path, holder):
    refused(rf"is in use by process {holder.pid}: wait for it, or choose another folder", tmp_path)


def test_a_folder_is_free_when_the_other_process_is_done(tmp_path, holder):
    holder.communicate()
    assert len(steps_of(tmp_path)) == 6


def test_a_folder_is_free_when_the_other_process_was_killed(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / ".lock").read_text() == f"process {holder.pid}"
    assert len(steps_of(tmp_path)) == 6


def test_of_many_processes_that_want_a_folder_one_gets_it(tmp_path):
    command = [sys.executable, "-c", dedent(HOLD), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(4)]
    first_lines = [process.stdout.readline() for process in processes]  # empty when a process has ended
    results = [(process.communicate()[1], process.returncode) for process in processes]
    assert sorted(first_lines) == ["", "", "", "open\n"]
    assert sum("RunError" in stderr and "is in use by" in stderr for stderr, _ in results) == 3


def test_a_folder_in_use_in_the_same_process_is_refused(tmp_path):
    (tmp_path / ".lock").write_text("process 123456789, which is dead")
    with Run(tmp_path):
        refused(f"is in use by process {os.getpid()}: wait", tmp_path)


def test_a_refused_process_leaves_the_run_that_is_open_alone(tmp_path, uninterrupted):
    training = Training()
    attempts = []

    def update():
        ExponentialMovingAverage.update(training.average)
        attempts.append(refused("is in use", tmp_path, overwrite=True))

    training.average.update = update
    training(tmp_path)
    assert len(attempts) == TOTAL
    assert bits(tmp_path) == uninterrupted[0]


def test_a_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(StoppedError):
        Training()(tmp_path, 3)
    assert len(steps_of(tmp_path, overwrite=True)) == 6


def test_a_folder_is_free_after_a_refusal(tmp_path):
    steps_of(tmp_path)
    refused("holds a run already", tmp_path)
    refused("does not go on with seed=5", tmp_path, resume=True, seed=5)
    assert steps_of(tmp_path, resume=True) == []
