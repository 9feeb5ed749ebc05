"""Module: parameters, buffers and other modules under names, and a forward pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import indent
from typing import Any, TypeVar

from tinygrad_lite.backend import as_array, float16, float32, float64, to_device
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.nn.summary import summary
from tinygrad_lite.ops.elementwise import to
from tinygrad_lite.tensor import Tensor

M = TypeVar("M", bound="Module")
T = TypeVar("T")


class RemovableHandle:
    """What registering a hook returns, to take it away again."""

    def __init__(self, hooks: dict[RemovableHandle, Callable], hook: Callable) -> None:
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        """Take the hook away; a second time nothing happens."""
        self._hooks.pop(self, None)


class Module:
    """A part of a model: the parameters, buffers and modules among its attributes, and a forward pass.

    A subclass assigns parameters and modules to attributes in `__init__`, and computes in `forward`. Modules
    in a plain list are not found: `ModuleList` and `Sequential` hold several. Calling the module runs
    `forward` between the hooks. NumPy arrays may go in, as a loader yields them: the first operation with a
    parameter makes a Tensor. Nothing moves to a GPU by itself: a model there needs its inputs there.

    It is torch's Module, but that `super().__init__()` may be left out.

    Example:
        >>> import numpy as np
        >>> from tinygrad_lite.nn import Linear
        >>> class Perceptron(Module):
        ...     def __init__(self, features):
        ...         self.hidden = Linear(features, 8)
        ...         self.out = Linear(8, 1, bias=False)
        ...     def forward(self, x):
        ...         return self.out(self.hidden(x).relu())
        >>> model = Perceptron(3)
        >>> [name for name, _ in model.named_parameters()]
        ['hidden.weight', 'hidden.bias', 'out.weight']
        >>> model(np.ones((2, 3), dtype="float32")).shape
        (2, 1)
    """

    training: bool
    _buffers: dict[str, bool]  # their names, and whether state_dict has them
    _hooks: dict[RemovableHandle, Callable]
    _pre_hooks: dict[RemovableHandle, Callable]

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """A module that works before any `__init__` has run."""
        self = super().__new__(cls)
        vars(self).update(training=True, _buffers={}, _hooks={}, _pre_hooks={})
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        was_parameter = isinstance(vars(self).get(name), Parameter)
        kind: type = Tensor if name in self._buffers else Parameter if was_parameter else object
        if not isinstance(value, kind | None):
            raise TypeError(
                f"{type(self).__name__}.{name} can become a {kind.__name__} or None; got a "
                f"{type(value).__name__}. To give it a new value, write into it under no_grad()"
            )
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep, as attribute `name`, a tensor that moves and is saved with the module but is not learned.

        Args:
            name: of the attribute.
            tensor: None for a buffer that is left out.
            persistent: whether `state_dict` has it.

        Raises:
            ValueError: for a name with a dot, or one that the module has already.
            TypeError: for what is no Tensor, and for a Parameter.
        """
        if not name or "." in name or hasattr(self, name):
            raise ValueError(
                f"register_buffer: {type(self).__name__} needs a new name without a dot; got {name!r}"
            )
        if not isinstance(tensor, Tensor | None) or isinstance(tensor, Parameter):
            raise TypeError(f"register_buffer: {name} must be a plain Tensor; got a {type(tensor).__name__}")
        self._buffers[name] = persistent
        setattr(self, name, tensor)

    # -- the forward pass --------------------------------------------------------------------------------

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward() to be called")

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
        """Call hook(module, inputs) before a forward pass: what it returns, unless None, replaces inputs."""
        return RemovableHandle(self._pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[[Any, tuple, Any], Any]) -> RemovableHandle:
        """Call hook(module, inputs, output) after it: what it returns, unless None, replaces output."""
        return RemovableHandle(self._hooks, hook)

    # -- what it holds -----------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules among its own attributes, each once, in the order of assignment."""
        return _each_once(self._own(Module))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, as "", and all within it, each once, by dotted names: outer before inner."""
        return _each_once((path.removesuffix("."), module) for path, module in self._paths())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters here and within, each once, by dotted names."""
        return _each_once(
            (path + name, p) for path, module in self._paths() for name, p in module._own(Parameter)
        )

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers here and within, each once, by dotted names."""
        return _each_once(
            (path + name, b) for path, module in self._paths() for name, b in module._own_buffers()
        )

    def children(self) -> Iterator[Module]:
        """`named_children` without the names."""
        return (module for _, module in self.named_children())

    def modules(self) -> Iterator[Module]:
        """`named_modules` without the names."""
        return (module for _, module in self.named_modules())

    def parameters(self) -> Iterator[Parameter]:
        """`named_parameters` without the names: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters())

    def buffers(self) -> Iterator[Tensor]:
        """`named_buffers` without the names."""
        return (buffer for _, buffer in self.named_buffers())

    def _own(self, kind: type[T]) -> list[tuple[str, T]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, kind)]

    def _own_buffers(self, persistent_only: bool = False) -> list[tuple[str, Tensor]]:
        names = [name for name, persistent in self._buffers.items() if persistent or not persistent_only]
        return [(name, value) for name, value in self._own(Tensor) if name in names]

    def _paths(self, path: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all within it; one that two others hold comes twice. A path ends with its dot."""
        yield path, self
        for name, child in self._own(Module):
            yield from child._paths(f"{path}{name}.")

    # -- what is done to all of it -----------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Let it and all within it train: dropout drops, batch norms take the batch's statistics."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The opposite of `train`. Gradients are recorded all the same: no_grad() is something else."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze all parameters (False), or let them learn (True)."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self: M, target: Any) -> M:
        """Move all parameters and buffers to a device, or cast those that are floats to a dtype, in place.

        The Parameters stay the same objects, so an optimizer made before goes on with them; what it has kept
        for them stays where it was: move first.

        Raises:
            TypeError: for a dtype that is no float.
            ValueError, RuntimeError: for a device that does not exist or cannot be used.
        """
        is_device = isinstance(target, str) and target.startswith(("cpu", "cuda"))
        is_dtype = target is not None and target in (float16, float32, float64)  # NumPy's None is float64
        if not (is_device or is_dtype):
            raise TypeError(f"to: a module needs a float dtype or a device; got {target!r}")
        for tensor in (*self.parameters(), *self.buffers()):
            if is_device or tensor.dtype.kind == "f":
                tensor.data = to(tensor.data, target)
                tensor.grad = None if tensor.grad is None else to(tensor.grad.detach(), target)
                tensor.bump_version()
        return self

    # -- its state ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """The parameters and persistent buffers by dotted names: what is shared, under each of its names.

        The tensors share their memory with the module: they are its state now, not a copy of it.
        """
        return {
            path + name: tensor.detach()
            for path, module in self._paths()
            for name, tensor in (*module._own(Parameter), *module._own_buffers(persistent_only=True))
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> tuple[list, list]:
        """Write tensors or arrays into the parameters and buffers, cast and moved as those are.

        Args:
            state_dict: by dotted names, as from the method of this name.
            strict: whether names that are missing, or too many, are an error.

        Returns:
            The names that are missing, and those that are too many; none if strict.

        Raises:
            ValueError: for names or shapes that do not fit. It lists them all, and nothing has been written.
        """
        own = self.state_dict()
        missing, unexpected = [k for k in own if k not in state_dict], [k for k in state_dict if k not in own]
        fitting = {k: v for k, v in state_dict.items() if k in own}
        arrays = {k: v.data if isinstance(v, Tensor) else as_array(v) for k, v in fitting.items()}
        wrong = {k: tuple(a.shape) for k, a in arrays.items() if a.shape != own[k].shape}
        problems = [f"{name} has shape {shape}, not {own[name].shape}" for name, shape in wrong.items()]
        if strict:
            problems += [f"{name} is missing" for name in missing]
            problems += [f"{name} is unexpected" for name in unexpected]
        if problems:
            raise ValueError(f"{type(self).__name__}.load_state_dict: {'; '.join(problems)}")
        for name, array in arrays.items():
            own[name].data[...] = to_device(array, own[name].device)
            own[name].bump_version()
        return missing, unexpected

    # -- how it looks ------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What repr says of the module itself: its constructor's arguments, if kept and no defaults."""
        said = []
        for name, argument in inspect.signature(type(self).__init__).parameters.items():
            value = vars(self).get(name, argument.default)
            if isinstance(argument.default, bool):  # bias=False leaves None at self.bias
                value = value is not None and value is not False
            if isinstance(value, bool | int | float | str | tuple | None) and value != argument.default:
                said.append(f"{name}={value!r}")
        return ", ".join(said)

    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        lines = [f"({child_name}): {child!r}" for child_name, child in self._own(Module)]
        if not lines:
            return f"{name}({extra})"
        body = indent("\n".join([extra, *lines] if extra else lines), "  ")
        return f"{name}(\n{body}\n)"

    def multiply_adds(self, inputs: tuple, output: Any) -> int:
        """How many multiply-adds a forward pass took, without those of the modules within; see `summary`."""
        return 0

    def summary(self, *inputs: Any) -> str:
        """A table of output shapes, parameters and multiply-adds; see `tinygrad_lite.nn.summary`."""
        return summary(self, *inputs)


def _each_once(named: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """Of all pairs that hold one object, the first."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value
