"""SGD against a second implementation, number by number."""

import numpy as np
import pytest

from tinygrad_lite import Tensor
from tinygrad_lite.optim import SGD


def by_hand(p, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    """The positions of one number p, by the formulas of the docstring."""
    positions, velocity = [], None
    for gradient in gradients:
        g = gradient + weight_decay * p
        velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
        p = p - lr * (g + momentum * velocity if nesterov else velocity if momentum else g)
        positions.append(p)
    return positions


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.3},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.3},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.3},
    ],
)
def test_agrees_with_the_formulas_over_20_steps(options, rng, device):
    gradients = rng.standard_normal((20, 3))
    p = Tensor(np.array([0.5, -1.0, 2.0]), device=device, requires_grad=True)
    optimizer = SGD([p], lr=0.1, **options)
    expected = np.array(
        [by_hand(x, g, 0.1, **options) for x, g in zip([0.5, -1.0, 2.0], gradients.T, strict=True)]
    )
    for step, g in enumerate(gradients):
        p.grad = Tensor(g, device=device)
        optimizer.step()
        np.testing.assert_allclose(p.numpy(), expected[:, step], rtol=1e-12)


@pytest.mark.parametrize("options", [{"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_without_momentum_or_with_dampening_is_refused(options):
    with pytest.raises(
        ValueError, match="SGD: nesterov needs a momentum above 0 and no dampening; got momentum"
    ):
        SGD([Tensor([1.0], requires_grad=True)], nesterov=True, **options)
