"""Dropout."""

from __future__ import annotations

from tinygrad_lite.backend import ambient_rng
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import dropout as plain
from tinygrad_lite.kernels.cpu import dropout as cpu
from tinygrad_lite.ops.arguments import choice_of
from tinygrad_lite.tensor import TensorLike

_kernels = choice_of(cpu, plain, floats_only=True)


class Dropout(Function):
    """x·z/(1 − p), elementwise, z drawn anew: 0 with probability p, else 1; so the expectation is x.

    Gradient:  z/(1 − p).
    Numerics:  on a CPU z has p rounded to a multiple of 2⁻¹⁶; within 2⁻⁸ of 0 or 1, of 2⁻³².
    Shapes:    any → the same.
    Source:    Srivastava et al. 2014, JMLR 15, with the scale moved from prediction to training ("inverted").
    """

    def __init__(self, p: float) -> None:
        self.p = p
        self.scale = 1 / (1 - p) if p < 1 else 0.0

    def forward(self, x):
        kernels = _kernels(x)
        self.z = kernels.draw_kept(x, self.p, ambient_rng(self.xp))
        return kernels.scale_kept(x, self.z, self.scale)

    def backward(self, grad):
        return grad * self.z * self.scale

    def backward_fused(self, grad):
        return _kernels(grad).scale_kept(grad, self.z, self.scale)


def dropout(input: TensorLike, p: float = 0.5, training: bool = True) -> TensorLike:
    """Each element 0 with probability `p`, else divided by 1 − p; `input` itself unless training and p > 0.

    The draws follow `manual_seed`; on a CPU they meet p to 16 bits, see `Dropout`.

    Raises:
        ValueError: for p outside 0 … 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1; got {p}")
    return Dropout(p)(input) if training and p > 0 else input
