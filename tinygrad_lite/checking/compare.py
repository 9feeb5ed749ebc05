"""Step two of a check: an analytic gradient against its estimate, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """The gradient of one input, beside its estimate: element by element, or along random directions."""

    name: str
    shape: tuple[int, ...]
    analytic: np.ndarray
    numeric: np.ndarray
    allowed: np.ndarray
    along_directions: bool = False

    @property
    def wrong(self) -> np.ndarray:
        """Which entries differ by more than is allowed; a NaN always does."""
        return ~(np.abs(self.analytic - self.numeric) <= self.allowed)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong.any()

    def worst(self, count: int = 5) -> list[tuple[int, ...]]:
        """Where it differs most, of what is wrong."""
        excess = np.abs(self.analytic - self.numeric) / self.allowed
        ranked = np.where(np.isnan(excess), np.inf, excess)[self.wrong]
        places = np.argwhere(self.wrong)[np.argsort(-ranked, kind="stable")[:count]]
        return [tuple(int(k) for k in place) for place in places]


def compare(
    name: str,
    shape: tuple[int, ...],
    analytic: np.ndarray,
    numeric: np.ndarray,
    atol: float,
    rtol: float,
    along_directions: bool = False,
) -> Comparison:
    """Allow atol·max(1, the largest |numeric|) + rtol·|numeric| at each element."""
    largest = float(np.abs(numeric).max(initial=1.0, where=np.isfinite(numeric)))
    allowed = atol * largest + rtol * np.abs(numeric)
    return Comparison(name, shape, analytic, numeric, allowed, along_directions)
