"""A run's folder: its steps, log, progress bar and checkpoint, and how a run that was stopped goes on.

    with Run("out/student", state={"model": model, "optimizer": optimizer}) as run:
        for step, (data, labels) in run.steps(loader, epochs=30):
            noise = step.rng("noise").standard_normal(data.shape, dtype="float32")
            loss = cross_entropy(model(data + noise), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(loss=loss)

Stopped at any point, by Ctrl-C or by a power cut, it goes on from its last checkpoint with resume=True and
ends with the same bits: the order of the data is a function of (seed, epoch), every random draw one of
(seed, purpose, step), and the checkpoint holds all that is left.
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
from typing import Any

import numpy as np
from tqdm import tqdm

from tinygrad_lite import checkpoint
from tinygrad_lite.backend import keyed_rng, manual_seed
from tinygrad_lite.data import DataLoader
from tinygrad_lite.tensor import Tensor

if sys.platform != "win32":  # Windows has no flock: there a folder in use is not noticed
    import fcntl

CHECKPOINT, LOG, LOCK = "checkpoint.safetensors", "log.jsonl", ".lock"
ELSEWHERE = "or choose another folder (--out)"


class RunError(RuntimeError):
    """A folder that cannot be used, or not for this run; the text is one line for whoever started it."""


@dataclass(frozen=True)
class Step:
    """A step of a run: its number, from 0 on through all epochs, and its epoch, from 0 on."""

    seed: int
    index: int
    epoch: int

    def rng(self, purpose: str) -> np.random.Generator:
        """The generator of this step for one purpose: the same draws for the same (seed, purpose, index)."""
        return keyed_rng(self.seed, purpose, self.index)


class Run:
    """A training run with a folder of its own, open within `with Run(...) as run:`.

    Args:
        folder: made if it is missing; `log.jsonl` and `checkpoint.safetensors` lie in it.
        state: what is trained, by name: modules, optimizers, schedules, averages; whatever has `state_dict()`
            and `load_state_dict(state)`. Checkpoints hold it.
        seed: of the draws in the steps; the order of the data follows the loader's own seed.
        label: what the progress bar calls the run.
        config: other settings, as JSON holds them: a run is resumed with the same or not at all.
        resume: go on with the run in the folder; where there is none, start.
        overwrite: replace a run in the folder that is not resumed; by default that is refused.
        checkpoint_every: steps from one checkpoint to the next. One more is written at the end.
        progress: show a bar on stderr, if that is a terminal.

    Raises:
        RunError: on entering, for a folder that cannot be written, is in use, or holds a run that is damaged,
            has other settings, or is neither to be resumed nor replaced.
        ValueError: for checkpoint_every below 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        state: Mapping[str, Any] | None = None,
        seed: int = 0,
        label: str = "train",
        config: Mapping[str, Any] | None = None,
        resume: bool = False,
        overwrite: bool = False,
        checkpoint_every: int = 100,
        progress: bool = True,
    ) -> None:
        if checkpoint_every < 1:
            raise ValueError(f"Run: checkpoint_every needs to be at least 1; got {checkpoint_every}")
        self.folder = Path(folder)
        self._checkpoint = self.folder / CHECKPOINT
        self.index = 0  # steps that are done
        self._state = dict(state or {})
        self._seed, self._label = seed, label
        self._resume, self._overwrite = resume, overwrite
        self._every, self._progress = checkpoint_every, progress
        self._settings = {
            "run": {"seed": seed, "label": label, "state": sorted(self._state)},
            "config": json.loads(json.dumps(dict(config or {}))),  # as it comes back: tuples are lists
        }
        self._step: Step | None = None
        self._recent: deque[float] = deque(maxlen=50)  # losses, whose mean the bar shows

    def __enter__(self) -> Run:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self.folder))
            self._log = stack.enter_context((self.folder / LOG).open("ab"))
            log_size = self._restore() if self._resume else self._clear()
            self._log.truncate(log_size)
            self._log.seek(log_size)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _clear(self) -> int:
        """Make room for a new run; the size that its log has."""
        if self._overwrite:
            self._checkpoint.unlink(missing_ok=True)
        elif self._checkpoint.exists() or self._log.tell():
            raise RunError(f"{self.folder} holds a run already: go on with it (--resume), {ELSEWHERE}")
        return 0

    def _restore(self) -> int:
        """Go back to the checkpoint, or to the start if there is none; the size that the log had there."""
        if not self._checkpoint.exists():
            return 0
        try:
            saved = checkpoint.load(self._checkpoint)
        except checkpoint.CheckpointError as error:
            raise RunError(f"{error}: delete it to start anew, {ELSEWHERE}") from None
        if "log_size" not in saved:
            raise RunError(
                f"{self._checkpoint} is the checkpoint of something else than a run: delete it, {ELSEWHERE}"
            )
        for part, settings in self._settings.items():
            self._refuse_other(saved["settings"][part], settings)
        if self._log.tell() < saved["log_size"]:
            raise RunError(
                f"{self.folder / LOG} has lost lines since the last checkpoint: start anew, {ELSEWHERE}"
            )
        for name, stateful in self._state.items():
            stateful.load_state_dict(saved["state"][name])
        self.index, self._settings = saved["index"], saved["settings"]
        return saved["log_size"]

    def _refuse_other(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if names:
            was, now = (", ".join(f"{n}={part.get(n)!r}" for n in names) for part in (old, new))
            refused = f"{self.folder} holds a run with {was}; it does not go on with {now}"
            raise RunError(f"{refused}: take the same, {ELSEWHERE}")

    def steps(self, loader: DataLoader, epochs: int = 1) -> Iterator[tuple[Step, Any]]:
        """The steps that are left, each with its batch; none where the run is finished.

        Before each of them, and after the last, the ambient generators (dropout, initializers) are set to a
        function of (seed, index). A loop that is left by `break` has stopped, as by Ctrl-C: nothing is saved.

        Raises:
            RunError: for a second loop, or a resumed run with other epochs or another number of batches.
        """
        if self._step is not None:
            raise RunError("steps: a run has one loop; open another Run, in another folder, for the next")
        batches, total = len(loader), len(loader) * epochs
        plan = {"epochs": epochs, "batches": batches}
        self._refuse_other(self._settings.setdefault("steps", plan), plan)  # a resumed run has an old plan
        if self.index < total:
            disable = None if self._progress else True  # None: unless stderr is a terminal
            bar = tqdm(total=total, initial=self.index, disable=disable, unit="step", dynamic_ncols=True)
            self._bar = self._open.enter_context(bar)
        for epoch in range(self.index // batches, epochs):
            self._bar.set_description(f"{self._label}, epoch {epoch + 1} of {epochs}", refresh=False)
            for batch in loader.batches(epoch, start=self.index % batches):
                self._step = Step(self._seed, self.index, epoch)
                manual_seed(self._seed, "ambient at a step", self.index)
                yield self._step, batch
                self._count(total)
        # What comes after the loop is the same whether its steps were taken now or by an earlier process.
        self._step = Step(self._seed, total, epochs)
        manual_seed(self._seed, "ambient at a step", total)

    def log(self, **values: Tensor | float) -> None:
        """Write a line to the log: the step, the epoch and `values`, each one number; the bar shows the loss.

        Raises:
            RunError: before the first step.
        """
        if self._step is None:
            raise RunError("log: there is no step yet; call it in `for step, batch in run.steps(...):`")
        numbers = {name: float(value) for name, value in values.items()}
        line = dict(step=self._step.index, epoch=self._step.epoch, **numbers)
        self._log.write(f"{json.dumps(line)}\n".encode())
        self._log.flush()
        if "loss" in numbers:
            self._recent.append(numbers["loss"])

    def _count(self, total: int) -> None:
        """A step is done."""
        self.index += 1
        if self.index % self._every == 0 or self.index == total:
            self._save()
        if self._recent:
            self._bar.set_postfix_str(f"loss {np.mean(self._recent):.4g}", refresh=False)
        self._bar.update()

    def _save(self) -> None:
        """Write a checkpoint; the log first, so that no checkpoint names a size that it has not."""
        os.fsync(self._log.fileno())
        state = {name: stateful.state_dict() for name, stateful in self._state.items()}
        content = {"log_size": self._log.tell(), "settings": self._settings, "state": state}
        checkpoint.save(self._checkpoint, {"index": self.index, **content})


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process alone; make it first.

    The lock is the system's, which takes it from a dead process: the file may stay, and never bars the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror}): {ELSEWHERE[3:]}") from None
    with file:
        try:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            raise RunError(f"{folder} is in use by {holder}: wait for it, {ELSEWHERE}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def read_log(folder: str | os.PathLike[str]) -> dict[str, list[Any]]:
    """A run's log by columns: step, epoch and the values, with None where a line has none of that name.

    Raises:
        RunError: if there is no log in `folder`.
    """
    path = Path(folder) / LOG
    if not path.exists():
        raise RunError(f"{folder} holds no run: {path} does not exist")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: [line.get(name) for line in lines] for name in names}
