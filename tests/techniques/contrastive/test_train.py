"""Pretraining: that it learns, what it leaves alone, and that a run that was stopped goes on bit for bit."""

import math

import numpy as np
import pytest

from techniques.contrastive.losses import nt_xent
from techniques.contrastive.train import pretrain
from techniques.models import MLP, ResNet
from tinygrad_lite import manual_seed, nn
from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.data import DataLoader
from tinygrad_lite.optim import AdamW
from tinygrad_lite.run import RunError, read_log


@pytest.fixture
def images(rng):
    """24 pictures with a bright spot each."""
    images = np.full((24, 1, 4, 4), -1, dtype=np.float32)
    images[np.arange(24), 0, rng.integers(0, 4, 24), rng.integers(0, 4, 24)] = 1
    return images


def new_networks(seed=0):
    manual_seed(seed)
    return MLP(16, 12, 8, batch_norm=True), MLP(8, 8, 4, batch_norm=True)


def pretrained(folder, images, *, networks=None, epochs=4, **options):
    """(the state of both networks, losses) after pretraining."""
    backbone, projection_head = networks or new_networks()
    pretrain(
        backbone=backbone,
        projection_head=projection_head,
        loader=DataLoader(images, 8, shuffle=True, drop_last=True),
        folder=folder,
        epochs=epochs,
        progress=False,
        **options,
    )
    state = {f"backbone.{name}": value.numpy().copy() for name, value in backbone.state_dict().items()}
    state |= {f"head.{name}": value.numpy().copy() for name, value in projection_head.state_dict().items()}
    return state, read_log(folder)["loss"]


def assert_same(one, other):
    assert one[1] == other[1]
    for name, value in one[0].items():
        np.testing.assert_array_equal(other[0][name], value)


def noisy(x, rng):
    return x + 0.3 * rng.standard_normal(x.shape, dtype=np.float32)


def test_it_learns_to_find_the_other_view(images, tmp_path):
    _, losses = pretrained(tmp_path, images, epochs=60)
    assert np.mean(losses[-10:]) < np.mean(losses[:3]) - 0.3


def test_both_networks_learn(images, tmp_path):
    backbone, projection_head = networks = new_networks()
    before = [p.numpy().copy() for network in networks for p in network.parameters()]
    pretrained(tmp_path, images, networks=networks, epochs=1)
    after = [p.numpy() for network in (backbone, projection_head) for p in network.parameters()]
    assert all((p != q).any() for p, q in zip(before, after, strict=True))


def test_a_backbone_may_use_the_methods_of_tensors(images, tmp_path):
    class Flat(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(16, 8)

        def forward(self, x):
            return self.layer(x.flatten(1)).relu()

    _, projection_head = new_networks()
    assert np.isfinite(pretrained(tmp_path, images, networks=(Flat(), projection_head), epochs=1)[1]).all()


def test_the_two_views_of_a_sample_differ_and_so_do_those_of_another_step(images, tmp_path):
    seen = []
    backbone, projection_head = new_networks()
    backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].numpy().copy()))
    pretrained(tmp_path, images[:8], networks=(backbone, projection_head), epochs=2)
    assert len(seen) == 4
    assert all((a != b).mean() > 0.9 for i, a in enumerate(seen) for b in seen[:i])


def test_the_views_are_those_of_the_augmentation_that_is_given(images, tmp_path):
    def gray(x, rng):
        return np.zeros_like(x)

    losses = pretrained(tmp_path, images, epochs=1, augment=gray)[1]
    assert losses == pytest.approx([np.log(15)] * 3)  # all rows are equal: 2·8 − 1 candidates


def test_the_loss_of_a_step_is_that_of_its_views_at_the_temperature(images, tmp_path):
    backbone, projection_head = new_networks()
    projections = []
    projection_head.register_forward_hook(lambda module, inputs, z: projections.append(z.numpy().copy()))
    losses = pretrained(
        tmp_path, images[:8], networks=(backbone, projection_head), epochs=1, temperature=0.2
    )[1]
    assert losses == [nt_xent(*projections, temperature=0.2).item()]


def test_it_is_the_loop_of_the_text_with_a_learning_rate_that_falls_along_a_cosine(images, tmp_path):
    backbone, projection_head = new_networks()
    loader = DataLoader(images, 8, shuffle=True, drop_last=True)
    optimizer = AdamW([*backbone.parameters(), *projection_head.parameters()], weight_decay=0.1)
    losses = []
    for epoch in range(4):
        for data in loader.batches(epoch):
            rng = keyed_rng(5, "views", len(losses))
            view1, view2 = noisy(data, rng), noisy(data, rng)
            loss = nt_xent(projection_head(backbone(view1)), projection_head(backbone(view2)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = 1e-2 * (1 + math.cos(math.pi * len(losses) / 12)) / 2
            optimizer.step()
            losses.append(loss.item())
    ours = pretrained(tmp_path, images, augment=noisy, lr=1e-2, weight_decay=0.1, seed=5)[1]
    assert ours == pytest.approx(losses, rel=1e-6)


def test_networks_in_eval_mode_are_put_into_training_mode(images, tmp_path):
    networks = new_networks()
    for network in networks:
        network.eval()
    assert_same(pretrained(tmp_path / "a", images, networks=networks), pretrained(tmp_path / "b", images))


def test_the_same_seed_gives_the_same_bits(images, tmp_path):
    assert_same(pretrained(tmp_path / "a", images), pretrained(tmp_path / "b", images))


def test_another_seed_gives_other_losses(images, tmp_path):
    assert pretrained(tmp_path / "a", images)[1] != pretrained(tmp_path / "b", images, seed=1)[1]


def test_a_run_that_was_stopped_goes_on_bit_for_bit(images, tmp_path):
    straight = pretrained(tmp_path / "straight", images, epochs=45, augment=noisy)
    calls = 0

    def stopping(x, rng):
        nonlocal calls
        calls += 1
        if calls == 2 * 113:  # at the second view of step 113, the last checkpoint being that of step 100
            raise KeyboardInterrupt
        return noisy(x, rng)

    with pytest.raises(KeyboardInterrupt):
        pretrained(tmp_path / "stopped", images, epochs=45, augment=stopping)
    networks = new_networks(seed=9)
    resumed = pretrained(
        tmp_path / "stopped", images, networks=networks, epochs=45, augment=noisy, resume=True
    )
    assert_same(straight, resumed)


def test_a_finished_run_is_not_trained_again(images, tmp_path):
    finished = pretrained(tmp_path, images)

    def refusing(x, rng):
        raise AssertionError("a step was taken")

    again = pretrained(tmp_path, images, networks=new_networks(seed=9), augment=refusing, resume=True)
    assert_same(finished, again)


def test_a_run_at_another_temperature_is_not_resumed(images, tmp_path):
    pretrained(tmp_path, images, temperature=0.5)
    with pytest.raises(RunError, match=r"temperature=0\.5"):
        pretrained(tmp_path, images, temperature=0.2, resume=True)


def test_on_a_gpu_the_losses_are_those_on_the_cpu(cuda, rng, tmp_path):
    images = rng.uniform(-1, 1, (8, 1, 8, 8)).astype(np.float32)

    def losses_on(device):
        manual_seed(0)
        networks = ResNet(widths=(4, 6)).to(device), MLP(6, 8, 4, batch_norm=True).to(device)
        return pretrained(tmp_path / device, images, networks=networks, epochs=3)[1]

    assert losses_on(cuda) == pytest.approx(losses_on("cpu"), rel=1e-3)
