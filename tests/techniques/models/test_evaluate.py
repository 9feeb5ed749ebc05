"""A network in use: its outputs for many samples, and its modes, which it gets back."""

import numpy as np
import pytest

from techniques.models import CNN
from techniques.models.evaluate import eval_mode, outputs
from tinygrad_lite import manual_seed, nn


@pytest.fixture
def images(rng):
    return rng.standard_normal((7, 1, 8, 8), dtype="float32")


@pytest.fixture
def model():
    manual_seed(0)
    return CNN(widths=(4, 8), dropout=0.5).train()


class Slow(nn.Module):
    """A model that fails."""

    def __init__(self):
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        raise FloatingPointError


def test_outputs_are_those_of_eval_mode(model, images):
    expected = model.eval()(images).numpy()
    np.testing.assert_allclose(outputs(model.train(), images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batches_do_not_matter(model, images, batch_size):
    np.testing.assert_allclose(outputs(model, images, batch_size), outputs(model, images), atol=1e-5)


def test_no_image_gives_no_output(model, images):
    assert outputs(model, images[:0]).shape == (0, 10)


def test_a_model_that_predicts_keeps_its_statistics_and_records_no_graph(model, images):
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    seen = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.requires_grad))
    outputs(model, images)
    assert seen == [False]
    assert all(np.array_equal(before[name], tensor.numpy()) for name, tensor in model.state_dict().items())


def test_every_module_gets_its_mode_back(model, images):
    model.classifier.eval()
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2
    outputs(model, images)
    assert [module.training for module in model.modules()] == before


def test_a_model_that_was_set_to_training_within_gets_its_mode_back():
    model = nn.Linear(2, 2).eval()
    with eval_mode(model):
        model.train()
    assert not model.training


def test_a_model_that_fails_gets_its_mode_back_too():
    model = Slow().train()
    with pytest.raises(FloatingPointError):
        outputs(model, np.zeros((1, 2)))
    assert all(module.training for module in model.modules())


def test_outputs_of_a_model_on_the_gpu_are_numpys(model, images, cuda):
    expected = outputs(model, images)
    result = outputs(model.to(cuda), images)
    assert type(result) is np.ndarray
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_a_model_may_use_the_methods_of_tensors(images):
    class Flat(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(64, 3)

        def forward(self, x):
            return self.layer(x.flatten(1)).relu()

    assert outputs(Flat(), images).shape == (7, 3)
