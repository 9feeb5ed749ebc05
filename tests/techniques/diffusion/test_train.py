"""Training: that it learns, and that a run that was stopped goes on bit for bit."""

import numpy as np
import pytest

from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.losses import noise_prediction_loss
from techniques.diffusion.schedule import NoiseScheduler
from techniques.diffusion.train import train
from techniques.models import UNet
from techniques.models.unet import NO_CLASS
from tinygrad_lite import manual_seed
from tinygrad_lite.data import DataLoader, TensorDataset
from tinygrad_lite.optim import AdamW
from tinygrad_lite.run import RunError, read_log


@pytest.fixture
def images(rng):
    """Two kinds of stripes."""
    stripes = np.sign(np.sin(np.arange(4) * np.pi / 2 + 0.1)).astype("float32")
    return np.stack([np.tile(stripes, (4, 1)), np.tile(stripes, (4, 1)).T] * 16)[:, None]


LABELS = np.tile([0, 1], 16)


def new_model(seed=0):
    manual_seed(seed)
    return DiffusionModel(UNet(1, (8,), num_classes=2), NoiseScheduler("cosine", 100))


def trained(folder, images, labels=LABELS, *, epochs=4, model=None, **options):
    """(weights, averaged weights, losses) after training."""
    model = model or new_model()
    loader = DataLoader(TensorDataset(images, labels), 8, shuffle=True)
    average = train(model, loader, folder=folder, epochs=epochs, progress=False, **options)
    weights = {name: p.numpy().copy() for name, p in model.named_parameters()}
    with average.applied():
        averages = {name: p.numpy().copy() for name, p in model.named_parameters()}
    return weights, averages, read_log(folder)["loss"]


def assert_same(one, other):
    for ours, theirs in zip(one[:2], other[:2], strict=True):
        for name, value in ours.items():
            np.testing.assert_array_equal(theirs[name], value)
    assert one[2] == other[2]


def test_one_step_lowers_the_loss_on_its_own_batch(images, rng):
    model = new_model()
    noise = rng.standard_normal(images.shape, dtype="float32")
    noisy_data, noise_level = model.scheduler.add_noise(images, noise, rng=rng)
    optimizer = AdamW(model.parameters(), lr=1e-3)

    def loss():
        return noise_prediction_loss(model(noisy_data, noise_level, LABELS), noise)

    before = loss()
    before.backward()
    optimizer.step()
    assert loss().item() < before.item()


def test_it_learns_to_tell_noise_from_stripes(images, tmp_path):
    losses = trained(tmp_path, images, epochs=50)[2]
    assert np.mean(losses[:4]) > 0.8
    assert np.mean(losses[-40:]) < 0.35


def test_the_same_seed_gives_the_same_bits(images, tmp_path):
    assert_same(trained(tmp_path / "a", images), trained(tmp_path / "b", images))


def test_another_seed_gives_other_bits(images, tmp_path):
    one, other = trained(tmp_path / "a", images), trained(tmp_path / "b", images, seed=1)
    assert one[2] != other[2]


def test_the_average_follows_the_weights_at_once_with_a_decay_of_0(images, tmp_path):
    weights, averages, _ = trained(tmp_path, images, decay=0.0)
    for name, value in weights.items():
        np.testing.assert_allclose(averages[name], value, rtol=1e-6, atol=1e-7)


def test_the_average_lags_behind_the_weights(images, tmp_path):
    weights, averages, _ = trained(tmp_path, images)
    assert any((averages[name] != value).any() for name, value in weights.items())


def test_gradients_clipped_to_nothing_leave_the_weights_as_they_were(images, tmp_path):
    first = {name: p.numpy().copy() for name, p in new_model().named_parameters()}
    weights, _, _ = trained(tmp_path, images, max_norm=0.0, weight_decay=0.0)
    for name, value in weights.items():
        np.testing.assert_array_equal(value, first[name])


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def test_a_run_that_was_stopped_goes_on_bit_for_bit(images, tmp_path):
    straight = trained(tmp_path / "straight", images, epochs=35)
    calls = 0

    def stop_at_step_130(module, inputs):
        nonlocal calls
        calls += 1
        if calls == 130:
            raise StoppedError

    stopping = new_model()
    stopping.register_forward_pre_hook(stop_at_step_130)
    with pytest.raises(StoppedError):
        trained(tmp_path / "stopped", images, epochs=35, model=stopping)
    resumed = trained(tmp_path / "stopped", images, epochs=35, model=new_model(seed=9), resume=True)
    assert_same(straight, resumed)


def labels_seen(images, labels, tmp_path, **options):
    """All labels that the network is told in a short training."""
    model, told = new_model(), []
    model.register_forward_pre_hook(lambda module, inputs: told.append(inputs[2].copy()))
    trained(tmp_path, images, labels, model=model, **options)
    return np.concatenate(told)


def test_a_tenth_of_the_labels_is_hidden(images, tmp_path):
    told = labels_seen(images, LABELS, tmp_path, epochs=30)
    assert (told == NO_CLASS).mean() == pytest.approx(0.1, abs=0.03)


def test_without_label_dropout_none_is_hidden(images, tmp_path):
    assert set(labels_seen(images, LABELS, tmp_path, label_dropout=0.0)) == {0, 1}


def test_a_run_with_other_settings_is_not_resumed(images, tmp_path):
    trained(tmp_path, images)
    with pytest.raises(RunError, match=r"lr=0.002.* does not go on with lr=0.1"):
        trained(tmp_path, images, resume=True, lr=0.1)
