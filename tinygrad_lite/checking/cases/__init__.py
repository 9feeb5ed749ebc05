"""Sample inputs of every op, a file for each family, as in `ops`: what checks and tests are made from."""

from tinygrad_lite.checking.cases import (
    activation,
    attention,
    compare,
    conv,
    dropout,
    elementwise,
    index,
    loss,
    matmul,
    norm,
    pool,
    reduce,
    shape,
    softmax,
)
from tinygrad_lite.checking.cases.case import Case

CASES: list[Case] = [
    *elementwise.CASES,
    *compare.CASES,
    *activation.CASES,
    *reduce.CASES,
    *shape.CASES,
    *index.CASES,
    *matmul.CASES,
    *softmax.CASES,
    *norm.CASES,
    *conv.CASES,
    *pool.CASES,
    *attention.CASES,
    *dropout.CASES,
    *loss.CASES,
]

__all__ = ["CASES", "Case"]
