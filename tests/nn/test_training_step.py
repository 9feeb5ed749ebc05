"""Layers and an optimizer together: steps of training through every kind of layer."""

import numpy as np

from tinygrad_lite import Tensor, manual_seed, nn, optim


class Classifier(nn.Module):
    """Every kind of layer between a picture with a number on its back and the scores of three classes."""

    def __init__(self):
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
            *(
                nn.Conv2d(4, 6, 3),
                nn.GroupNorm(2, 6),
                nn.SiLU(),
                nn.Upsample(scale_factor=2),
                nn.AvgPool2d(2),
            ),
            *(nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(6)),
        )
        self.number = nn.Embedding(5, 6)
        self.head = nn.ModuleList(
            [nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3), nn.Identity()]
        )

    def forward(self, images, numbers):
        x = self.convolutions(images) + self.number(numbers)
        for layer in self.head:
            x = layer(x)
        return x


def train(device, steps):
    """The losses of some steps, and the state of the model after them."""
    manual_seed(0)
    rng = np.random.default_rng(1)
    model, loss_of = Classifier().to("float64").to(device), nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.AdamW([*model.parameters()], lr=0.01)
    schedule = optim.WarmupCosine(optimizer, warmup=2, total=steps)
    images, numbers = Tensor(rng.standard_normal((6, 1, 8, 8)), device=device), rng.integers(5, size=6)
    losses = []
    for _ in range(steps):
        loss = loss_of(model(images, Tensor(numbers, device=device)), Tensor(numbers % 3, device=device))
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def test_the_loss_falls():
    losses, _ = train("cpu", 30)
    assert losses[-1] < 0.6 * losses[0]


def test_every_parameter_and_buffer_moves():
    _, before = train("cpu", 3)
    _, after = train("cpu", 4)
    assert [name for name in before if np.array_equal(before[name], after[name])] == []


def test_the_same_seed_gives_the_same_bits():
    (losses, state), (again, state_again) = train("cpu", 3), train("cpu", 3)
    assert losses == again
    assert all(np.array_equal(state[name], state_again[name]) for name in state)


def test_a_gpu_gives_the_same_numbers(cuda):
    (losses, state), (on_gpu, state_there) = train("cpu", 3), train(cuda, 3)
    np.testing.assert_allclose(on_gpu, losses, rtol=1e-9)
    for name in state:
        np.testing.assert_allclose(state_there[name], state[name], rtol=1e-6, atol=1e-9)
