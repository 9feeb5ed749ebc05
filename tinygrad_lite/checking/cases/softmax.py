"""Cases of `ops/softmax.py`."""

from tinygrad_lite.checking.cases.case import Case, normal, strided

CASES = [
    Case("softmax: last dim", lambda t, x: t.softmax(x, -1), (normal(3, 5, std=2),)),
    Case("softmax: first dim, strided", lambda t, x: t.softmax(x, 0), (strided(normal(3, 5)),)),
    Case("softmax: middle dim", lambda t, x: t.nn.functional.softmax(x, dim=1), (normal(2, 3, 5),)),
    Case("log_softmax: last dim", lambda t, x: t.log_softmax(x, -1), (normal(3, 5, std=2),)),
    Case("log_softmax: middle dim", lambda t, x: t.nn.functional.log_softmax(x, dim=1), (normal(2, 3, 5),)),
]
