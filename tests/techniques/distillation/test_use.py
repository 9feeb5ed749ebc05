"""The student in use: predictions, the file it is deployed in, and what it costs."""

import numpy as np
import pytest

from techniques.distillation.use import cost, load_student, predict, probabilities, save_student
from techniques.models import CNN, MLP
from techniques.models.evaluate import outputs
from tinygrad_lite import checkpoint, manual_seed, nn
from tinygrad_lite.checkpoint import CheckpointError


@pytest.fixture
def images(rng):
    return rng.standard_normal((7, 1, 8, 8), dtype="float32")


@pytest.fixture
def model():
    manual_seed(0)
    return CNN(widths=(4, 8), dropout=0.5).train()


# -- prediction ----------------------------------------------------------------------------------------


def test_no_image_gives_no_prediction(model, images):
    assert predict(model, images[:0]).shape == (0,)


def test_probabilities_are_the_softmax_of_the_outputs(model, images):
    terms = np.exp(outputs(model, images).astype("float64"))
    expected = terms / terms.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(model, images), expected, rtol=1e-5)


def test_the_prediction_is_the_likeliest_class(model, images):
    chances = probabilities(model, images)
    assert [row[k] for row, k in zip(chances, predict(model, images), strict=True)] == [
        row.max() for row in chances
    ]


# -- deployment ----------------------------------------------------------------------------------------


def test_a_student_comes_back_from_its_file_bit_for_bit_and_in_eval_mode(model, images, tmp_path):
    model(images)  # so that its statistics are not those of a new one
    save_student(tmp_path / "student.safetensors", model)
    read = load_student(tmp_path / "student.safetensors", CNN(widths=(4, 8), dropout=0.5))
    assert not read.training
    assert np.array_equal(outputs(read, images), outputs(model, images))


def test_the_file_holds_the_student_alone(model, tmp_path):
    size = save_student(tmp_path / "student.safetensors", model)
    assert list(checkpoint.load(tmp_path / "student.safetensors")) == ["student"]
    assert size == (tmp_path / "student.safetensors").stat().st_size
    assert size < 4 * sum(x.numel() for x in model.state_dict().values()) + 5000


def test_a_student_of_other_layers_is_refused_by_their_shapes(tmp_path):
    save_student(tmp_path / "student.safetensors", MLP(4, 8, 2))
    with pytest.raises(ValueError, match=r"MLP.*: layers.1.weight has shape \(8, 4\), not \(6, 4\)"):
        load_student(tmp_path / "student.safetensors", MLP(4, 6, 2))


def test_a_checkpoint_of_something_else_is_refused_by_name(tmp_path):
    checkpoint.save(tmp_path / "run.safetensors", {"state": {}})
    with pytest.raises(
        CheckpointError, match=r"load_student: .*run.safetensors is a checkpoint, but none of"
    ):
        load_student(tmp_path / "run.safetensors", MLP(4, 2))


def test_the_cost_counts_parameters_and_the_multiply_adds_of_one_sample():
    parameters, multiply_adds, milliseconds = cost(MLP(64, 32, 10), np.zeros((1, 1, 8, 8), "float32"))
    assert parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert multiply_adds == 64 * 32 + 32 * 10
    assert 0 < milliseconds < 1000


def test_the_cost_leaves_no_hook_behind(model, images):
    cost(model, images[:1], repeats=2)
    assert not any(module._hooks for module in model.modules())


def test_the_cost_of_a_model_that_runs_twice_is_twice_that_of_once():
    class Twice(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    assert cost(Twice(), np.zeros((1, 4), "float32"), repeats=1)[:2] == (20, 32)
