"""The loops of distillation, on points in the plane: what learns, what stays, what comes after a stop."""

from functools import partial

import numpy as np
import pytest

from techniques.distillation.losses import UNLABELED, distillation_loss, regression_distillation_loss
from techniques.distillation.train import distill, train_classifier
from techniques.models import MLP
from tinygrad_lite import manual_seed, nn
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.nn.functional import cross_entropy
from tinygrad_lite.run import RunError, read_log

CLASSES = 3


class StopError(Exception):
    """What interrupts a run here."""


@pytest.fixture
def points():
    """300 points around three corners, and their classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % CLASSES
    corners = np.array([[2, 0], [-1, 2], [-1, -2]])
    return (corners[labels] + rng.standard_normal((300, 2))).astype("float32"), labels


def loader(points, labels=None, batch_size=32, seed=0):
    data = TensorDataset(points[0], points[1] if labels is None else labels)
    return DataLoader(data, batch_size, shuffle=True, seed=seed)


def make_teacher():
    """A teacher in the mode and with the layers in which a careless loop would change it."""
    manual_seed(1)
    return nn.Sequential(MLP(2, 16, CLASSES, batch_norm=True), nn.Dropout(0.2)).train()


@pytest.fixture
def teacher(points, tmp_path):
    model = make_teacher()
    train_classifier(model, loader(points), folder=tmp_path / "teacher", epochs=10, progress=False)
    return model


def make_student():
    manual_seed(2)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, CLASSES))


def taught(teacher, points, folder, *, labels=None, loader_seed=0, epochs=5, stop=None, **options):
    """A new student after `distill`, and a copy of its state; stopped in step number `stop`, if any."""
    student = make_student()
    if stop is not None:
        stop_at(student, stop)
    batches = loader(points, labels, seed=loader_seed)
    distill(
        teacher=teacher,
        student=student,
        loader=batches,
        folder=folder,
        epochs=epochs,
        progress=False,
        **options,
    )
    return student, copied(student)


def stop_at(model, step):
    """Let the model's forward pass raise in that step, from 0 on."""
    steps_left = iter(range(step))

    def hook(*_):
        if next(steps_left, None) is None:
            raise StopError

    return model.register_forward_hook(hook)


def copied(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def agreement(a, b, points):
    """The share of points to which two models give the same class."""
    return np.mean(a.eval()(points[0]).numpy().argmax(1) == b.eval()(points[0]).numpy().argmax(1))


# -- learning ------------------------------------------------------------------------------------------


def test_a_classifier_learns(teacher, points):
    assert np.mean(teacher.eval()(points[0]).numpy().argmax(1) == points[1]) > 0.9


def test_samples_without_a_label_teach_a_classifier_nothing(points, tmp_path):
    manual_seed(2)
    model = MLP(2, CLASSES)
    of_the_labeled = cross_entropy(model(points[0][:100]), points[1][:100]).item()
    few = np.where(np.arange(300) < 100, points[1], UNLABELED)
    train_classifier(
        model, loader(points, few, batch_size=300), folder=tmp_path / "run", epochs=1, progress=False
    )
    assert read_log(tmp_path / "run")["loss"] == [pytest.approx(of_the_labeled, rel=1e-5)]


def test_a_student_without_any_label_learns_to_answer_as_its_teacher(teacher, points, tmp_path):
    nobody = np.full(300, UNLABELED)
    student, _ = taught(teacher, points, tmp_path / "student", labels=nobody, epochs=20)
    assert agreement(student, teacher, points) > 0.95


def test_at_alpha_0_a_student_learns_labels_against_its_teacher(teacher, points, tmp_path):
    others = (points[1] + 1) % CLASSES
    loss_fn = partial(distillation_loss, alpha=0.0)
    student, _ = taught(teacher, points, tmp_path / "student", labels=others, epochs=20, loss_fn=loss_fn)
    assert agreement(student, teacher, points) < 0.05


def test_the_teacher_answers_in_eval_mode_and_the_student_in_train_mode(teacher, points, tmp_path):
    manual_seed(2)
    student = MLP(2, 8, CLASSES, batch_norm=True).train()
    batches = loader(points)
    data, labels = next(iter(batches))
    first = distillation_loss(student(data), teacher.eval()(data).detach(), labels).item()
    distill(
        teacher=teacher.train(),
        student=student.eval(),
        loader=batches,
        folder=tmp_path / "run",
        epochs=1,
        progress=False,
    )
    assert read_log(tmp_path / "run")["loss"][0] == pytest.approx(first, rel=1e-6)


def test_a_student_of_a_regression_learns_from_its_teacher(tmp_path, rng):
    x = rng.uniform(-2, 2, (256, 1)).astype("float32")
    noise = 3 * rng.standard_normal((256, 1)).astype("float32")
    data = DataLoader(
        TensorDataset(x, x + noise), 32, shuffle=True
    )  # the teacher knows y = x, the data do not

    class Identity(nn.Module):
        def forward(self, x):
            return x

    manual_seed(0)
    student = MLP(1, 16, 1)
    distill(
        teacher=Identity(),
        student=student,
        loader=data,
        folder=tmp_path / "run",
        epochs=40,
        loss_fn=partial(regression_distillation_loss, alpha=1.0),
        progress=False,
    )
    assert np.abs(student(x).numpy() - x).max() < 0.3


def test_a_classifier_learns_in_train_mode(points, tmp_path):
    model = make_teacher().eval()
    before = model.state_dict()["0.layers.2.running_mean"].numpy().copy()
    train_classifier(model, loader(points), folder=tmp_path / "run", epochs=1, progress=False)
    assert model.training
    assert (model.state_dict()["0.layers.2.running_mean"].numpy() != before).all()


def test_the_learning_rate_rises_over_a_tenth_of_the_steps(points, tmp_path):
    manual_seed(2)
    model = MLP(2, CLASSES)
    before = copied(model)
    stop_at(model, 1)
    options = {"lr": 0.11, "weight_decay": 0.0, "epochs": 10, "progress": False}  # 100 steps
    with pytest.raises(StopError):
        train_classifier(model, loader(points), folder=tmp_path / "run", **options)
    moved = [np.abs(tensor.numpy() - before[name]).max() for name, tensor in model.state_dict().items()]
    assert moved == pytest.approx([0.11 / 11] * 2, rel=1e-3)  # AdamW's first step is as long as the rate


# -- the teacher ---------------------------------------------------------------------------------------


def test_the_teacher_keeps_every_bit_of_its_parameters_and_statistics(teacher, points, tmp_path):
    before = copied(teacher)
    assert "0.layers.2.running_mean" in before
    taught(teacher, points, tmp_path / "student")
    assert same(copied(teacher), before)


def test_the_teacher_gets_no_gradients(teacher, points, tmp_path):
    teacher.zero_grad()
    taught(teacher, points, tmp_path / "student")
    assert [p.grad for p in teacher.parameters()] == [None] * 6


def test_the_teacher_records_no_graph(teacher, points, tmp_path):
    recorded = []
    teacher.register_forward_hook(lambda module, inputs, output: recorded.append(output.requires_grad))
    taught(teacher, points, tmp_path / "student", epochs=1)
    assert recorded == [False] * 10


def test_every_parameter_of_the_student_changes(teacher, points, tmp_path):
    before = copied(make_student())
    _, after = taught(teacher, points, tmp_path / "student", epochs=1)
    assert all((before[name] != after[name]).any() for name in before)


def test_roles_are_named(teacher, points, tmp_path):
    with pytest.raises(TypeError, match="positional"):
        distill(teacher, make_student(), loader(points), folder=tmp_path, epochs=1)


def test_a_student_that_is_a_part_of_its_teacher_is_refused(teacher, points, tmp_path):
    with pytest.raises(ValueError, match="distill: teacher and student share parameters, so the teacher"):
        distill(teacher=teacher, student=teacher[0], loader=loader(points), folder=tmp_path, epochs=1)


# -- the same bits -------------------------------------------------------------------------------------


def test_the_same_seeds_give_the_same_bits(teacher, points, tmp_path):
    _, first = taught(teacher, points, tmp_path / "first")
    _, again = taught(teacher, points, tmp_path / "again")
    assert same(first, again)


@pytest.mark.parametrize("seeds", [{"seed": 1}, {"loader_seed": 1}], ids=["of dropout", "of the order"])
def test_another_seed_gives_another_student(teacher, points, tmp_path, seeds):
    _, first = taught(teacher, points, tmp_path / "first")
    _, other = taught(teacher, points, tmp_path / "other", **seeds)
    assert not same(first, other)


@pytest.mark.parametrize("stop", [37, 137])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(teacher, points, tmp_path, stop):
    _, whole = taught(teacher, points, tmp_path / "whole", epochs=17)  # 170 steps, a checkpoint at 100
    with pytest.raises(StopError):
        taught(teacher, points, tmp_path / "run", epochs=17, stop=stop)
    _, resumed = taught(teacher, points, tmp_path / "run", epochs=17, resume=True)
    assert same(resumed, whole)
    assert read_log(tmp_path / "run") == read_log(tmp_path / "whole")


def test_a_classifier_that_was_stopped_goes_on_to_the_same_bits(points, tmp_path):
    options = {"epochs": 12, "progress": False}
    whole, stopped, resumed = (make_teacher() for _ in range(3))
    train_classifier(whole, loader(points), folder=tmp_path / "whole", **options)
    stop_at(stopped, 113)
    with pytest.raises(StopError):
        train_classifier(stopped, loader(points), folder=tmp_path / "run", **options)
    train_classifier(resumed, loader(points), folder=tmp_path / "run", resume=True, **options)
    assert same(copied(resumed), copied(whole))


def test_a_finished_run_is_read_and_not_trained_again(teacher, points, tmp_path):
    _, first = taught(teacher, points, tmp_path / "run")
    _, read = taught(teacher, points, tmp_path / "run", stop=0, resume=True)
    assert same(first, read)


def test_a_run_does_not_go_on_with_another_loss(teacher, points, tmp_path):
    first = partial(distillation_loss, temperature=2.0, alpha=0.5)
    other = partial(distillation_loss, temperature=3.0)
    taught(teacher, points, tmp_path / "run", loss_fn=first)
    was = r"loss='distillation_loss\(temperature=2\.0, alpha=0\.5\)'"
    now = r"loss='distillation_loss\(temperature=3\.0\)'"
    with pytest.raises(RunError, match=f"holds a run with {was}; it does not go on with {now}"):
        taught(teacher, points, tmp_path / "run", resume=True, loss_fn=other)


def test_a_run_does_not_go_on_with_another_learning_rate(points, tmp_path):
    options = {"folder": tmp_path / "run", "epochs": 1, "progress": False}
    train_classifier(make_student(), loader(points), lr=0.01, **options)
    with pytest.raises(RunError, match=r"holds a run with lr=0\.01; it does not go on with lr=0\.02"):
        train_classifier(make_student(), loader(points), lr=0.02, resume=True, **options)


# -- devices -------------------------------------------------------------------------------------------


def test_both_loops_run_on_the_gpu(points, tmp_path, cuda):
    teacher, student = make_teacher().to(cuda), make_student().to(cuda)
    few = loader((points[0][:64], points[1][:64]))
    options = {"loader": few, "epochs": 1, "progress": False}
    train_classifier(teacher, folder=tmp_path / "teacher", **options)
    distill(teacher=teacher, student=student, folder=tmp_path / "student", **options)
    assert next(student.parameters()).device == "cuda:0"
    assert np.isfinite(read_log(tmp_path / "student")["loss"]).all()


def test_the_targets_of_a_regression_go_to_the_gpu_with_the_data(tmp_path, cuda, rng):
    manual_seed(0)
    teacher, student = MLP(2, 4, 2).to(cuda), MLP(2, 2).to(cuda)
    distill(
        teacher=teacher,
        student=student,
        loader=loader(rng.standard_normal((2, 64, 2)).astype("float32")),
        folder=tmp_path / "run",
        epochs=1,
        loss_fn=regression_distillation_loss,
        progress=False,
    )
    assert np.isfinite(read_log(tmp_path / "run")["loss"]).all()
