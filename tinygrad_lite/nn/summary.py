"""A model's layers in a table: what comes out of them, what they hold, and what they cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.nn.parameter import Parameter
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
    shapes, multiply_adds = _measured(model, [_example(model, x) for x in inputs])
    counted: set[int] = set()
    rows = []
    for path, module in model.named_modules():
        new = {id(p): p.numel() for p in vars(module).values() if isinstance(p, Parameter)}
        parameters = sum(n for key, n in new.items() if key not in counted)
        counted |= new.keys()
        rows.append((_label(path, module), shapes.get(module, "not run"), parameters, multiply_adds[module]))
    rows.append(("total", "", sum(row[2] for row in rows), multiply_adds.total()))
    return _aligned(rows)


def _example(model: Module, given: Any) -> Any:
    """An input as given, or zeros of a given shape, of the dtype and on the device of the parameters."""
    if not isinstance(given, tuple):
        return given
    like = next(model.parameters(), Tensor(0.0))
    return Tensor(np.zeros(given), dtype=like.dtype, device=like.device)


def _measured(model: Module, inputs: list) -> tuple[dict[Module, str], Counter[Module]]:
    """The output shapes and multiply-adds of all modules, noted by hooks in one forward pass."""
    shapes: dict[Module, str] = {}
    multiply_adds: Counter[Module] = Counter()

    def note(module: Module, inputs: tuple, output: Any) -> None:
        shapes[module] = _shape_of(output)
        multiply_adds[module] += module.multiply_adds(inputs, output)

    modes = {module: module.training for module in model.modules()}
    handles = [module.register_forward_hook(note) for module in modes]
    try:
        with no_grad():
            model.eval()(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return shapes, multiply_adds


def _shape_of(output: Any) -> str:
    if isinstance(output, tuple | list):
        return ", ".join(_shape_of(part) for part in output)
    return str(tuple(getattr(output, "shape", ())))


def _label(path: str, module: Module) -> str:
    """A module's name and class, set in by how deep it lies."""
    *outer, name = path.split(".")
    kind = type(module).__name__
    return f"{'  ' * (len(outer) + 1)}{name}: {kind}" if path else kind


def _aligned(rows: list[tuple[str, str, int, int]]) -> str:
    """Text to the left, numbers to the right, each column as wide as its widest entry."""
    cells = [HEADER, *[(label, shape, f"{p:,}", f"{m:,}") for label, shape, p, m in rows]]
    a, b, c, d = (max(map(len, column)) for column in zip(*cells, strict=True))
    return "\n".join(f"{w:<{a}}  {x:<{b}}  {y:>{c}}  {z:>{d}}" for w, x, y, z in cells)
