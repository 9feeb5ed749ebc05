"""Dropout."""

from __future__ import annotations

from tinygrad_lite.backend import ambient_rng
from tinygrad_lite.engine import Function
from tinygrad_lite.tensor import TensorLike


class Dropout(Function):
    """x·z/(1 − p), elementwise, z drawn anew: 0 with probability p, else 1; so the expectation is x.

    Gradient:  z/(1 − p).
    Shapes:    any → the same.
    Source:    Srivastava et al. 2014, JMLR 15, with the scale moved from prediction to training ("inverted").
    """

    def __init__(self, p: float) -> None:
        self.p = p
        self.scale = 1 / (1 - p) if p < 1 else 0.0

    def forward(self, x):
        draws = ambient_rng(self.xp).random(x.shape, dtype="float32")
        kept = self.xp.empty_like(x, dtype=bool)  # in the memory layout of x
        self.z = self.xp.greater_equal(draws, self.p, out=kept)
        return x * self.z * self.scale

    def backward(self, grad):
        return grad * self.z * self.scale


def dropout(input: TensorLike, p: float = 0.5, training: bool = True) -> TensorLike:
    """Each element 0 with probability `p`, else divided by 1 − p; `input` itself unless training and p > 0.

    The draws follow `manual_seed`.

    Raises:
        ValueError: for p outside 0 … 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, from 0 to 1; got {p}")
    return Dropout(p)(input) if training and p > 0 else input
