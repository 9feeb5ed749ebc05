"""Averages of a model's weights over the steps of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tinygrad_lite.backend import as_array, device_of, to_device

if TYPE_CHECKING:
    from tinygrad_lite.nn.module import Module


class ExponentialMovingAverage:
    """w̄ = d·w̄ + (1 − d)·w after each step, for every parameter w: what a diffusion model samples with.

        d = min(decay, (1 + t)/(10 + t))      at update t = 0, 1, …

    so that early on the average follows fast, and the random beginning is soon forgotten. Buffers are not
    averaged: within `applied()` they are the model's own.

    Args:
        model: whose parameters are averaged, from what they are now; so move the model to its device first.
        decay: d in the long run; the average looks back over about 1/(1 − decay) steps.

    Raises:
        ValueError: for a decay outside 0 … 1.

    Example:
        >>> from tinygrad_lite import Tensor
        >>> from tinygrad_lite.nn import Linear
        >>> model = Linear(2, 1)
        >>> average = ExponentialMovingAverage(model, decay=0.99)
        >>> average.update()        # after each optimizer.step()
        >>> with average.applied():
        ...     y = model(Tensor([[1.0, 2.0]]))
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"ExponentialMovingAverage: decay must lie in 0 … 1; got {decay}")
        self.model, self.decay, self.num_updates = model, decay, 0
        self.averages = {name: p.data.copy() for name, p in model.named_parameters()}

    def update(self) -> None:
        """Take in the parameters as they are now."""
        d = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, p in self.model.named_parameters():
            average = self.averages[name]
            average += (1 - d) * (p.data - average)
        self.num_updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the averages are the model's parameters; after it, and after an error, its own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        """Exchange the arrays: nothing is copied, so the parameters come back bit for bit."""
        for name, p in self.model.named_parameters():
            p.data, self.averages[name] = self.averages[name], p.data
            p.bump_version()

    def copy_to(self, model: Module) -> None:
        """Write the averages into the parameters of `model`, which is of the same make; its buffers stay.

        Raises:
            ValueError: for a model with other names or shapes.
        """
        self._refuse_other("copy_to", {name: p.shape for name, p in model.named_parameters()})
        model.load_state_dict({**model.state_dict(), **self.averages})

    def state_dict(self) -> dict[str, Any]:
        """The number of updates, and the averages by the names of the parameters; these are not copied."""
        return {"num_updates": self.num_updates, "averages": dict(self.averages)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: for other names or shapes.
        """
        averages = {name: as_array(average) for name, average in state_dict["averages"].items()}
        self._refuse_other("load_state_dict", {name: average.shape for name, average in averages.items()})
        for name, average in self.averages.items():
            average[...] = to_device(averages[name], device_of(average))
        self.num_updates = state_dict["num_updates"]

    def _refuse_other(self, method: str, shapes: dict[str, tuple[int, ...]]) -> None:
        own = {name: average.shape for name, average in self.averages.items()}
        differ = sorted(name for name in own.keys() | shapes.keys() if own.get(name) != shapes.get(name))
        if differ:
            pairs = ", ".join(f"{name} ({own.get(name)} and {shapes.get(name)})" for name in differ)
            raise ValueError(f"ExponentialMovingAverage.{method}: the shapes here and there differ: {pairs}")
