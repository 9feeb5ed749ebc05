"""Sample inputs of every op, a file for each family, as in `ops`: what checks, tests and tables are made from."""

from tinygrad_lite.checking.cases import activation, compare, elementwise
from tinygrad_lite.checking.cases.case import Case

CASES: list[Case] = [
    *elementwise.CASES,
    *compare.CASES,
    *activation.CASES,
]

__all__ = ["CASES", "Case"]
