"""Activations: what networks put between their linear layers."""

from __future__ import annotations

import math

from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import activation as plain
from tinygrad_lite.kernels.cpu import activation as cpu
from tinygrad_lite.ops.arguments import choice_of
from tinygrad_lite.ops.elementwise import erf, exp
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain, floats_only=True)


class ReLU(Function):
    """max(x, 0), elementwise.

    Gradient:  1 where x > 0, else 0 (at the kink too).
    Shapes:    any → the same.
    """

    def forward(self, x):
        return _kernels(x).relu(x)

    def backward(self, grad, output):
        return grad * (output > 0)


def relu(x: TensorLike) -> Tensor:
    """max(x, 0), elementwise; the derivative at 0 is 0."""
    return ReLU()(x)


class Sigmoid(Function):
    """σ(x) = 1 / (1 + e⁻ˣ), elementwise.

    Gradient:  σ(x)·(1 − σ(x)).
    Numerics:  exact 0 and 1 far out.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return _kernels(x).sigmoid(x)

    def backward(self, grad, output):
        return grad * output * (1 - output)


def sigmoid(x: TensorLike) -> Tensor:
    """σ(x) = 1 / (1 + e⁻ˣ), elementwise."""
    return Sigmoid()(x)


class Tanh(Function):
    """The hyperbolic tangent, elementwise.

    Gradient:  1 − tanh²(x).
    Shapes:    any → the same.
    """

    def forward(self, x):
        return self.xp.tanh(x)

    def backward(self, grad, output):
        return grad * (1 - output * output)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent, elementwise."""
    return Tanh()(x)


class SiLU(Function):
    """x·σ(x), elementwise.

    Gradient:  σ·(1 + x·(1 − σ)).
    Numerics:  NaN at −∞, as in PyTorch.
    Shapes:    any → the same.
    Source:    Elfwing et al. 2017, arXiv:1702.03118; Ramachandran et al. 2017, arXiv:1710.05941 (swish).
    """

    def forward(self, x):
        return _kernels(x).silu(x)

    def backward(self, grad, x):
        s = sigmoid(x)
        return grad * s * (1 + x * (1 - s))

    def backward_fused(self, grad, x):
        return _kernels(grad).silu_back(grad, x)


def silu(x: TensorLike) -> Tensor:
    """x·σ(x), elementwise."""
    return SiLU()(x)


class GELU(Function):
    """x·Φ(x), elementwise; Φ(x) = (1 + erf(x/√2))/2 is the normal distribution function.

    Gradient:  Φ(x) + x·φ(x),  φ(x) = e^(−x²/2)/√(2π).
    Numerics:  in float32 Φ(x) is within 3e-7 of its value; NaN at −∞, as in PyTorch.
    Shapes:    any → the same.
    Source:    Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """

    private = ("slope",)

    def forward(self, x):
        y, self.slope = _kernels(x).gelu(x, with_slope=self.is_recorded)
        return y

    def backward(self, grad, x):
        Phi = 0.5 * (1 + erf(x * math.sqrt(0.5)))
        phi = exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return grad * (Phi + x * phi)

    def backward_fused(self, grad):
        return grad * self.slope


class TanhGELU(Function):
    """½x·(1 + tanh u), elementwise, with u = √(2/π)·(x + 0.044715·x³): close to `GELU`, and cheaper.

    Gradient:  ½(1 + t) + ½x·(1 − t²)·du/dx,  t = tanh u,  du/dx = √(2/π)·(1 + 3·0.044715·x²).
    Shapes:    any → the same.
    Source:    Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """

    private = ("slope",)

    def forward(self, x):
        y, self.slope = _kernels(x).tanh_gelu(x, with_slope=self.is_recorded)
        return y

    def backward(self, grad, x):
        t = tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)

    def backward_fused(self, grad):
        return grad * self.slope


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """x·Φ(x), elementwise, Φ the normal distribution function; `approximate="tanh"` for a cheaper form.

    Raises:
        ValueError: for another `approximate` than "none" and "tanh".
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh'; got {approximate!r}")
    return TanhGELU()(x) if approximate == "tanh" else GELU()(x)
