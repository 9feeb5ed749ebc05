"""Modules that hold modules in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tinygrad_lite.nn.module import Module


class ModuleList(Module):
    """A list of modules, found under "0", "1", …; it is not called itself.

    Args:
        modules: what it begins with.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        """Put a module at the end.

        Raises:
            TypeError: for what is no Module.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: holds modules; got a {type(module).__name__}")
        setattr(self, str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Put each of some modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._own(Module))

    def __iter__(self) -> Iterator[Any]:
        return (module for _, module in self._own(Module))

    def __getitem__(self, index: int | slice) -> Any:
        """The module at an index; for a slice a new list, or Sequential, of the same modules."""
        modules = list(self)
        return type(self)().extend(modules[index]) if isinstance(index, slice) else modules[index]


class Sequential(ModuleList):
    """Modules one after the other: the output of each is the input of the next.

    Args:
        modules: in their order; they are found under "0", "1", …

    Example:
        >>> from tinygrad_lite.nn import Linear, ReLU
        >>> Sequential(Linear(3, 4), ReLU(), Linear(4, 1, bias=False))
        Sequential(
          (0): Linear(in_features=3, out_features=4)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=1, bias=False)
        )
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """The last one's output."""
        for module in self:
            x = module(x)
        return x
