"""The embedding layer."""

from __future__ import annotations

import numpy as np

from tinygrad_lite.nn import init
from tinygrad_lite.nn.functional import embedding
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.tensor import Tensor, TensorLike


class Embedding(Module):
    """A learned vector for each of the integers 0 … n−1: classes, words.

    Parameters: weight (n, d), drawn from N(0, 1).

    Args:
        num_embeddings: n.
        embedding_dim: d.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), dtype="float32"))
        init.normal_(self.weight)

    def forward(self, indices: TensorLike) -> Tensor:
        """Integers of any shape → (…, d)."""
        return embedding(indices, self.weight)
