"""The loss: known values, and what it refuses."""

import numpy as np
import pytest

from techniques.diffusion.losses import noise_prediction_loss
from tinygrad_lite import Tensor


def test_it_is_the_mean_of_the_squared_differences():
    loss = noise_prediction_loss(Tensor([[1.0, 2.0], [0.0, 4.0]]), Tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert loss.item() == pytest.approx((0 + 4 + 1 + 9) / 4)


def test_its_gradient_is_twice_the_difference_over_the_number_of_elements():
    predicted = Tensor([[1.0, 2.0, 5.0]], requires_grad=True)
    noise_prediction_loss(predicted, np.array([[1.0, 0.0, 6.0]], dtype="float32")).backward()
    np.testing.assert_allclose(predicted.grad.numpy(), [[0, 4 / 3, -2 / 3]], rtol=1e-6)


def test_equal_noises_give_0(rng):
    noise = rng.standard_normal((5, 1, 3, 3), dtype="float32")
    assert noise_prediction_loss(Tensor(noise), noise).item() == 0


def test_predicting_0_costs_the_variance_of_the_noise():
    noise = np.random.default_rng(0).standard_normal((100, 1000))
    assert noise_prediction_loss(Tensor(np.zeros_like(noise)), noise).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (3,), (3, 3, 1)])
def test_nothing_is_broadcast(shape):
    with pytest.raises(ValueError, match=r"noise_prediction_loss: needs two equal shapes; got \(3, 3\) and"):
        noise_prediction_loss(Tensor(np.zeros((3, 3))), np.zeros(shape))
