"""Cases of `ops/activation.py`."""

from tinygrad_lite.checking.cases.case import Case, normal, spread, strided

CASES = [
    Case("relu", lambda t, x: t.relu(x) * x, (spread(3, 5),)),
    Case("relu: strided", lambda t, x: t.relu(x) * x, (strided(spread(3, 2, 5)),)),
    Case("sigmoid", lambda t, x: t.sigmoid(x), (normal(3, 5, std=3),)),
    Case("sigmoid: 0-d", lambda t, x: t.sigmoid(x), (normal(),)),
    Case("tanh", lambda t, x: t.tanh(x), (normal(3, 5),)),
    Case("silu", lambda t, x: t.nn.functional.silu(x), (normal(3, 5, std=2),)),
    Case("silu: strided", lambda t, x: t.nn.functional.silu(x), (strided(normal(2, 3, 5, std=2)),)),
    Case("gelu: exact", lambda t, x: t.nn.functional.gelu(x), (normal(3, 5, std=2),)),
    Case("gelu: tanh", lambda t, x: t.nn.functional.gelu(x, approximate="tanh"), (normal(3, 5, std=2),)),
    Case(
        "gelu: 0-d and empty",
        lambda t, x, y: t.nn.functional.gelu(x) + t.nn.functional.gelu(y, approximate="tanh"),
        (normal(), normal(0, 3)),
    ),
]
