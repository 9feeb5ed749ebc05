"""The loss of diffusion, explicit: its value, its gradient, and where it comes from."""

from __future__ import annotations

import math

from tinygrad_lite import Function, Tensor, mean
from tinygrad_lite.tensor import TensorLike


class NoisePrediction(Function):
    """Mean squared error between predicted and actual noise: a network that tells noise from data.

    Shapes:    twice the same → a scalar.
    Value:     d = ε̂ − ε, for the predicted noise ε̂ and the actual ε;  L = Σ d²/n, over all n numbers.
    Gradient:  ∂L/∂ε̂ = 2·d/n, ∂L/∂ε = −2·d/n.
    Known:     equal noises give 0; ε̂ = 0, a network that knows nothing, gives 1 on average.
    Source:    Ho, Jain & Abbeel 2020, arXiv:2006.11239, equation (14), L_simple.
    """

    def forward(self, predicted, noise):
        return mean((predicted - noise) ** 2)

    def backward(self, grad, predicted, noise):
        dpredicted = grad * 2 * (predicted - noise) / math.prod(noise.shape)
        return dpredicted, -dpredicted


def noise_prediction_loss(predicted_noise: Tensor, noise: TensorLike) -> Tensor:
    """The mean squared error between predicted and actual noise.

    Args:
        predicted_noise: the network's output, any shape.
        noise: what was added to the data, of the same shape.

    Raises:
        ValueError: for shapes that differ.
    """
    shapes = [tuple(x.shape) for x in (predicted_noise, noise)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"noise_prediction_loss: needs two equal shapes; got {shapes[0]} and {shapes[1]}")
    return NoisePrediction()(predicted_noise, noise)
