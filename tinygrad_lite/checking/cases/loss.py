"""Cases of `ops/loss.py`."""

from tinygrad_lite.checking.cases.case import (
    Case,
    constant,
    integers,
    normal,
    probabilities,
    strided,
    uniform,
)

CASES = [
    Case("mse_loss", lambda t, x, y: t.nn.functional.mse_loss(x, y), (normal(3, 5), strided(normal(3, 5)))),
    Case(
        "mse_loss: sum",
        lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction="sum"),
        (normal(2, 3, 5), normal(2, 3, 5)),
    ),
    Case(
        "mse_loss: none",
        lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction="none"),
        (normal(3, 5), normal(3, 5)),
    ),
    Case("mse_loss: 0-d", lambda t, x, y: t.nn.functional.mse_loss(x, y), (normal(), normal())),
    Case(
        "mse_loss: none of an empty batch",
        lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction="none"),
        (normal(0, 3), normal(0, 3)),
    ),
    Case(
        "kl_div",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="batchmean"),
        (normal(3, 5), probabilities(3, 5)),
    ),
    Case(
        "kl_div: mean, of images",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="mean"),
        (normal(2, 3, 5, 2), probabilities(2, 3, 5, 2)),
        peer=False,  # torch warns of 'mean'
    ),
    Case(
        "kl_div: sum",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="sum"),
        (strided(normal(3, 5)), probabilities(3, 5)),
    ),
    Case(
        "kl_div: none",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="none"),
        (normal(3, 5), probabilities(3, 5)),
    ),
    Case(
        "kl_div: targets of 0 and 1",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="sum"),
        (normal(2, 3), constant([[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]])),
        wrt=(0,),
    ),
    Case(
        "kl_div: logarithms of the target",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="batchmean", log_target=True),
        (normal(3, 5), normal(3, 5)),
    ),
    Case(
        "kl_div: logarithms of the target, mean",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="mean", log_target=True),
        (normal(3, 5), normal(3, 5)),
        peer=False,
    ),
    Case(
        "kl_div: logarithms of the target, none, 0-d",
        lambda t, x, q: t.nn.functional.kl_div(x, q, reduction="none", log_target=True),
        (normal(), normal()),
    ),
    Case(
        "cross_entropy",
        lambda t, x, labels: t.nn.functional.cross_entropy(x, labels),
        (normal(7, 5, std=2), integers(5, 7)),
    ),
    Case(
        "cross_entropy: one sample, strided",
        lambda t, x, labels: t.nn.functional.cross_entropy(x, labels),
        (strided(normal(1, 5)), integers(5, 1)),
    ),
    Case(
        "cross_entropy: sum, smoothed",
        lambda t, x, labels: t.nn.functional.cross_entropy(x, labels, reduction="sum", label_smoothing=0.2),
        (normal(7, 5), integers(5, 7)),
    ),
    Case(
        "cross_entropy: none of an empty batch",
        lambda t, x, labels: t.nn.functional.cross_entropy(x, labels, reduction="none"),
        (normal(0, 5), integers(5, 0)),
    ),
    Case(
        "cross_entropy: pixels, some ignored, smoothed",
        lambda t, x, labels: t.nn.functional.cross_entropy(x, labels, ignore_index=1, label_smoothing=0.2),
        (normal(3, 5, 2, 4), integers(5, 3, 2, 4)),
    ),
    Case(
        "cross_entropy: weights",
        lambda t, x, labels, w: t.nn.functional.cross_entropy(x, labels, w),
        (normal(7, 5), integers(5, 7), uniform(0.5, 2, 5)),
        wrt=(0,),
    ),
    Case(
        "cross_entropy: pixels, weights, some ignored, smoothed, none",
        lambda t, x, labels, w: t.nn.functional.cross_entropy(
            x, labels, w, reduction="none", label_smoothing=0.2, ignore_index=3
        ),
        (normal(3, 5, 4), integers(5, 3, 4), uniform(0.5, 2, 5)),
        wrt=(0,),
    ),
    Case(
        "cross_entropy: weights, some ignored, smoothed",
        lambda t, x, labels, w: t.nn.functional.cross_entropy(x, labels, w, label_smoothing=0.2),
        (normal(4, 3), constant([2, -100, 0, 2]), uniform(0.5, 2, 3)),
        wrt=(0,),
    ),
    Case(
        "cross_entropy: probabilities",
        lambda t, x, q: t.nn.functional.cross_entropy(x, q),
        (normal(3, 5), probabilities(3, 5)),
    ),
    Case(
        "cross_entropy: probabilities of pixels, weights, smoothed",
        lambda t, x, q, w: t.nn.functional.cross_entropy(x, q, w, label_smoothing=0.2),
        (normal(3, 5, 2), probabilities(3, 5, 2), uniform(0.5, 2, 5)),
        wrt=(0, 1),
    ),
    Case(
        "cross_entropy: any amounts for probabilities, none",
        lambda t, x, q: t.nn.functional.cross_entropy(x, q, reduction="none"),
        (normal(3, 5, 2), uniform(0, 2, 3, 5, 2)),
    ),
    Case(
        "cross_entropy: probabilities, sum",
        lambda t, x, q: t.nn.functional.cross_entropy(x, q, reduction="sum", label_smoothing=0.2),
        (strided(normal(3, 5)), probabilities(3, 5)),
    ),
]
