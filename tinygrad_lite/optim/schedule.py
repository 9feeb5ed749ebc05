"""Learning rates that change with the steps: `schedule.step()` follows each `optimizer.step()`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_lite.optim.optimizer import Optimizer


class LRScheduler:
    """Base class of the schedules: a subclass has `rate(base, t)`, the learning rate after t steps.

    A group's base rate is the one it has when the schedule is made. This sets the rate for t = 0 at once,
    and each `step()` the next. The rate follows from base and t alone, while torch's goes on from what is
    there: one optimizer has one schedule.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.num_steps = 0
        self._set()

    def rate(self, base: float, t: int) -> float:
        """The learning rate after t steps of a group whose base rate is `base`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method rate(base, t)")

    def step(self) -> None:
        """Set the next rate; call it after the optimizer's step."""
        self.num_steps += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rate of each group at present."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = float(self.rate(base, self.num_steps))

    def state_dict(self) -> dict[str, Any]:
        """The steps taken and the base rates."""
        return {"num_steps": self.num_steps, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: for another number of groups.
        """
        if len(state_dict["base_lrs"]) != len(self.optimizer.param_groups):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(state_dict['base_lrs'])} groups; the optimizer "
                f"has {len(self.optimizer.param_groups)}"
            )
        self.num_steps, self.base_lrs = state_dict["num_steps"], list(state_dict["base_lrs"])
        self._set()


class LambdaLR(LRScheduler):
    """base·f(t) after t steps, for a function f of yours.

    Args:
        optimizer: whose rates are set.
        lr_lambda: f.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """base·f(t)."""
        return base * self.lr_lambda(t)


class CosineAnnealingLR(LRScheduler):
    """η + (base − η)·(1 + cos(π·t/T))/2 after t steps: from base to η in T steps, and then back up.

    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. (5).

    Args:
        optimizer: whose rates are set.
        T_max: T.
        eta_min: η, a rate.

    Raises:
        ValueError: for T below 1.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be at least 1; got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """Half a cosine wave from base to η."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class WarmupCosine(LRScheduler):
    """Up in a straight line, then down along half a cosine wave.

        base·(t + 1)/(warmup + 1)                            after t < warmup steps: it begins above 0
        base·(final + (1 − final)·(1 + cos(π·u))/2)          then, with u = (t − warmup)/(total − warmup)
        base·final                                           from t = total on

    Args:
        optimizer: whose rates are set.
        warmup: steps until the rate is base.
        total: steps until it is base·final: all that are taken.
        final: the share of base at the end.

    Raises:
        ValueError: unless 0 ≤ warmup < total.
    """

    def __init__(self, optimizer: Optimizer, warmup: int, total: int, final: float = 0.0) -> None:
        if not 0 <= warmup < total:
            raise ValueError(f"WarmupCosine: needs 0 ≤ warmup < total; got warmup {warmup}, total {total}")
        self.warmup, self.total, self.final = warmup, total, final
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        """The line, or the wave."""
        if t < self.warmup:
            return base * (t + 1) / (self.warmup + 1)
        u = min((t - self.warmup) / (self.total - self.warmup), 1.0)
        return base * (self.final + (1 - self.final) * (1 + math.cos(math.pi * u)) / 2)
