"""A multilayer perceptron: students, heads, classifiers."""

from __future__ import annotations

from itertools import pairwise

from tinygrad_lite import Tensor, nn


class MLP(nn.Module):
    """Linear layers with ReLU between them: (N, sizes[0]) → (N, sizes[-1]).

    Args:
        sizes: the widths, from input to output.
        batch_norm: normalize before each ReLU.

    Inputs of more dimensions are flattened to (N, sizes[0]) first.
    """

    def __init__(self, *sizes: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (width, next_width) in enumerate(pairwise(sizes)):
            layers.append(nn.Linear(width, next_width))
            if i < len(sizes) - 2:
                layers += [nn.BatchNorm1d(next_width), nn.ReLU()] if batch_norm else [nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, (N, sizes[-1])."""
        return self.layers(x)
