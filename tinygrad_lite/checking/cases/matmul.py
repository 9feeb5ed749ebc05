"""Cases of `ops/matmul.py`."""

from tinygrad_lite.checking.cases.case import Case, normal, strided

CASES = [
    Case("matmul: matrices, one strided", lambda t, a, b: a @ b, (strided(normal(3, 5)), normal(5, 2))),
    Case("matmul: a batch", lambda t, a, b: t.matmul(a, b), (normal(2, 3, 5), normal(2, 5, 4))),
    Case("matmul: batches broadcast", lambda t, a, b: a @ b, (normal(2, 1, 3, 5), normal(3, 5, 2))),
    Case("matmul: a matrix with a batch", lambda t, a, b: a @ b, (normal(3, 5), normal(2, 5, 4))),
    Case("matmul: a batch with a matrix", lambda t, a, b: a @ b, (strided(normal(2, 3, 5)), normal(5, 4))),
    Case("matmul: vectors", lambda t, a, b: a @ b, (normal(5), normal(5))),
    Case("matmul: a vector and a batch", lambda t, a, b: a @ b, (normal(3), normal(2, 3, 5))),
    Case("matmul: a batch and a vector", lambda t, a, b: a @ b, (normal(2, 3, 5), normal(5))),
    Case("matmul: a matrix by itself", lambda t, a: a @ a, (normal(3, 3),)),
    Case("matmul: by a constant", lambda t, a, b: a @ b, (normal(3, 5), normal(5, 2)), wrt=(0,)),
    Case("matmul: empty sum", lambda t, a, b: a @ b, (normal(3, 0), normal(0, 5))),
    Case(
        "linear", lambda t, x, w, b: t.nn.functional.linear(x, w, b), (normal(3, 5), normal(2, 5), normal(2))
    ),
    Case("linear: without bias", lambda t, x, w: t.nn.functional.linear(x, w), (normal(3, 5), normal(2, 5))),
    Case(
        "linear: more dims",
        lambda t, x, w, b: t.nn.functional.linear(x, w, b),
        (strided(normal(2, 3, 5)), normal(4, 5), normal(4)),
    ),
    Case(
        "linear: one row",
        lambda t, x, w, b: t.nn.functional.linear(x, w, b),
        (normal(5), normal(2, 5), normal(2)),
    ),
]
