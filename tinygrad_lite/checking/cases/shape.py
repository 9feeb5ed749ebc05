"""Cases of `ops/shape.py`. Squares and products of different elements make a misplaced element show."""

from tinygrad_lite.checking.cases.case import Case, normal, strided

CASES = [
    Case("clone: strided", lambda t, x: t.clone(x) ** 2, (strided(normal(3, 5)),)),
    Case("clone: 0-d, beside itself", lambda t, x: x.clone() * x, (normal(),)),
    Case("clone: empty", lambda t, x: x.clone() * 2, (normal(0, 3),)),
    Case("reshape: one length left open", lambda t, x: t.reshape(x, (5, -1)) ** 2, (normal(3, 2, 5),)),
    Case("reshape: strided, to one dim", lambda t, x: t.reshape(x, (-1,)) ** 2, (strided(normal(3, 5)),)),
    Case("reshape: 0-d to 2-d", lambda t, x, y: t.reshape(x, (1, 1)) * y, (normal(), normal(3, 5))),
    Case("reshape: empty", lambda t, x: t.reshape(x, (3, 0)) * 2, (normal(0, 5),)),
    Case("flatten: inner dims", lambda t, x, y: t.flatten(x, 1) @ y, (normal(2, 3, 5), normal(15, 2))),
    Case("squeeze: all", lambda t, x: t.squeeze(x) ** 2, (normal(1, 3, 1, 5),)),
    Case("squeeze: one dim", lambda t, x: t.squeeze(x, 1) ** 2, (normal(3, 1, 5),)),
    Case("unsqueeze: last", lambda t, x, y: t.unsqueeze(x, -1) * y, (normal(3, 5), normal(3, 5, 2))),
    Case("expand: a length kept", lambda t, x, y: x.expand(2, -1, 5) * y, (normal(3, 1), normal(2, 3, 5))),
    Case("expand: 0-d", lambda t, x, y: x.expand(3, 5) * y, (normal(), normal(3, 5))),
    Case("expand: to nothing", lambda t, x: x.expand(0, 3) * 2, (normal(1, 3),)),
    Case("sum_to_size", lambda t, x, y: x.sum_to_size(3, 1) * y, (normal(2, 3, 5), normal(3, 5))),
    Case(
        "permute: not its own inverse",
        lambda t, x, y: t.permute(x, (1, 2, 0)) * y,
        (normal(2, 3, 5), normal(3, 5, 2)),
    ),
    Case(
        "permute: equal lengths",
        lambda t, x, y: t.permute(x, (1, 2, 0)) * y,
        (normal(3, 3, 3), normal(3, 3, 3)),
    ),
    Case(
        "transpose: outer dims", lambda t, x, y: t.transpose(x, 0, -1) * y, (normal(2, 3, 5), normal(5, 3, 2))
    ),
    Case("transpose: T", lambda t, x, y: x.T * y, (normal(3, 5), normal(5, 3))),
    Case("cat: first dim", lambda t, a, b: t.cat([a, b, a * a]) ** 2, (normal(2, 3), normal(5, 3))),
    Case(
        "cat: last dim, one of them empty",
        lambda t, a, b: t.cat([a, b], -1) ** 2,
        (normal(3, 5), normal(3, 0)),
    ),
    Case("stack: middle dim", lambda t, a, b: t.stack([a, b, a], 1) ** 2, (normal(3, 5), normal(3, 5))),
    Case(
        "split: by size, the last shorter",
        lambda t, x: t.split(x, 2, 1)[2] * t.split(x, 2, 1)[0][:, :1],
        (normal(3, 5),),
    ),
    Case("split: by lengths", lambda t, x: t.split(x, [2, 0, 3])[2] ** 2, (normal(5, 3),)),
    Case(
        "pad: both sides of two dims",
        lambda t, x: t.nn.functional.pad(x, (1, 2, 0, 3)) ** 2,
        (normal(2, 3, 5),),
    ),
    Case("pad: with a value", lambda t, x: t.nn.functional.pad(x, (2, 0), value=1.5) ** 2, (normal(3, 5),)),
]
