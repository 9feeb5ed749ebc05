"""Cases of `ops/pool.py`."""

from tinygrad_lite.checking.cases.case import Case, integers, normal, spread, strided
from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.ops.pool import PickWinners, SpreadWinners

OVERLAPPING = Windows((3, 4), (2, 2))  # (2, 3) windows

CASES = [
    Case(
        "max_pool2d: 2×2",
        lambda t, x: t.nn.functional.max_pool2d(x, 2) ** 2,
        (spread(2, 3, 4, 5),),
    ),
    Case(
        "max_pool2d: overlapping, padded, strided",
        lambda t, x: t.nn.functional.max_pool2d(x, (3, 2), (2, 1), 1) ** 2,
        (strided(spread(2, 2, 5, 4)),),
    ),
    Case(
        "max_pool2d: windows that leave pixels out",
        lambda t, x: t.nn.functional.max_pool2d(x, 2, 3) ** 2,
        (spread(2, 3, 5, 6),),
    ),
    Case("max_pool2d: no images", lambda t, x: t.nn.functional.max_pool2d(x, 2), (spread(0, 3, 4, 4),)),
    Case(
        "max_pool2d: its gradient as an op, where a pixel wins several windows",
        lambda t, y, winners: SpreadWinners(OVERLAPPING, winners.data)(y),
        (normal(2, 2, 2, 3), integers(4, 2, 2, 2, 3)),
        peer=False,
    ),
    Case(
        "max_pool2d: the gradient of its gradient as an op",
        lambda t, x, winners: PickWinners(OVERLAPPING, winners.data)(x),
        (normal(2, 2, 3, 4), integers(4, 2, 2, 2, 3)),
        peer=False,
    ),
    Case("avg_pool2d: 2×2", lambda t, x: t.nn.functional.avg_pool2d(x, 2) ** 2, (normal(2, 3, 4, 5),)),
    Case(
        "avg_pool2d: overlapping and padded",
        lambda t, x: t.nn.functional.avg_pool2d(x, (3, 2), (2, 1), 1),
        (normal(2, 2, 5, 4),),
    ),
    Case(
        "avg_pool2d: the padding not counted",
        lambda t, x: t.nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        (strided(normal(2, 2, 5, 4)),),
    ),
    Case(
        "adaptive_avg_pool2d: of all pixels",
        lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, 1),
        (normal(2, 3, 4, 5),),
    ),
    Case(
        "adaptive_avg_pool2d: of parts",
        lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, (2, 1)),
        (normal(2, 3, 4, 5),),
    ),
    Case(
        "interpolate: twice as large",
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=2) ** 2,
        (normal(2, 3, 3, 2),),
    ),
    Case(
        "interpolate: to a size, by whole factors",
        lambda t, x: t.nn.functional.interpolate(x, (6, 2)),
        (strided(normal(2, 3, 3, 2)),),
    ),
    Case(
        "interpolate: by fractions",
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=(1.7, 0.6)) ** 2,
        (normal(2, 3, 4, 5),),
    ),
]
