"""A model's layers in a table: what comes out of them, what they hold, and what they cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tinygrad_lite.tensor import Tensor, no_grad

if TYPE_CHECKING:
    from tinygrad_lite.nn.module import Module

HEADER = ("layer", "output shape", "parameters", "multiply-adds")


def summary(model: Module, *inputs: Any) -> str:
    """A table, one line a module: output shape, own parameters, and own multiply-adds.

    A line counts what is the module's own, not what the modules within it have. What is shared counts once,
    where it is first met; a module that runs twice computes twice, and shows its last output. Multiply-adds
    are those of products: linear layers, convolutions, attention. The model runs in eval mode, once.

    Args:
        model: the module.
        inputs: what `forward` takes, as arrays or tensors; a tuple is the shape of an input of zeros.

    Example:
        >>> from tinygrad_lite.nn import Linear, ReLU, Sequential
        >>> print(Sequential(Linear(64, 32), ReLU(), Linear(32, 10)).summary((1, 64)))
        layer        output shape  parameters  multiply-adds
        Sequential   (1, 10)                0              0
          0: Linear  (1, 32)            2,080          2,048
          1: ReLU    (1, 32)                0              0
          2: Linear  (1, 10)              330            320
        total                           2,410          2,368
    """
    shapes, multiply_adds = _measured(model, inputs)
    rows = [HEADER]
    counted: set[int] = set()
    for path, module in model.named_modules():
        own = [p for _, p in module._own(Tensor) if p.requires_grad]
    ...
