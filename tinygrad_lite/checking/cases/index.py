"""Cases of `ops/index.py`: what is picked twice, once and never, by indices of every kind.

Masks are not among them: how many elements a mask takes a GPU says only after a wait, which the stand-in for
CuPy refuses. tests/ops/test_index.py has them.
"""

from tinygrad_lite.checking.cases.case import Case, constant, integers, normal, strided

CASES = [
    Case("getitem: an integer", lambda t, x: x[-1] ** 2, (normal(3, 5),)),
    Case("getitem: slices with steps", lambda t, x: x[::2, 1:4:2] ** 2, (normal(5, 7),)),
    Case("getitem: None and an ellipsis", lambda t, x: x[None, ..., 1] ** 2, (normal(2, 3, 5),)),
    Case("getitem: of a view", lambda t, x: x[1:][..., 0] ** 2, (strided(normal(3, 5)),)),
    Case("getitem: nothing", lambda t, x: x[3:] * 2, (normal(3, 5),)),
    Case("getitem: rows, some twice", lambda t, x, i: x[i] ** 2, (normal(5, 3), constant([[4, 0], [0, 0]]))),
    Case("getitem: a list, negative too", lambda t, x: x[[1, -1, 1]] ** 2, (normal(5, 3),)),
    Case(
        "getitem: pairs of indices",
        lambda t, x, i, j: x[i, j] ** 2,
        (normal(3, 5), constant([2, 0, 2]), constant([1, 4, 1])),
    ),
    Case("getitem: indices after a slice", lambda t, x, i: x[:, i] ** 2, (normal(3, 5), integers(5, 2, 3))),
    Case(
        "getitem: indices around a slice", lambda t, x, i: x[i, :, i] ** 2, (normal(3, 2, 5), integers(3, 4))
    ),
    Case("gather: columns", lambda t, x, i: t.gather(x, 1, i) ** 2, (normal(3, 5), integers(5, 3, 7))),
    Case("gather: fewer rows", lambda t, x, i: t.gather(x, 1, i) ** 2, (normal(3, 5), integers(5, 2, 3))),
    Case(
        "gather: first of three dims",
        lambda t, x, i: t.gather(x, 0, i) ** 2,
        (normal(3, 2, 5), integers(3, 4, 2, 5)),
    ),
    Case(
        "scatter_add: some twice, squared",
        lambda t, x, i, src: t.scatter_add(x, 1, i, src) ** 2,
        (normal(3, 5), constant([[0, 0, 4], [1, 2, 3], [2, 2, 2]]), normal(3, 3)),
    ),
    Case(
        "embedding: words that come twice",
        lambda t, i, weight: t.nn.functional.embedding(i, weight) ** 2,
        (constant([[1, 4], [4, 0]]), normal(5, 3)),
    ),
]
