"""Step three of a check: its result in words."""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_lite.checking.compare import Comparison


class GradcheckError(AssertionError):
    """A gradient that finite differences contradict, or a function that cannot be checked."""


@dataclass(frozen=True)
class Report:
    """What a check found, input by input; true if every gradient is right."""

    title: str
    comparisons: tuple[Comparison, ...]

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return all(c.ok for c in self.comparisons)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            checked = sum(c.numeric.size for c in self.comparisons)
            count = len(self.comparisons)
            right = "1 gradient is right" if count == 1 else f"{count} gradients are right"
            return f"{self.title}: {right}, {checked} numbers checked"
        return "\n".join(_table(self.title, c) for c in self.comparisons if not c.ok)


def _table(title: str, c: Comparison) -> str:
    """The worst elements of one wrong gradient, worst first."""
    what, first = ("random directions", "direction") if c.along_directions else ("elements", "index")
    lines = [
        f"{title}: the gradient of {c.name}, shape {c.shape}, is wrong at {c.wrong.sum()} of "
        f"{c.numeric.size} {what}",
        f"  {first:<16}{'analytic':>16}{'numeric':>16}{'allowed error':>16}",
    ]
    for place in c.worst():
        index = str(place[0]) if c.along_directions else str(place)
        values = f"{c.analytic[place]:>+16.8g}{c.numeric[place]:>+16.8g}{c.allowed[place]:>16.1e}"
        lines.append(f"  {index:<16}{values}")
    return "\n".join(lines)
