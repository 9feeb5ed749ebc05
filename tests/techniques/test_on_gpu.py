"""One training step of each technique on the GPU, or on the stand-in for CuPy: the CPU's numbers."""

import numpy as np
import pytest

from techniques.contrastive.losses import nt_xent
from techniques.diffusion.denoiser import DiffusionModel
from techniques.diffusion.losses import noise_prediction_loss
from techniques.diffusion.schedule import NoiseScheduler
from techniques.distillation.losses import distillation_loss
from techniques.models import CNN, MLP, ResNet, UNet
from tinygrad_lite import Tensor, manual_seed, no_grad, optim

N = 6


def draws(*shape):
    return np.random.default_rng(1).standard_normal(shape, dtype="float32")


def labels(device):
    return Tensor(np.arange(N) % 3, device=device)


def step(modules, loss, optimizer):
    """The loss, and after one step of the optimizer all parameters."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [loss.numpy(), *(p.numpy() for module in modules for p in module.parameters())]


def distillation_step(device):
    teacher, student = CNN(widths=(4, 8)).to(device).eval(), MLP(64, 8, 10).to(device)
    data = Tensor(draws(N, 1, 8, 8), device=device)
    with no_grad():
        teacher_logits = teacher(data)
    loss = distillation_loss(student(data), teacher_logits, labels(device))
    return step([student], loss, optim.AdamW(student.parameters(), lr=1e-3))


def diffusion_step(device):
    model = DiffusionModel(UNet(1, (8, 16), num_classes=3), NoiseScheduler("cosine")).to(device)
    data, noise = (Tensor(x, device=device).data for x in (draws(N, 1, 8, 8), draws(N, 1, 8, 8)))
    noisy_data, noise_level = model.scheduler.add_noise(data, noise, rng=np.random.default_rng(2))
    loss = noise_prediction_loss(model(noisy_data, noise_level, labels(device).data), noise)
    return step([model], loss, optim.AdamW(model.parameters(), lr=1e-3))


def contrastive_step(device):
    backbone, head = ResNet(widths=(4, 8)).to(device), MLP(8, 8, 4).to(device)
    view1, view2 = (Tensor(x, device=device) for x in np.split(draws(2 * N, 1, 8, 8), 2))
    loss = nt_xent(head(backbone(view1)), head(backbone(view2)))
    return step([backbone, head], loss, optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1))


@pytest.mark.parametrize("training_step", [distillation_step, diffusion_step, contrastive_step])
def test_a_training_step_gives_the_same_numbers_as_on_the_cpu(training_step, cuda):
    results = []
    for device in ("cpu", cuda):
        manual_seed(0)
        results.append(training_step(device))
    for on_cpu, on_gpu in zip(*results, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=2e-3, atol=2e-5)


def test_a_sample_is_drawn_on_the_gpu_as_on_the_cpu(cuda):
    drawn = []
    for device in ("cpu", cuda):
        manual_seed(0)
        model = DiffusionModel(UNet(1, (8, 16), num_classes=3), NoiseScheduler("cosine")).to(device).eval()
        x = Tensor(draws(2, 1, 8, 8), device=device).data
        for reverse_step in model.scheduler.reverse_steps(3):
            x = model.denoise(x, reverse_step, rng=np.random.default_rng(0))
        drawn.append(Tensor(x).numpy())
    np.testing.assert_allclose(drawn[1], drawn[0], rtol=1e-4, atol=1e-4)
