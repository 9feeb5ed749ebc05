"""Cases of `ops/conv.py`."""

from tinygrad_lite.checking.cases.case import Case, normal, strided
from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.ops.conv import ConvInputGradient, ConvWeightGradient

ODD = Windows((4, 5), (3, 2), (2, 1), ((1, 1), (0, 0)), (1, 2))  # (2, 3) windows

CASES = [
    Case(
        "conv2d: 3×3 that keeps the size, with bias",
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, padding=1),
        (normal(2, 3, 4, 3), normal(2, 3, 3, 3), normal(2)),
    ),
    Case(
        "conv2d: no padding, input strided",
        lambda t, x, w: t.nn.functional.conv2d(x, w),
        (strided(normal(2, 3, 4, 5)), normal(2, 3, 2, 3)),
    ),
    Case(
        "conv2d: stride, padding and dilation by pairs",
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, (2, 1), (1, 2), (1, 2)),
        (normal(2, 2, 5, 4), normal(3, 2, 3, 2), normal(3)),
    ),
    Case(
        "conv2d: groups",
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, stride=2, padding=1, groups=2),
        (normal(2, 4, 4, 3), normal(6, 2, 3, 3), normal(6)),
    ),
    Case(
        "conv2d: depthwise",
        lambda t, x, w: t.nn.functional.conv2d(x, w, padding="same", groups=3),
        (normal(2, 3, 4, 3), normal(3, 1, 3, 3)),
    ),
    Case(
        "conv2d: 1×1",
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b),
        (normal(2, 3, 2, 3), normal(4, 3, 1, 1), normal(4)),
    ),
    Case(
        "conv2d: 1×1, stride 2",
        lambda t, x, w: t.nn.functional.conv2d(x, w, stride=2),
        (normal(2, 3, 3, 4), normal(2, 3, 1, 1)),
    ),
    Case(
        "conv2d: stride 3, and pixels in no window",
        lambda t, x, w: t.nn.functional.conv2d(x, w, stride=3, padding=1),
        (normal(2, 2, 7, 5), normal(3, 2, 2, 2)),
    ),
    Case(
        "conv2d: no images",
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, padding=1),
        (normal(0, 2, 4, 3), normal(3, 2, 3, 3), normal(3)),
    ),
    Case(
        "conv2d: of itself, so that its gradients meet",
        lambda t, x: t.nn.functional.conv2d(x, x, padding=1),
        (normal(2, 2, 3, 3),),
    ),
    Case(
        "conv2d: its gradient by the input, as an op",
        lambda t, g, w: ConvInputGradient(ODD, groups=1)(g, w),
        (normal(2, 3, 2, 3), normal(3, 2, 3, 2)),
        peer=False,
    ),
    Case(
        "conv2d: its gradient by the weight, as an op",
        lambda t, g, x: ConvWeightGradient(ODD, groups=2)(g, x),
        (normal(2, 2, 2, 3), normal(2, 4, 4, 5)),
        peer=False,
    ),
]
