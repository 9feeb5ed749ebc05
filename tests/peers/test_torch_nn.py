"""Layers and losses against torch's, with the same weights: outputs, gradients, state and first draws."""

import inspect

import numpy as np
import pytest
import torch

from tinygrad_lite import Tensor, manual_seed, nn


def make(module, builder):
    """A layer of ours or of torch's, in float64."""
    return builder(module).double() if module is torch.nn else builder(module).to("float64")


LAYERS = {
    "linear": (lambda nn: nn.Linear(3, 5), (2, 4, 3)),
    "linear without bias": (lambda nn: nn.Linear(3, 5, bias=False), (2, 3)),
    "conv": (lambda nn: nn.Conv2d(3, 5, 3), (2, 3, 7, 6)),
    "conv with all options": (
        lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2, bias=False),
        (2, 4, 7, 8),
    ),
    "batch norm of rows": (lambda nn: nn.BatchNorm1d(3), (6, 3)),
    "batch norm of sequences": (lambda nn: nn.BatchNorm1d(3, eps=0.1, momentum=0.3), (4, 3, 5)),
    "batch norm of images": (lambda nn: nn.BatchNorm2d(3), (4, 3, 5, 2)),
    "batch norm without parameters": (lambda nn: nn.BatchNorm2d(3, affine=False), (4, 3, 5, 2)),
    "batch norm without running statistics": (
        lambda nn: nn.BatchNorm2d(3, track_running_stats=False),
        (4, 3, 5, 2),
    ),
    "group norm": (lambda nn: nn.GroupNorm(2, 6, eps=0.1), (4, 6, 5)),
    "group norm without parameters": (lambda nn: nn.GroupNorm(3, 6, affine=False), (4, 6, 5, 2)),
    "layer norm": (lambda nn: nn.LayerNorm(6), (4, 5, 6)),
    "layer norm without bias": (lambda nn: nn.LayerNorm((5, 6), eps=0.1, bias=False), (4, 5, 6)),
    "dropout of nothing": (lambda nn: nn.Dropout(0.0), (4, 3)),
    "relu": (lambda nn: nn.ReLU(), (4, 3)),
    "sigmoid": (lambda nn: nn.Sigmoid(), (4, 3)),
    "tanh": (lambda nn: nn.Tanh(), (4, 3)),
    "gelu": (lambda nn: nn.GELU(), (4, 3)),
    "gelu by tanh": (lambda nn: nn.GELU(approximate="tanh"), (4, 3)),
    "silu": (lambda nn: nn.SiLU(), (4, 3)),
    "softmax": (lambda nn: nn.Softmax(dim=1), (4, 3)),
    "log softmax": (lambda nn: nn.LogSoftmax(dim=0), (4, 3)),
    "flatten": (lambda nn: nn.Flatten(), (4, 3, 5)),
    "flatten from 0": (lambda nn: nn.Flatten(0, 1), (4, 3, 5)),
    "identity": (lambda nn: nn.Identity(), (4, 3)),
    "max pool": (lambda nn: nn.MaxPool2d(2), (2, 3, 6, 5)),
    "max pool with all options": (lambda nn: nn.MaxPool2d(3, stride=2, padding=1), (2, 3, 6, 5)),
    "average pool": (lambda nn: nn.AvgPool2d(2), (2, 3, 6, 5)),
    "average pool with all options": (lambda nn: nn.AvgPool2d(3, stride=2, padding=1), (2, 3, 6, 5)),
    "adaptive average pool to 1": (lambda nn: nn.AdaptiveAvgPool2d(1), (2, 3, 6, 5)),
    "adaptive average pool": (lambda nn: nn.AdaptiveAvgPool2d((2, 5)), (2, 3, 6, 5)),
    "upsample by a factor": (lambda nn: nn.Upsample(scale_factor=2), (2, 3, 4, 5)),
    "upsample to a size": (lambda nn: nn.Upsample(size=(7, 9)), (2, 3, 4, 5)),
    "sequential": (
        lambda nn: nn.Sequential(
            nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
        ),
        (5, 3),
    ),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def pair(request):
    """Our layer, torch's with the same random weights, and an input."""
    builder, shape = request.param
    rng = np.random.default_rng(5)
    ours, theirs = make(nn, builder), make(torch.nn, builder)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.data[...] = rng.standard_normal(p.shape)
        q.data[...] = torch.tensor(p.data)
    return ours, theirs, rng.standard_normal(shape)


def outcome(layer, tensor, x):
    """The output, and the gradients of its sum of squares by input and parameters."""
    x = tensor(x)
    x.requires_grad_()
    output = layer(x)
    (output * output).sum().backward()
    detached = [output.detach(), x.grad, *[p.grad for p in layer.parameters()]]
    return [value.numpy() for value in detached]


def test_outputs_and_gradients_agree(pair):
    ours, theirs, x = pair
    for training in (True, False):
        for layer in (ours, theirs):
            layer.train(training)
            layer.zero_grad()
        for a, b in zip(outcome(ours, Tensor, x), outcome(theirs, torch.tensor, x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_the_state_has_the_names_that_torch_gives_it(pair):
    ours, theirs, x = pair
    ours(x)
    theirs(torch.tensor(x))
    expected = {k: v.numpy() for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    state = ours.state_dict()
    assert list(state) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(state[name].numpy(), array, rtol=1e-9)


def test_arguments_have_the_names_and_defaults_that_torch_gives_them(pair):
    ours, theirs, _ = pair
    here, there = (
        [
            p
            for p in inspect.signature(type(layer).__init__).parameters.values()
            if p.kind is not p.VAR_POSITIONAL
        ]
        for layer in (ours, theirs)
    )
    here = [p for p in here if p.kind is not p.VAR_KEYWORD]  # the constructor of those that take nothing
    for a, b in zip(here, there, strict=False):
        assert a.name == b.name
        assert a.default == b.default or a.default is a.empty


@pytest.mark.parametrize(
    "builder",
    [
        lambda nn: nn.Linear(30, 200),
        lambda nn: nn.Conv2d(8, 64, 3, groups=2),
        lambda nn: nn.Embedding(99, 50),
    ],
)
def test_first_weights_are_drawn_from_torchs_distribution(builder):
    manual_seed(0)
    torch.manual_seed(0)
    for p, q in zip(builder(nn).parameters(), builder(torch.nn).parameters(), strict=True):
        a, b = p.numpy(), q.detach().numpy()
        assert a.std() == pytest.approx(b.std(), rel=0.1)
        assert np.quantile(abs(a), 0.9) == pytest.approx(np.quantile(abs(b), 0.9), rel=0.1)


def test_embeddings_agree(rng):
    ours, theirs = nn.Embedding(7, 3), torch.nn.Embedding(7, 3)
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.numpy())})
    indices = rng.integers(7, size=(4, 5))
    np.testing.assert_array_equal(ours(indices).numpy(), theirs(torch.tensor(indices)).detach().numpy())


LOSSES = {
    "cross entropy": lambda nn, weight: nn.CrossEntropyLoss(),
    "cross entropy with all options": lambda nn, weight: nn.CrossEntropyLoss(
        weight, ignore_index=1, reduction="sum", label_smoothing=0.1
    ),
}


@pytest.mark.parametrize("builder", LOSSES.values(), ids=LOSSES)
def test_losses_of_labels_agree(builder, rng):
    x, labels, weight = rng.standard_normal((6, 4)), rng.integers(4, size=6), rng.random(4)
    ours = builder(nn, Tensor(weight))(Tensor(x), labels)
    theirs = builder(torch.nn, torch.tensor(weight))(torch.tensor(x), torch.tensor(labels))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


@pytest.mark.parametrize("reduction", ["batchmean", "sum"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_divergences_agree(reduction, log_target, rng):
    x, target = np.log(rng.dirichlet(np.ones(4), size=6)), rng.dirichlet(np.ones(4), size=6)
    target = np.log(target) if log_target else target
    ours = nn.KLDivLoss(reduction=reduction, log_target=log_target)(Tensor(x), target)
    theirs = torch.nn.KLDivLoss(reduction=reduction, log_target=log_target)(
        torch.tensor(x), torch.tensor(target)
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {"a": -2.0, "b": 3.0}),
        ("normal_", {"mean": 1.0, "std": 0.5}),
        ("constant_", {"val": 0.3}),
        ("xavier_uniform_", {"gain": 2.0}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.5}),
        ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
    ],
)
def test_initializers_agree_in_distribution(name, options):
    manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(nn.init, name)(Tensor(np.empty((80, 40, 3, 3))), **options).numpy()
    theirs = getattr(torch.nn.init, name)(torch.empty(80, 40, 3, 3), **options).numpy()
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.03 * ours.std() + 1e-7)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02, abs=1e-6)
    assert (abs(ours - ours.mean()) < ours.std()).mean() == pytest.approx(
        (abs(theirs - theirs.mean()) < theirs.std()).mean(), abs=0.01
    )
