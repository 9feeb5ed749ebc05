"""Sampling with a small UNet whose weights are random: what does not depend on its having learned."""

import numpy as np
import pytest

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.samplers import ddim, ddpm
from techniques.diffusion.schedule import NoiseScheduler
from techniques.diffusion.use import denoising_path, sample
from techniques.models import UNet
from tinygrad_lite import manual_seed
from tinygrad_lite.nn import init
from tinygrad_lite.optim import ExponentialMovingAverage

SHAPE, LABELS = (6, 1, 4, 4), np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def model():
    manual_seed(0)
    model = DiffusionModel(UNet(1, (8, 8), num_classes=3), NoiseScheduler("linear", 100))
    init.normal_(model.network.head.weight, std=0.2)
    for block in model.network.down:
        init.normal_(block.conv2.weight, std=0.2)
    return model


@pytest.mark.parametrize("sampler", [ddpm, ddim])
class TestSample:
    @pytest.mark.parametrize("batch_size", [1, 4, 6])
    def test_splitting_the_batch_changes_nothing(self, model, sampler, batch_size):
        options = {"num_steps": 5, "sampler": sampler, "guidance_scale": 2.0}
        whole = sample(model, SHAPE, LABELS, **options)
        parts = sample(model, SHAPE, LABELS, batch_size=batch_size, **options)
        np.testing.assert_allclose(parts, whole, atol=1e-4)

    def test_a_sample_does_not_depend_on_how_many_follow(self, model, sampler):
        whole = sample(model, SHAPE, LABELS, num_steps=3, sampler=sampler)
        np.testing.assert_allclose(
            sample(model, (2, 1, 4, 4), LABELS[:2], num_steps=3, sampler=sampler), whole[:2], atol=1e-4
        )

    def test_the_same_seed_gives_the_same_bits_and_another_does_not(self, model, sampler):
        one, two, other = (
            sample(model, SHAPE, num_steps=3, sampler=sampler, seed=seed) for seed in (4, 4, 5)
        )
        np.testing.assert_array_equal(one, two)
        assert (np.abs(one - other).max(axis=(1, 2, 3)) > 0.1).all()

    @pytest.mark.parametrize("num_steps", [1, 2, 7, 100])
    def test_any_number_of_steps_gives_data_within_the_clip(self, model, sampler, num_steps):
        x = sample(model, SHAPE, LABELS, num_steps=num_steps, sampler=sampler)
        assert x.shape == SHAPE
        assert x.dtype == "float32"
        assert np.abs(x).max() <= 1

    def test_classes_differ(self, model, sampler):
        asked = [np.full(6, label) for label in (0, 2)]
        one, other = (sample(model, SHAPE, labels, num_steps=3, sampler=sampler) for labels in asked)
        assert np.abs(one - other).max() > 0.01


def test_labels_of_another_number_are_refused(model):
    with pytest.raises(ValueError, match=r"sample: labels need shape \(6,\), one a sample; got \(7,\)"):
        sample(model, SHAPE, np.zeros(7, int))


def test_more_steps_than_levels_are_refused(model):
    with pytest.raises(ValueError, match="reverse_steps: n needs to be from 1 to 100"):
        sample(model, SHAPE, num_steps=101)


def test_averaged_weights_can_be_sampled_with_and_are_put_back(model):
    """What `train` returns, used as its docstring says."""
    from_weights = sample(model, SHAPE, num_steps=2)
    average = ExponentialMovingAverage(model)
    init.normal_(model.network.head.weight, std=0.2)
    changed = sample(model, SHAPE, num_steps=2)
    with average.applied():
        np.testing.assert_array_equal(sample(model, SHAPE, num_steps=2), from_weights)
    np.testing.assert_array_equal(sample(model, SHAPE, num_steps=2), changed)


class TestDenoisingPath:
    def test_it_ends_where_sample_does(self, model):
        path = denoising_path(model, SHAPE, LABELS, num_frames=4, num_steps=10)
        np.testing.assert_array_equal(path[-1], sample(model, SHAPE, LABELS, num_steps=10))

    def test_it_begins_with_pure_noise(self, model):
        path = denoising_path(model, (400, 1, 4, 4), num_frames=2, num_steps=1)
        assert path[0].std() == pytest.approx(1, abs=0.03)
        assert path[0].mean() == pytest.approx(0, abs=0.04)

    def test_its_frames_are_evenly_spaced_states(self, model):
        all_states = denoising_path(model, SHAPE, LABELS, num_frames=11, num_steps=10)
        every_other = denoising_path(model, SHAPE, LABELS, num_frames=6, num_steps=10)
        np.testing.assert_array_equal(every_other, all_states[::2])

    def test_its_states_are_those_of_denoise(self, model):
        """One step is the same in the samplers' scaling and in that of training."""
        path = denoising_path(model, SHAPE, LABELS, num_frames=2, num_steps=1)
        (step,) = model.scheduler.reverse_steps(1)
        np.testing.assert_allclose(model.denoise(path[0], step, LABELS), path[1], atol=1e-5)
