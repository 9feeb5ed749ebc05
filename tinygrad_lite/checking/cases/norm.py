"""Cases of `ops/norm.py`."""

from typing import Any

from tinygrad_lite.checking.cases.case import Case, constant, normal, strided, uniform


def batch_norm(t: Any, x: Any, weight: Any = None, bias: Any = None) -> Any:
    """As in training, with the statistics of the batch alone."""
    return t.nn.functional.batch_norm(x, None, None, weight, bias, training=True)


def running(t: Any, x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None) -> Any:
    """With statistics that are given."""
    return t.nn.functional.batch_norm(x, mean, var, weight, bias)


def group_norm(t: Any, x: Any, weight: Any = None, bias: Any = None) -> Any:
    """With two groups."""
    return t.nn.functional.group_norm(x, 2, weight, bias)


def layer_norm(t: Any, x: Any, weight: Any = None, bias: Any = None) -> Any:
    """Over the last dimension."""
    return t.nn.functional.layer_norm(x, x.shape[-1:], weight, bias)


CASES = [
    Case("batch_norm: images", batch_norm, (normal(3, 2, 5, 4, mean=2), normal(2), normal(2))),
    Case("batch_norm: images, wide in memory", batch_norm, (normal(2, 5, 8, 8), normal(5), normal(5))),
    Case("batch_norm: vectors, strided", batch_norm, (strided(normal(7, 3)), normal(3), normal(3))),
    Case("batch_norm: sequences, no weight or bias", batch_norm, (normal(3, 2, 5),)),
    Case(
        "batch_norm: a bias alone",
        lambda t, x, bias: batch_norm(t, x, None, bias),
        (normal(5, 3), normal(3)),
        peer=False,  # its second gradient raises in torch
    ),
    Case(
        "batch_norm: a constant channel",
        lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True, eps=0.5),
        (constant([[1.0, 0.5], [1.0, -0.5], [1.0, 2.0]]),),
    ),
    Case(
        "batch_norm: running statistics",
        running,
        (normal(3, 2, 5, 4), normal(2), uniform(0.5, 2, 2), normal(2), normal(2)),
        wrt=(0, 3, 4),
    ),
    Case(
        "batch_norm: running statistics, no weight or bias",
        running,
        (normal(5, 3), normal(3), uniform(0.5, 2, 3)),
        wrt=(0,),
    ),
    Case(
        "batch_norm: running statistics of an empty batch",
        running,
        (normal(0, 3, 5), normal(3), uniform(0.5, 2, 3), normal(3), normal(3)),
        wrt=(0, 3, 4),
    ),
    Case("group_norm: images", group_norm, (normal(3, 4, 5, 2, mean=2), normal(4), normal(4))),
    Case("group_norm: images, wide in memory", group_norm, (normal(2, 6, 8, 8), normal(6), normal(6))),
    Case("group_norm: vectors", group_norm, (normal(3, 10), normal(10), normal(10))),
    Case("group_norm: sequences, no weight or bias", group_norm, (strided(normal(3, 4, 5)),)),
    Case("group_norm: an empty batch", group_norm, (normal(0, 4, 5), normal(4), normal(4))),
    Case(
        "group_norm: a group for each channel",
        lambda t, x, weight: t.nn.functional.group_norm(x, 3, weight),
        (normal(2, 3, 5), normal(3)),
    ),
    Case("layer_norm: rows", layer_norm, (normal(3, 5, mean=2), normal(5), normal(5))),
    Case("layer_norm: one row, strided", layer_norm, (strided(normal(5)), normal(5), normal(5))),
    Case("layer_norm: sequences, no weight or bias", layer_norm, (normal(2, 3, 5),)),
    Case("layer_norm: a weight alone", layer_norm, (normal(3, 5), normal(5))),
    Case("layer_norm: an empty batch", layer_norm, (normal(0, 5), normal(5), normal(5))),
    Case(
        "layer_norm: two dimensions",
        lambda t, x, weight, bias: t.nn.functional.layer_norm(x, (3, 5), weight, bias),
        (normal(2, 3, 5), normal(3, 5), normal(3, 5)),
    ),
    Case("normalize: rows", lambda t, x: t.nn.functional.normalize(x), (normal(3, 5),)),
    Case(
        "normalize: columns, strided",
        lambda t, x: t.nn.functional.normalize(x, dim=0),
        (strided(normal(3, 5)),),
    ),
    Case("normalize: shorter than eps", lambda t, x: t.nn.functional.normalize(x, eps=9.0), (normal(3, 5),)),
    Case(
        "normalize: a row of zeros",
        lambda t, x: t.nn.functional.normalize(x, eps=0.5),
        (constant([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]]),),
        peer=False,  # torch's second gradient at a row of zeros is NaN
    ),
    Case("normalize: an empty batch", lambda t, x: t.nn.functional.normalize(x), (normal(0, 5),)),
]
