"""Adam and AdamW against a second implementation, number by number, and what their papers say of them."""

import math

import numpy as np
import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.optim import Adam, AdamW


def by_hand(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    """The positions of one number p; the means are written out as sums over all gradients so far."""
    positions, seen = [], []
    for gradient in gradients:
        decay = lr * weight_decay * p if decoupled else 0.0
        seen.append(gradient if decoupled else gradient + weight_decay * p)
        age = range(len(seen))
        weights = [[(1 - beta) * beta**k for k in age] for beta in betas]
        mean = sum(w * g for w, g in zip(weights[0], reversed(seen), strict=True)) / sum(weights[0])
        square = sum(w * g * g for w, g in zip(weights[1], reversed(seen), strict=True)) / sum(weights[1])
        p = p - decay - lr * mean / (math.sqrt(square) + eps)
        positions.append(p)
    return positions


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.3}, {"betas": (0.5, 0.8), "eps": 0.1}])
def test_agrees_with_the_formulas_over_20_steps(kind, options, rng, device):
    gradients = rng.standard_normal((20, 3))
    start = [0.5, -1.0, 2.0]
    p = Tensor(np.array(start), device=device, requires_grad=True)
    optimizer = kind([p], lr=0.1, **options)
    decoupled = {"weight_decay": 1e-2, **options, "decoupled": True} if kind is AdamW else options
    expected = np.array([by_hand(x, g, 0.1, **decoupled) for x, g in zip(start, gradients.T, strict=True)])
    for step, g in enumerate(gradients):
        p.grad = Tensor(g, device=device)
        optimizer.step()
        np.testing.assert_allclose(p.numpy(), expected[:, step], rtol=1e-11)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_first_step_has_the_length_of_the_rate_whatever_the_gradient(scale):
    p = Tensor(np.zeros(2), requires_grad=True)
    p.grad = Tensor(np.array([scale, -2 * scale]))
    Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.numpy(), [-0.1, 0.1], rtol=1e-4)


def test_adamw_decays_each_element_alike_and_adam_does_not():
    decayed = []
    for kind in (Adam, AdamW):
        p = Tensor(np.ones(2), requires_grad=True)
        p.grad = Tensor(np.array([0.01, 100.0]))
        without = Tensor(np.ones(2), requires_grad=True)
        without.grad = Tensor(np.array([0.01, 100.0]))
        optimizers = kind([p], lr=0.1, weight_decay=0.5), kind([without], lr=0.1, weight_decay=0.0)
        for _ in range(2):
            for optimizer in optimizers:
                optimizer.step()
        decayed.append(without.numpy() - p.numpy())
    by_adam, by_adamw = decayed
    assert by_adamw[0] == pytest.approx(by_adamw[1])
    assert abs(by_adam[1]) < 1e-3 < by_adamw[1]


def test_a_gradient_of_zeros_moves_nothing():
    p = Tensor([1.0, 2.0], requires_grad=True)
    p.grad = Tensor([0.0, 0.0])
    Adam([p]).step()
    assert p.tolist() == [1.0, 2.0]
