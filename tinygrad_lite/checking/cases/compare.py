"""Cases of `ops/compare.py`, away from kinks; what holds at them is in its own tests."""

from tinygrad_lite.checking.cases.case import Case, normal, spread

CASES = [
    Case("abs", lambda t, x: t.abs(x) * x, (spread(3, 5),)),
    Case("maximum: broadcast", lambda t, a, b: t.maximum(a, b), (spread(3, 5), normal(5))),
    Case("maximum: of squares", lambda t, a, b: t.maximum(a * a, b), (spread(3, 5), normal(3, 5))),
    Case("maximum: of a tensor and itself", lambda t, x: t.maximum(x, x) * x, (spread(3, 5),)),
    Case("minimum: of a tensor and itself", lambda t, x: t.minimum(x, x) * x, (spread(3, 5),)),
    Case("minimum: broadcast", lambda t, a, b: t.minimum(a, b), (spread(3, 5), normal(3, 1))),
    Case("clamp: both bounds", lambda t, x: t.clamp(x, -0.5, 0.5) * x, (normal(3, 5),)),
    Case("clamp: one bound", lambda t, x: t.clamp(x, min=0.1) * t.clamp(x, max=0.3), (normal(3, 5),)),
    Case("comparisons: as factors", lambda t, x: x * (x > 0.1) + x * x * (x <= -0.1), (spread(3, 5),)),
]
