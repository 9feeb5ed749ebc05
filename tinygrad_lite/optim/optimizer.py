"""What the optimizers share: parameters in groups, with options, and what is kept for each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tinygrad_lite.backend import Array, is_array, to_device
from tinygrad_lite.optim.flat import Alone, Joined, divided, same
from tinygrad_lite.tensor import Tensor

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]
"""Tensors; or groups of them: dicts of `params` and of the options that a group has for itself."""


class Optimizer:
    """Base class of the optimizers.

    A subclass hands its options to `super().__init__` and has `update(self, p, g, state, **options)`, which
    changes the array p of one parameter in place, by its gradient g, by what the dict `state` keeps of the
    steps before, and by the options of its group. The first step of a parameter finds `state` empty.

    Class attributes:
        elementwise: `update` treats each element by itself, and keeps arrays like p, made in the first step,
            and the number `step`. On the CPU it is then given flat arrays: of many small parameters in one,
            or a part of a large one, in several threads at a time.

    Attributes:
        param_groups: a dict for each group, of `params` and the options; these may be changed between steps.
        state: for each parameter that has been updated, a dict of arrays and numbers.

    Raises:
        TypeError: for what is no tensor.
        ValueError: for no parameters at all, for one that comes twice or was computed, and for options that
            the optimizer does not have, or that make no sense.
    """

    elementwise: ClassVar[bool] = False
    update: Callable[..., None]

    def __init__(self, params: Params, **defaults: Any) -> None:
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: needs a list of tensors, or of groups; got one tensor")
        if not isinstance(params, Iterable):
            kind = type(params).__name__
            raise TypeError(f"{self._name}: needs tensors, as model.parameters() gives them; got {kind}")
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(f"{self._name}: got no parameters")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._last: dict[int, tuple[list[Tensor], list[Alone | Joined]]] = {}  # by group, what was updated
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Optimize further tensors, `params`, with those options in `group` that are not the optimizer's."""
        if not isinstance(group, dict):
            raise TypeError(f"{self._name}: a group is a dict with params; got a {type(group).__name__}")
        if "params" not in group or not group.keys() <= {"params", *self.defaults}:
            known = ", ".join(self.defaults)
            raise ValueError(f"{self._name}: a group has params and any of {known}; got {', '.join(group)}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        taken = {id(p) for p in self._parameters()}
        for p in params:
            self._refuse_unfit(p, taken)
            taken.add(id(p))
        options = {**self.defaults, **group, "params": params}
        for name, value in options.items():
            if isinstance(value, np.generic):  # JSON does not take it, and a float64 widens what it meets
                options[name] = value.item()
        self.check_options(options)
        self.param_groups.append(options)

    def _refuse_unfit(self, p: Any, taken: set[int]) -> None:
        if not isinstance(p, Tensor):
            raise TypeError(f"{self._name}: optimizes tensors; got a {type(p).__name__}")
        if not p.is_leaf:
            raise ValueError(
                f"{self._name}: a tensor of shape {p.shape} was computed, by {p.grad_fn}; optimize what it "
                "was computed from, or a detached copy"
            )
        if id(p) in taken:
            raise ValueError(f"{self._name}: a tensor of shape {p.shape} is there twice; name each one once")

    def check_options(self, options: dict[str, Any]) -> None:
        """Refuse options that make no sense, by a ValueError."""
        for name in ("lr", "momentum", "weight_decay", "eps"):
            if not options.get(name, 0) >= 0:
                raise ValueError(f"{self._name}: {name} must be at least 0; got {options[name]}")
        betas = options.get("betas", (0, 0))
        if not isinstance(betas, (tuple, list)) or len(betas) != 2 or not all(0 <= b < 1 for b in betas):
            raise ValueError(f"{self._name}: betas are two numbers, each 0 ≤ β < 1; got {betas}")

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __getstate__(self) -> dict[str, Any]:
        """What copy and pickle take: all but views of arrays, which would not show the copies of these."""
        return {**vars(self), "_last": {}}

    # -- a step ------------------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Set every gradient to None: `backward` adds to what is there, so do this between two steps."""
        for p in self._parameters():
            p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        Raises:
            TypeError: for a gradient that does not fit its parameter. Nothing is changed then.
        """
        gradients = {p: self._gradient(p) for p in self._parameters() if p.grad is not None}
        for i, group in enumerate(self.param_groups):
            options = {name: value for name, value in group.items() if name != "params"}
            update = partial(self.update, **options)
            for part in self._parts(i, [p for p in group["params"] if p in gradients]):
                part.update(gradients, update)
        for p in gradients:
            p.bump_version()

    def _parts(self, i: int, params: list[Tensor]) -> list[Alone | Joined]:
        """Those of group i that have a gradient, as they are updated; as last time, if nothing is new."""
        before, parts = self._last.get(i, ([], []))
        if not (same(before, params) and all(part.is_current(self.state) for part in parts)):
            states = [self.state.setdefault(p, {}) for p in params]
            parts = divided(params, states) if self.elementwise else list(map(Alone, params, states))
            self._last[i] = params, parts
        return parts

    def _gradient(self, p: Tensor) -> Array:
        """The array of its gradient. `backward` leaves one that fits; who sets it by hand may not."""
        g, array = p.grad, p.data
        if not isinstance(g, Tensor) or g.data.shape != array.shape or g.data.dtype != array.dtype:
            got = f"{g.shape}, {g.dtype}" if isinstance(g, Tensor) else f"a {type(g).__name__}"
            raise TypeError(f"{self._name}: .grad must be a Tensor of shape {p.shape}, {p.dtype}; got {got}")
        return g.data

    # -- its state ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What is kept, by the number of each parameter, and the options of the groups: torch's layout.

        The numbers are text where they are keys, as in JSON. The arrays are not copied.
        """
        numbers = {p: i for i, p in enumerate(self._parameters())}
        return {
            "state": {str(numbers[p]): dict(kept) for p, kept in self.state.items()},
            "param_groups": [
                {**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; arrays are copied, and moved to where their parameters are.

        Raises:
            ValueError: for other groups, options or shapes than this optimizer's. Nothing is changed then.
        """
        groups = state_dict["param_groups"]
        was, now = ([len(g["params"]) for g in gs] for gs in (groups, self.param_groups))
        if was != now:
            raise ValueError(f"{self._name}: the groups of the state have {was} parameters; needs {now}")
        for saved, group in zip(groups, self.param_groups, strict=True):
            if saved.keys() != group.keys():
                raise ValueError(
                    f"{self._name}: the state has the options {', '.join(saved)}; needs {', '.join(group)}"
                )
        kept = {int(number): values for number, values in state_dict["state"].items()}
        state = {p: self._copied(p, kept[i]) for i, p in enumerate(self._parameters()) if i in kept}
        for saved, group in zip(groups, self.param_groups, strict=True):
            group.update({**saved, "params": group["params"]})
        self.state = state

    def _copied(self, p: Tensor, kept: dict[str, Any]) -> dict[str, Any]:
        """What is kept for p, its arrays copied to where p is, in p's dtype."""
        arrays = {name: value for name, value in kept.items() if is_array(value)}
        for name, array in arrays.items():
            if array.shape != p.shape:
                raise ValueError(f"{self._name}: {name} has shape {array.shape}; its parameter has {p.shape}")
        return {**kept, **{name: to_device(a, p.device).astype(p.dtype) for name, a in arrays.items()}}
