"""Whole training steps: forward, backward, and the step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.workloads.workload import Data, Job, Library, Workload, integers, normal

TIMES, CLASSES = 1000, 10
FORWARD_AND_BACKWARD = 3  # products of a training step: each layer's own, and one as large for each gradient


def train(parameters: Sequence[Any], optimizer: Any, loss: Callable[[], Any], multiply_adds: int) -> Job:
    """The job of a training step.

    Args:
        parameters: what the optimizer takes.
        optimizer: its class.
        loss: runs the forward pass.
        multiply_adds: of that pass.
    """
    its_optimizer = optimizer(parameters, lr=1e-3)

    def step() -> Any:
        value = loss()
        its_optimizer.zero_grad()
        value.backward()
        its_optimizer.step()
        return value

    return Job(step, lambda value: [value.item()], FORWARD_AND_BACKWARD * multiply_adds)


# -- classifiers -----------------------------------------------------------------------------------------


def labeled(*shape: int) -> Data:
    """Inputs of a shape, and their classes."""
    return {"x": normal(*shape), "labels": integers(CLASSES, shape[0])}


def classify(lib: Library, data: Data, network: Callable[[Library], Any], optimizer: str = "AdamW") -> Job:
    """`network` learns classes by cross-entropy."""
    model = lib.with_weights(network(lib))
    x, labels = lib.tensor(data["x"]), lib.tensor(data["labels"])
    return train(
        list(model.parameters()),
        getattr(lib.t.optim, optimizer),
        lambda: lib.t.nn.functional.cross_entropy(model(x), labels),
        lib.multiply_adds(model, x),
    )


def mlp(lib: Library) -> Any:
    """784-256-128-10."""
    return lib.MLP(784, 256, 128, 10)


def lenet(lib: Library) -> Any:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling."""
    nn = lib.t.nn
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def resnet32(lib: Library) -> Any:
    """A residual network for color pictures of 32²."""
    return lib.t.nn.Sequential(lib.ResNet(3, (32, 64, 128)), lib.t.nn.Linear(128, CLASSES))


# -- the techniques --------------------------------------------------------------------------------------


def two_views(samples: int) -> Data:
    """Two views of pictures of 8²; here they have nothing in common, which costs the same."""
    return {"view1": normal(samples, 1, 8, 8, key="view1"), "view2": normal(samples, 1, 8, 8, key="view2")}


def contrast(lib: Library, data: Data) -> Job:
    """The step of techniques.contrastive: each view through the backbone and its head, then NT-Xent."""
    backbone, head = contrastive_networks(lib)
    view1, view2 = lib.tensor(data["view1"]), lib.tensor(data["view2"])
    of_a_view = lib.multiply_adds(backbone, view1) + lib.multiply_adds(head, backbone(view1))
    return train(
        [*backbone.parameters(), *head.parameters()],
        lib.t.optim.AdamW,
        lambda: lib.nt_xent(head(backbone(view1)), head(backbone(view2))),
        2 * of_a_view,
    )


def contrastive_networks(lib: Library) -> tuple[Any, Any]:
    """The backbone of the demo and its head."""
    return lib.with_weights(lib.ResNet()), lib.with_weights(lib.MLP(64, 128, 64, batch_norm=True))


def noisy(batch: int, size: int) -> Data:
    """Pictures with noise, their times and classes, and the noise."""
    return {
        "x": normal(batch, 1, size, size),
        "t": integers(TIMES, batch, key="t"),
        "labels": integers(CLASSES, batch),
        "noise": normal(batch, 1, size, size, key="noise"),
    }


def denoise(lib: Library, data: Data, widths: tuple[int, ...]) -> Job:
    """The step of techniques.diffusion: a UNet learns the noise in pictures."""
    model = lib.with_weights(lib.UNet(1, widths, CLASSES))
    x, noise = lib.tensor(data["x"]), lib.tensor(data["noise"])
    t, labels = lib.array(data["t"]), lib.array(data["labels"])
    return train(
        list(model.parameters()),
        lib.t.optim.AdamW,
        lambda: lib.t.nn.functional.mse_loss(model(x, t, labels), noise),
        lib.multiply_adds(model, x, t, labels),
    )


def distill(lib: Library, data: Data) -> Job:
    """The step of techniques.distillation: a CNN answers, a perceptron learns its answers and the labels."""
    teacher = lib.with_weights(lib.CNN(1, CLASSES, (32, 64))).eval()
    student = lib.with_weights(lib.MLP(64, 64, CLASSES))
    x, labels = lib.tensor(data["x"]), lib.tensor(data["labels"])

    def loss() -> Any:
        with lib.t.no_grad():
            answers = teacher(x)
        return lib.distillation_loss(student(x), answers, labels)

    job = train(list(student.parameters()), lib.t.optim.AdamW, loss, lib.multiply_adds(student, x))
    return Job(job.step, job.checks, job.multiply_adds + lib.multiply_adds(teacher, x))


def sequences(batch: int, tokens: int, dim: int) -> Data:
    """Sequences of vectors, and as many to learn."""
    return {"x": normal(batch, tokens, dim), "target": normal(batch, tokens, dim, key="target")}


def transform(lib: Library, data: Data) -> Job:
    """A transformer block learns to map sequences to others."""
    model = lib.with_weights(lib.TransformerBlock(128, 4))
    x, target = lib.tensor(data["x"]), lib.tensor(data["target"])
    return train(
        list(model.parameters()),
        lib.t.optim.AdamW,
        lambda: lib.t.nn.functional.mse_loss(model(x), target),
        lib.multiply_adds(model, x),
    )


TRAINING = [
    Workload(
        "mlp",
        "perceptron 784-256-128-10, batch 128, Adam",
        partial(labeled, 128, 784),
        partial(classify, network=mlp, optimizer="Adam"),
        trains=True,
    ),
    Workload(
        "lenet",
        "LeNet, 28², batch 64",
        partial(labeled, 64, 1, 28, 28),
        partial(classify, network=lenet),
        trains=True,
    ),
    Workload(
        "resnet",
        "backbone, head and NT-Xent, 8², 512 views",
        partial(two_views, 256),
        contrast,
        trains=True,
    ),
    Workload(
        "resnet32",
        "ResNet 32-64-128, 32², batch 64",
        partial(labeled, 64, 3, 32, 32),
        partial(classify, network=resnet32),
        trains=True,
    ),
    Workload(
        "unet",
        "UNet 24-48, 8², batch 128",
        partial(noisy, 128, 8),
        partial(denoise, widths=(24, 48)),
        trains=True,
    ),
    Workload(
        "unet28",
        "UNet 32-64, 28², batch 32",
        partial(noisy, 32, 28),
        partial(denoise, widths=(32, 64)),
        trains=True,
    ),
    Workload(
        "transformer",
        "block of 128, 64 tokens, batch 32",
        partial(sequences, 32, 64, 128),
        transform,
        trains=True,
    ),
    Workload(
        "distill",
        "teacher forward, student step, 8², batch 128",
        partial(labeled, 128, 1, 8, 8),
        distill,
        trains=True,
    ),
]
