"""The loss of diffusion: how far the predicted noise is from the noise that was added."""

from __future__ import annotations

from tinygrad_lite import Function, Tensor, mean
from tinygrad_lite.tensor import TensorLike


class NoisePredictionLoss(Function):
    """Mean squared error between predicted and actual noise, which trains a network to denoise.

    Shapes:    predicted_noise ε̂ and noise ε (N, ...), the same → a scalar.
    Value:     d = ε̂ − ε;  L = Σ d²/n, over all n elements.
    Gradient:  ∂L/∂ε̂ = 2d/n,  ∂L/∂ε = −2d/n.
    Known:     equal arrays give 0; a prediction of 0, which is the best for x₀ unknown, gives about 1.
    Raises:    ValueError if the shapes differ: nothing is broadcast.
    Source:    Ho et al. 2020, arXiv:2006.11239, eq. (14), L_simple.
    """

    def forward(self, predicted_noise, noise):
        if predicted_noise.shape != noise.shape:
            raise ValueError(
                "noise_prediction_loss: predicted_noise and noise need one shape; "
                f"got {tuple(predicted_noise.shape)} and {tuple(noise.shape)}"
            )
        self.n = predicted_noise.size
        d = predicted_noise - noise
        return mean(d * d)

    def backward(self, grad, predicted_noise, noise):
        dpredicted_noise = grad * (predicted_noise - noise) * (2 / self.n)
        return dpredicted_noise, -dpredicted_noise


def noise_prediction_loss(predicted_noise: Tensor, noise: TensorLike) -> Tensor:
    """The mean of (predicted_noise − noise)², a scalar: see `NoisePredictionLoss`.

    Raises:
        ValueError: if the shapes differ.
    """
    return NoisePredictionLoss()(predicted_noise, noise)
