"""Dropout as a layer."""

from __future__ import annotations

from tinygrad_lite.nn.functional import dropout
from tinygrad_lite.nn.module import Module
from tinygrad_lite.tensor import TensorLike


class Dropout(Module):
    """In training each element is 0 with probability p, and the others grow by 1/(1 − p); else x as it is.

    The draws are from the ambient generator, which `manual_seed` sets.

    Args:
        p: the probability, 0.5 by default.

    Raises:
        ValueError: for p outside 0 … 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, from 0 to 1; got {p}")
        self.p = p

    def forward(self, x: TensorLike) -> TensorLike:
        """Any shape → the same."""
        return dropout(x, self.p, self.training)
