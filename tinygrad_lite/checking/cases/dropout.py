"""Cases of `ops/dropout.py`: torch draws other masks."""

from typing import Any

from tinygrad_lite.checking.cases.case import Case, normal, strided


def dropout(t: Any, x: Any, p: float) -> Any:
    """The same draws in each call."""
    t.manual_seed(0)
    return t.nn.functional.dropout(x, p)


CASES = [
    Case("dropout", lambda t, x: dropout(t, x, 0.3) * x, (normal(3, 5),), peer=False, draws_mask=True),
    Case(
        "dropout: strided",
        lambda t, x: dropout(t, x, 0.5),
        (strided(normal(2, 3, 5)),),
        peer=False,
        draws_mask=True,
    ),
    Case(
        "dropout: 0-d and empty",
        lambda t, x, y: dropout(t, x, 0.3) + dropout(t, y, 0.3),
        (normal(), normal(0, 3)),
        peer=False,
        draws_mask=True,
    ),
    Case(
        "dropout: of everything",
        lambda t, x: dropout(t, x, 1.0),
        (normal(3, 5),),
        peer=False,
        draws_mask=True,
    ),
]
