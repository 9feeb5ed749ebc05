"""Cases of `ops/attention.py`."""

from typing import Any

from tinygrad_lite.checking.cases.case import Case, booleans, constant, normal, strided

ONE_QUERY_CLOSED = [[True, False, True], [False, False, False]]


def attention(t: Any, q: Any, k: Any, v: Any, mask: Any = None, **options: Any) -> Any:
    """The op, under a name that fits a line."""
    return t.nn.functional.scaled_dot_product_attention(q, k, v, mask, **options)


def with_dropout(t: Any, q: Any, k: Any, v: Any) -> Any:
    """The same draws in each call."""
    t.manual_seed(0)
    return attention(t, q, k, v, dropout_p=0.4)


CASES = [
    Case("attention: one head", attention, (normal(3, 4), normal(5, 4), normal(5, 2))),
    Case(
        "attention: heads, strided",
        attention,
        (strided(normal(2, 3, 4)), normal(2, 5, 4), strided(normal(2, 5, 7))),
    ),
    Case(
        "attention: batches of heads", attention, (normal(2, 3, 2, 5), normal(2, 3, 4, 5), normal(2, 3, 4, 1))
    ),
    Case("attention: an empty batch", attention, (normal(0, 3, 4), normal(0, 5, 4), normal(0, 5, 2))),
    Case(
        "attention: another scale",
        lambda t, q, k, v: attention(t, q, k, v, scale=0.9),
        (normal(3, 4), normal(5, 4), normal(5, 2)),
    ),
    Case(
        "attention: causal",
        lambda t, q, k, v: attention(t, q, k, v, is_causal=True),
        (normal(2, 5, 4), normal(2, 5, 4), normal(2, 5, 3)),
    ),
    Case(
        "attention: causal, more keys than queries",
        lambda t, q, k, v: attention(t, q, k, v, is_causal=True),
        (normal(3, 4), normal(5, 4), normal(5, 2)),
    ),
    Case(
        "attention: booleans for each head",
        attention,
        (normal(2, 3, 4), normal(2, 7, 4), normal(2, 7, 5), booleans(2, 3, 7)),
    ),
    Case(
        "attention: booleans that close all keys to a query",
        attention,
        (normal(2, 2, 4), normal(2, 3, 4), normal(2, 3, 5), constant(ONE_QUERY_CLOSED)),
    ),
    Case(
        "attention: floats are added, and learned",
        attention,
        (normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 7), normal(3, 5)),
    ),
    Case(
        "attention: floats for the keys",
        attention,
        (normal(3, 4), normal(5, 4), normal(5, 2), normal(5)),
    ),
    Case(
        "attention: dropout",
        with_dropout,
        (normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 7)),
        peer=False,
        draws_mask=True,
    ),
]
