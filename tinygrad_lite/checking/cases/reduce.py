"""Cases of `ops/reduce.py`; elements tie only with themselves, for else no derivative is there."""

from tinygrad_lite.checking.cases.case import Case, normal, spread, strided

CASES = [
    Case("sum: all", lambda t, x: t.sum(x), (normal(3, 5),)),
    Case("sum: one dim, strided", lambda t, x: t.sum(x, -1), (strided(normal(3, 5)),)),
    Case("sum: two dims, kept", lambda t, x: t.sum(x, (0, 2), keepdim=True) * x, (normal(2, 3, 5),)),
    Case("sum: 0-d and empty", lambda t, x, y: t.sum(x) * t.sum(y, 1), (normal(), normal(3, 0))),
    Case("mean: all", lambda t, x: t.mean(x), (normal(3, 5),)),
    Case("mean: middle dim", lambda t, x: t.mean(x, 1), (normal(2, 3, 5),)),
    Case("mean: two dims, kept", lambda t, x: t.mean(x, (0, 1), keepdim=True) * x, (normal(2, 3, 5),)),
    Case("var: all", lambda t, x: t.var(x), (normal(3, 5),)),
    Case("var: one dim", lambda t, x: t.var(x, 1), (normal(3, 5),)),
    Case(
        "var: two dims, kept, no correction",
        lambda t, x: t.var(x, (0, 2), correction=0, keepdim=True) * x,
        (normal(2, 3, 5),),
    ),
    Case("amax: all", lambda t, x: t.amax(x * x), (spread(3, 5),)),
    Case("amax: two dims", lambda t, x: t.amax(x, (0, 2)), (spread(2, 3, 5),)),
    Case("amin: one dim, kept", lambda t, x: t.amin(x, 1, keepdim=True) * x, (spread(3, 5),)),
    Case("amax: equal rows", lambda t, x: t.amax(t.stack([x, x, x]), 0) * x, (spread(3, 5),)),
    Case("amin: equal rows", lambda t, x: t.amin(t.stack([x, x, x]), 0) * x, (spread(3, 5),)),
    Case("max: values along a dim", lambda t, x: t.max(x, 1)[0], (spread(3, 5),)),
    Case("max: all", lambda t, x: t.max(x) * x, (spread(3, 5),)),
    Case("min: values along a dim, kept", lambda t, x: t.min(x, 0, keepdim=True)[0] * x, (spread(3, 5),)),
    Case("logsumexp: last dim", lambda t, x: t.logsumexp(x, -1), (normal(3, 5, std=3),)),
    Case("logsumexp: two dims, kept", lambda t, x: t.logsumexp(x, (0, 2), keepdim=True), (normal(2, 3, 5),)),
]
