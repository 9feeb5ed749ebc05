"""Parameter: a tensor that is learned."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.backend import as_array
from tinygrad_lite.tensor import Tensor


class Parameter(Tensor):
    """A tensor that is learned: by this class a module finds its parameters.

    Args:
        data: the first value, which is copied (torch shares the memory): a tensor, an array or numbers.
        requires_grad: False for one that is frozen.

    Raises:
        TypeError: for integers or booleans that should have a gradient.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        array = data.data if isinstance(data, Tensor) else as_array(data)
        super().__init__(array.copy(), requires_grad=requires_grad)
