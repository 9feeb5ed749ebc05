"""A run's folder: its steps, log, progress bar and checkpoint, and how a run that was stopped goes on.

    with Run("runs/student", state={"model": model, "optimizer": optimizer}) as run:
        for step, (data, labels) in run.steps(loader, epochs=30):
            noise = step.rng("noise").standard_normal(data.shape, dtype="float32")
            loss = cross_entropy(model(data + noise), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(loss=loss)

Stopped at any point, by Ctrl-C or by a power cut, it goes on from its last checkpoint with resume=True and ends
with the same bits, in parameters and log, as if never stopped: the order of the data is a function of (seed,
epoch), every random draw one of (seed, purpose, step), and a checkpoint holds all that is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from tinygrad_lite import checkpoint
from tinygrad_lite.backend import keyed_rng, manual_seed
from tinygrad_lite.data import DataLoader
from tinygrad_lite.tensor import Tensor

if sys.platform != "win32":  # Windows has no flock: there a folder in use is not noticed
    import fcntl

CHECKPOINT, LOG, LOCK = "checkpoint.safetensors", "log.jsonl", ".lock"


class RunError(RuntimeError):
    """A folder that cannot be used, or not for this run; the text is one line for whoever started it."""


class Stateful(Protocol):
    """What a checkpoint can hold: modules, optimizers, schedules, averages."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training, as `checkpoint.save` takes it."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Go back to what `state_dict` gave."""


@dataclass(frozen=True)
class Step:
    """A step of a run: its number from 0 on through all epochs, and the epoch, from 0 on too."""

    seed: int
    index: int
    epoch: int

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of this step for one purpose: always the same draws for (seed, purpose, index)."""
        return keyed_rng(self.seed, purpose, self.index)


class Run:
    """A training run in a folder of its own, to be used as `with Run(...) as run:`.

    Args:
        folder: made if it is missing; it holds `checkpoint.safetensors` and `log.jsonl`.
        state: what is trained, by name, restored when a run is resumed.
        seed: of every step's draws; the order of the data follows from the loader's.
        label: what the progress bar calls the run.
        config: further settings, as JSON can hold them: a run is resumed only with the same.
        resume: continue the run in the folder where there is one, else start; one that is finished stays so.
        overwrite: start anew even where there is a run in the folder.
        checkpoint_every: steps from one checkpoint to the next; another is written at the end.
        progress: show a bar on stderr, where that is a terminal.

    Raises:
        RunError: on entering, for a folder that cannot be written, that another process uses, that holds a run
            (without resume and overwrite), or one with other settings.
        CheckpointError: on entering, for a checkpoint that is damaged.
        ValueError: for resume with overwrite, or checkpoint_every below 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        state: Mapping[str, Stateful] | None = None,
        seed: int = 0,
        label: str = "train",
        config: Mapping[str, Any] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        checkpoint_every: int = 100,
        progress: bool = True,
    ) -> None:
        if resume and overwrite:
            raise ValueError(
                "Run: resume goes on with what is in the folder, overwrite replaces it; choose one"
            )
        if checkpoint_every < 1:
            raise ValueError(f"Run: checkpoint_every needs to be at least 1; got {checkpoint_every}")
        self.folder = Path(folder)
        self.index = 0  # steps that are done
        self.finished = False
        self._state = dict(state or {})
        self._seed, self._label = seed, label
        self._settings = {
            "run": {"seed": seed, "label": label, "state": sorted(self._state)},
            "config": json.loads(json.dumps(dict(config or {}))),  # tuples are lists there
        }
        self._resume, self._overwrite = resume, overwrite
        self._every, self._progress = checkpoint_every, progress
        self._recent: deque[float] = deque(maxlen=50)  # losses, whose mean the bar shows
        self._step: Step | None = None
        self._looped = False

    # opening and closing

    def __enter__(self) -> Run:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self.folder))
            self._log = stack.enter_context((self.folder / LOG).open("ab"))
            log_size = self._restore() if self._resume else self._start()
            self._log.truncate(log_size)
            self._log.seek(0, os.SEEK_END)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _start(self) -> int:
        """Make room for a new run; the length of its log."""
        saved = self.folder / CHECKPOINT
        if self._overwrite:
            saved.unlink(missing_ok=True)
        elif saved.exists() or self._log.tell():
            raise RunError(
                f"{self.folder} holds a run already: continue it (--resume), or choose another folder (--out)"
            )
        return 0

    def _restore(self) -> int:
        """Go back to the checkpoint, or to the start where there is none; the length of the log there."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return 0
        saved = checkpoint.load(path)
        if not saved.keys() >= {"index", "finished", "log_size", "settings", "state"}:
            raise RunError(f"{path} is not the checkpoint of a run; choose another folder (--out)")
        for part, settings in self._settings.items():
            self._refuse_other(saved["settings"][part], settings)
        if saved["log_size"] > self._log.tell():
            raise RunError(f"{self.folder / LOG} is shorter than at the last checkpoint; start anew (--out)")
        for name, part in self._state.items():
            part.load_state_dict(saved["state"][name])
        self.index, self.finished = saved["index"], saved["finished"]
        self._settings["steps"] = saved["settings"]["steps"]
        return saved["log_size"]

    def _refuse_other(self, was: dict[str, Any], now: dict[str, Any]) -> None:
        names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        if names:
            old, new = (", ".join(f"{n}={settings.get(n)!r}" for n in names) for settings in (was, now))
            raise RunError(
                f"{self.folder} holds a run with {old}, which cannot be resumed with {new}: "
                "take the same settings, or another folder (--out)"
            )

    # what happens within

    def steps(self, loader: DataLoader, epochs: int = 1) -> Iterator[tuple[Step, Any]]:
        """The steps that are left, each with its batch: all of them, or none of a finished run.

        Before each the ambient generators (dropout, initializers) are set to a function of (seed, index), and
        after the last as well. When the loop has ended the run is finished; one left by `break` is not.

        Raises:
            RunError: for a second loop in a run, or a resumed run with another number of batches or epochs.
        """
        if self._looped:
            raise RunError("steps: a run has one loop; open another Run, in another folder, for the next")
        self._looped = True
        batches, total = len(loader), len(loader) * epochs
        plan = {"epochs": epochs, "batches": batches}
        self._refuse_other(self._settings.setdefault("steps", plan), plan)
        if not self.finished:
            self._bar = self._opened.enter_context(self._new_bar(total))
            for epoch in range(self.index // batches, epochs):
                self._bar.set_description(f"{self._label}, epoch {epoch + 1} of {epochs}", refresh=False)
                for batch in loader.batches(epoch, start=self.index % batches):
                    self._step = Step(self._seed, self.index, epoch)
                    manual_seed(self._seed, "ambient", self.index)
                    yield self._step, batch
                    self._count_step(total)
            self.finished = True
            self._save()
        # So what is drawn after the loop is the same whether its steps were taken now or before.
        manual_seed(self._seed, "ambient", total)

    def log(self, **values: Tensor | float) -> None:
        """Write a line with the step, the epoch and `values` as floats; the bar shows the mean of recent losses.

        Raises:
            RunError: before the first step.
            ValueError: for a value that is called step or epoch, or is not one number.
        """
        if self._step is None:
            raise RunError("log: there is no step yet; call it within `for step, batch in run.steps(...)`")
        if values.keys() & {"step", "epoch"}:
            raise ValueError("log: step and epoch are written anyway; call the value something else")
        numbers = {name: float(value) for name, value in values.items()}
        line = {"step": self._step.index, "epoch": self._step.epoch, **numbers}
        self._log.write(f"{json.dumps(line)}\n".encode())
        self._log.flush()
        if "loss" in numbers:
            self._recent.append(numbers["loss"])

    def _count_step(self, total: int) -> None:
        self.index += 1
        if self.index % self._every == 0 and self.index < total:
            self._save()
        if self._recent:
            mean = sum(self._recent) / len(self._recent)
            self._bar.set_postfix_str(f"loss {mean:.4g}", refresh=False)
        self._bar.update()

    def _new_bar(self, total: int) -> tqdm:
        quiet = None if self._progress else True  # None: quiet where stderr is no terminal
        return tqdm(total=total, initial=self.index, disable=quiet, unit="step", dynamic_ncols=True)

    def _save(self) -> None:
        """Write a checkpoint, with the log on disk before it: the length it names is never longer."""
        os.fsync(self._log.fileno())
        state = {
            "index": self.index,
            "finished": self.finished,
            "log_size": self._log.tell(),
            "settings": self._settings,
            "state": {name: part.state_dict() for name, part in self._state.items()},
        }
        checkpoint.save(self.folder / CHECKPOINT, state)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold `folder`, made if it is missing, for this process alone.

    The system drops the lock of a process that has died, so one that is left over never bars the way. The file
    stays, empty: whoever deletes a lock file may delete it under the next holder's hands.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written: {error.strerror}; choose another folder (--out)"
        ) from None
    with file:
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunError(
                f"{folder} is in use by {file.read() or 'another process'}: wait for its end, or choose another "
                "folder (--out)"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def read_log(folder: str | os.PathLike[str]) -> dict[str, list[Any]]:
    """The log of the run in `folder` by columns: step, epoch and the values, with None where a line lacks one.

    Raises:
        RunError: where there is no log.
    """
    path = Path(folder) / LOG
    if not path.exists():
        raise RunError(f"{path} does not exist: there is no run in {folder}")
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # a line may be half written
    lines = [json.loads(line) for line in whole.splitlines()]
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: [line.get(name) for line in lines] for name in names}
