"""Module: parameters, buffers and other modules under names, and a forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import indent
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygrad_lite.backend import as_array, device_of, to_device
from tinygrad_lite.nn import table
from tinygrad_lite.ops.elementwise import to
from tinygrad_lite.tensor import Tensor

M = TypeVar("M", bound="Module")
T = TypeVar("T")


class Parameter(Tensor):
    """A tensor that a module learns: a module finds its parameters by this class.

    Args:
        data: its first value, copied (torch shares the memory): a tensor, an array or numbers.
        requires_grad: False for one that is frozen.

    Raises:
        TypeError: for integers or booleans that should have a gradient.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        array = data.data if isinstance(data, Tensor) else as_array(data)
        super().__init__(array.copy(), requires_grad=requires_grad)


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away, and so does the end of a `with`."""

    def __init__(self, hooks: dict[RemovableHandle, Callable]) -> None:
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; a second time nothing happens."""
        self._hooks.pop(self, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class IncompatibleKeys(NamedTuple):
    """Names that a state lacked, and names that it had and the module has not."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a model: what it assigns to its attributes is found there, under the attributes' names.

    A subclass assigns its parameters and the modules within it in `__init__`, and computes in `forward`.
    Modules in a plain list are not found: `ModuleList` and `Sequential` hold them. Calling the module runs
    `forward` and the hooks. NumPy arrays may go in, as a loader yields them: the first layer with a
    parameter makes them Tensors. On a GPU they need to be moved there first.

    It is torch's Module, but that `super().__init__()` may be left out.

    Example:
        >>> from tinygrad_lite.nn import Linear
        >>> class Double(Module):
        ...     def __init__(self, features):
        ...         self.first = Linear(features, features)
        ...         self.second = Linear(features, features, bias=False)
        ...     def forward(self, x):
        ...         return self.second(self.first(x).relu())
        >>> model = Double(3)
        >>> [name for name, _ in model.named_parameters()]
        ['first.weight', 'first.bias', 'second.weight']
        >>> model(np.ones((2, 3), dtype="float32")).shape
        (2, 3)
    """

    training: bool
    _persistent: dict[str, bool]  # the names of the buffers, and whether state_dict has them
    _hooks: dict[RemovableHandle, Callable]
    _pre_hooks: dict[RemovableHandle, Callable]

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """A module that is complete before any `__init__` has run."""
        self = super().__new__(cls)
        self.training = True
        self._persistent, self._hooks, self._pre_hooks = {}, {}, {}
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        if isinstance(before, Parameter) and not (value is None or isinstance(value, Parameter)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter and can become another Parameter or None; got a "
                f"{type(value).__name__}. To change its value, write into it under no_grad()"
            )
        if name in vars(self).get("_persistent", ()) and not (value is None or isinstance(value, Tensor)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a buffer and can become a Tensor or None; got a "
                f"{type(value).__name__}"
            )
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a tensor that moves and is saved with the module but is not learned.

        Args:
            name: the attribute under which it is found.
            tensor: its value; None for a buffer that is left out.
            persistent: whether `state_dict` has it.

        Raises:
            ValueError: for a name with a dot, or one that the module has already.
            TypeError: if it is no Tensor, or a Parameter.
        """
        if "." in name or not name or hasattr(self, name):
            raise ValueError(
                f"register_buffer: needs a new name without a dot; {type(self).__name__} got {name!r}"
            )
        if not (tensor is None or isinstance(tensor, Tensor)) or isinstance(tensor, Parameter):
            raise TypeError(f"register_buffer: {name} needs a plain Tensor; got a {type(tensor).__name__}")
        self._persistent[name] = persistent
        setattr(self, name, tensor)

    # -- the forward pass --------------------------------------------------------------------------------

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute: every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(), or is not to be called")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run `forward` between the hooks."""
        for hook in list(self._pre_hooks.values()):
            changed = hook(self, inputs)
            if changed is not None:
                inputs = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*inputs, **options)
        for hook in list(self._hooks.values()):
            changed = hook(self, inputs, output)
            if changed is not None:
                output = changed
        return output

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple], Any]) -> RemovableHandle:
        """Call hook(module, inputs) before each forward pass; what it returns, but None, becomes the inputs."""
        return _registered(hook, self._pre_hooks)

    def register_forward_hook(self, hook: Callable[[Any, tuple, Any], Any]) -> RemovableHandle:
        """Call hook(module, inputs, output) after each forward pass; what it returns, but None, replaces output."""
        return _registered(hook, self._hooks)

    # -- what it holds -----------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that are its own attributes, each once, in the order of assignment."""
        return _each_once(self._own(Module))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and all within it, each once, by dotted names: outer before inner."""
        return _each_once(self._paths())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of it and of all within it, each once, by dotted names."""
        return _each_once(_joined(path, m._own(Parameter)) for path, m in self._paths())
