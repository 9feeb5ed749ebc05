"""Optimizers, schedules, clipping and averages against torch, step by step, in float64."""

import itertools

import numpy as np
import pytest
import torch

from tinygrad_lite import Tensor, optim
from tinygrad_lite.nn import Linear

STEPS = 20
SHAPES = [(3, 5), (7,), ()]


def products(**values):
    """All combinations of options."""
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


SGD = [
    options
    for options in products(
        momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=[0.0, 0.1], nesterov=[False, True]
    )
    if not options["nesterov"] or (options["momentum"] and not options["dampening"])
]
ADAM = products(betas=[(0.9, 0.999), (0.5, 0.8)], eps=[1e-8, 1e-2], weight_decay=[0.0, 0.1])


class Pair:
    """The same parameters here and in torch."""

    def __init__(self):
        self.rng = np.random.default_rng(7)
        starts = [self.rng.standard_normal(shape) for shape in SHAPES]
        self.ours = [Tensor(x.copy(), requires_grad=True) for x in starts]
        self.theirs = [torch.tensor(x, requires_grad=True) for x in starts]

    def new_gradients(self, scale=1.0):
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            g = scale * self.rng.standard_normal(ours.shape)
            ours.grad, theirs.grad = Tensor(np.asarray(g)), torch.tensor(g)

    def agree(self):
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "options"),
    [*[("SGD", o) for o in SGD], *[("Adam", o) for o in ADAM], *[("AdamW", o) for o in ADAM]],
    ids=str,
)
def test_every_step_agrees(name, options):
    pair = Pair()
    ours = getattr(optim, name)(pair.ours, lr=0.05, **options)
    theirs = getattr(torch.optim, name)(pair.theirs, lr=0.05, **options)
    for _ in range(STEPS):
        pair.new_gradients()
        ours.step()
        theirs.step()
        pair.agree()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_the_defaults_are_the_same(name):
    theirs = getattr(torch.optim, name)(Pair().theirs).param_groups[0]
    (ours,) = getattr(optim, name)(Pair().ours).param_groups
    assert {k: v for k, v in ours.items() if k != "params"} == {k: theirs[k] for k in ours if k != "params"}


def test_groups_with_options_of_their_own_agree():
    pair = Pair()

    def groups(params):
        return [
            {"params": params[:1], "lr": 0.2, "betas": (0.8, 0.9)},
            {"params": params[1:], "weight_decay": 0.5},
        ]

    ours, theirs = optim.AdamW(groups(pair.ours)), torch.optim.AdamW(groups(pair.theirs))
    for _ in range(STEPS):
        pair.new_gradients()
        ours.step()
        theirs.step()
    pair.agree()


def test_a_parameter_that_misses_some_gradients_agrees():
    pair = Pair()
    ours, theirs = optim.Adam(pair.ours, lr=0.1), torch.optim.Adam(pair.theirs, lr=0.1)
    for step in range(STEPS):
        pair.new_gradients()
        if step % 3 == 0:
            pair.ours[1].grad = pair.theirs[1].grad = None
        ours.step()
        theirs.step()
    pair.agree()


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clipping_agrees(max_norm):
    pair = Pair()
    pair.new_gradients(scale=3.0)
    norm = optim.clip_grad_norm_(pair.ours, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(pair.theirs, max_norm)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    for ours, theirs in zip(pair.ours, pair.theirs, strict=True):
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}),
        ("CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}),
    ],
)
def test_schedules_agree(name, options):
    pair = Pair()
    ours, theirs = optim.SGD(pair.ours, lr=0.3), torch.optim.SGD(pair.theirs, lr=0.3)
    our_schedule = getattr(optim, name)(ours, **options)
    their_schedule = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    for _ in range(STEPS):
        assert our_schedule.get_last_lr() == pytest.approx(their_schedule.get_last_lr(), rel=1e-9, abs=1e-12)
        theirs.step()
        our_schedule.step()
        their_schedule.step()


def test_averages_agree():
    model = Linear(3, 2).to("float64")
    peer = torch.nn.Linear(3, 2).double()
    peer.load_state_dict({name: torch.tensor(x.numpy()) for name, x in model.state_dict().items()})
    average = optim.ExponentialMovingAverage(model, decay=0.5)
    theirs = torch.optim.swa_utils.AveragedModel(
        peer, avg_fn=lambda a, p, n: torch.lerp(a, p, 1 - min(0.5, n / (9 + n)))
    )
    theirs.n_averaged += 1  # at 0 torch's first update copies
    for _ in range(STEPS):
        for p, q in zip(model.parameters(), peer.parameters(), strict=True):
            p.data += 1.0
            q.data += 1.0
        average.update()
        theirs.update_parameters(peer)
    for ours, other in zip(average.averages.values(), theirs.module.parameters(), strict=True):
        np.testing.assert_allclose(ours, other.detach().numpy(), rtol=1e-12)
