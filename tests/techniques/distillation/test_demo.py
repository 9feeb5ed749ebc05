"""The experiment on the digits: a short run every time, and with -m slow what the README says of it."""

from unittest.mock import Mock

import numpy as np
import pytest

from techniques.distillation import demo
from techniques.distillation.losses import UNLABELED
from tinygrad_lite import manual_seed
from tinygrad_lite.data.datasets import digits
from tinygrad_lite.run import RunError

PARTS = ["teacher", "alone", "distilled", "shuffled"]


@pytest.fixture(scope="module", autouse=True)
def hasty_teacher(request):
    """A teacher that has learned for one epoch, but in the slow tests."""
    with pytest.MonkeyPatch.context() as patch:
        if "slow" not in request.config.getoption("markexpr").replace("not slow", ""):
            patch.setattr(demo, "TEACHER_EPOCHS", 1)
        yield


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """The folder and the result of one epoch."""
    out = tmp_path_factory.mktemp("demo")
    return out, demo.run_demo(out, epochs=1, progress=False)


def test_a_run_leaves_everything_in_its_folder(short_run):
    out, result = short_run
    assert {path.name for path in out.iterdir()} == {
        *PARTS,
        *("errors.png", "losses.png", "student.safetensors"),
    }
    assert set(result.pictures.values()) == {out / "errors.png", out / "losses.png"}


def test_the_figures_are_errors_and_the_table_shows_them(short_run):
    _, result = short_run
    assert list(result.figures) == [f"{part}_error" for part in PARTS]
    assert all(0 <= error <= 1 for error in result.figures.values())
    for row, error in zip(result.rows, result.figures.values(), strict=False):
        assert row[1] == f"{error:.1%}"
    assert result.technique == "distillation"
    assert result.seconds > 0


def test_all_students_take_as_many_steps(short_run):
    out, _ = short_run
    logs = [(out / part / "log.jsonl").read_text().splitlines() for part in PARTS[1:]]
    assert [len(log) for log in logs] == [44] * 3  # of 32 pictures, of 1,437


def test_a_run_that_is_finished_is_read_in_the_same_figures(short_run):
    out, result = short_run
    lines = (out / "distilled" / "log.jsonl").read_text()
    again = demo.run_demo(out, epochs=1, progress=False, resume=True)
    assert again.figures == result.figures
    assert (out / "distilled" / "log.jsonl").read_text() == lines


def test_a_run_that_was_stopped_goes_on_to_the_same_figures(short_run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(demo, "distill", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(tmp_path, epochs=1, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == {"teacher", "alone"}
    resumed = demo.run_demo(tmp_path, epochs=1, progress=False, resume=True)
    assert resumed.figures == short_run[1].figures


def test_a_run_in_a_folder_that_has_one_is_refused(short_run):
    out, _ = short_run
    with pytest.raises(RunError, match="teacher holds a run already"):
        demo.run_demo(out, epochs=1, progress=False)


def test_the_same_seed_gives_the_same_figures(short_run, tmp_path):
    _, result = short_run
    assert demo.run_demo(tmp_path, epochs=1, progress=False).figures == result.figures


# -- its parts -----------------------------------------------------------------------------------------


def test_all_students_of_a_seed_begin_alike():
    first, again, other = (demo.new_student(seed).layers[1].weight.numpy() for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("per_class", [1, 10])
def test_few_labels_leaves_as_many_of_each_class_where_they_were(per_class):
    labels = digits()[0].labels
    few = demo.few_labels(labels, per_class, seed=0)
    kept = few != UNLABELED
    assert np.array_equal(few[kept], labels[kept])
    assert np.bincount(few[kept]).tolist() == [per_class] * 10


def test_another_seed_leaves_other_labels():
    labels = digits()[0].labels
    few, again, other = (demo.few_labels(labels, 10, seed) for seed in (0, 0, 1))
    assert np.array_equal(few, again)
    assert not np.array_equal(few, other)


def test_a_shuffled_teacher_gives_each_picture_the_answer_to_the_next(rng):
    manual_seed(0)
    teacher = demo.new_student(0)
    data = rng.standard_normal((5, 1, 8, 8), dtype="float32")
    answers, shuffled = teacher(data).numpy(), demo.ShuffledTeacher(teacher)(data).numpy()
    assert np.array_equal(shuffled, np.roll(answers, -1, axis=0))


# -- what it must show ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_distilled_students_err_at_most_half_as_often_and_shuffled_answers_take_the_gain(tmp_path):
    figures = [demo.run_demo(tmp_path / str(seed), seed=seed, progress=False).figures for seed in range(3)]
    teacher, alone, distilled, shuffled = (np.array([f[f"{part}_error"] for f in figures]) for part in PARTS)
    assert teacher.max() < 0.03
    assert distilled.mean() <= alone.mean() / 2
    assert shuffled.mean() > alone.mean()


@pytest.mark.slow
def test_it_runs_on_the_gpu(tmp_path, cuda):
    figures = demo.run_demo(tmp_path, epochs=1, device=cuda, progress=False).figures
    assert figures["teacher_error"] < 0.5
