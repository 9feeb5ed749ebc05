"""Break each backward in one place at a time, and count how many breaks the default tests notice.

Run:     python -m tests.mutate                  (all; prints the breaks that nobody noticed)
         python -m tests.mutate Softmax NTXent   (only these Function classes)
Expect:  at least 95 % of the breaks turn a test red; else exit code 1

A break is one change in the source of `backward` or `backward_fused`: a sign turned, a factor or a divisor
dropped, a plus made a minus, a comparison turned, a number changed. Some breaks are equivalent to the
original: those count as not noticed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import io
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

import tinygrad_lite as t
from tests.cases import ALL_CASES, function_classes, nodes_behind
from tests.checking.test_cases import TestEveryCase

SHARE_REQUIRED = 0.95


class Break(ast.NodeTransformer):
    """Changes the place number `number` among those that can be changed, and says what it did."""

    def __init__(self, number: int) -> None:
        self.number, self.count, self.text = number, 0, ""

    def here(self, node: ast.AST, changed: ast.AST) -> ast.AST:
        self.count += 1
        if self.count - 1 != self.number:
            return node
        self.text = f"{ast.unparse(node)}  →  {ast.unparse(changed)}"
        return ast.copy_location(changed, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        swaps = {ast.Add: ast.Sub, ast.Sub: ast.Add}
        if type(node.op) in swaps:
            return self.here(node, ast.BinOp(node.left, swaps[type(node.op)](), node.right))
        if isinstance(node.op, (ast.Mult, ast.Div)):
            return self.here(node, node.left)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return self.here(node, node.operand) if isinstance(node.op, ast.USub) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        turned = {ast.Gt: ast.Lt, ast.GtE: ast.Lt, ast.Lt: ast.Gt, ast.LtE: ast.Gt, ast.Eq: ast.NotEq}
        if type(node.ops[0]) in turned and not isinstance(node.comparators[0], ast.Constant):
            return self.here(node, ast.Compare(node.left, [turned[type(node.ops[0])]()], node.comparators))
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return self.here(node, ast.Constant(node.value + 1)) if type(node.value) in (int, float) else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        new = [p if _is_none(p) else self.here(p, ast.UnaryOp(ast.USub(), p)) for p in parts]
        return ast.Return(ast.Tuple(new, ast.Load()) if len(new) > 1 else new[0])


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def breaks(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Every broken version of a method, and what is broken in it."""
    source = textwrap.dedent(inspect.getsource(function))
    number = 0
    while True:
        breaker = Break(number)
        tree = ast.fix_missing_locations(breaker.visit(ast.parse(source)))
        if number >= breaker.count:
            return
        namespace: dict = {}
        exec(compile(tree, inspect.getfile(function), "exec"), function.__globals__, namespace)
        yield breaker.text, namespace[function.__name__]
        number += 1


def cases_of_each_class() -> dict[type, list]:
    """For every Function class, the cases whose gradients, to second order, run its backward."""
    found: dict[type, list] = {}
    for case in ALL_CASES:
        wanted = case.differentiable()
        tensors = [t.Tensor(x, requires_grad=i in wanted) for i, x in enumerate(case.inputs())]
        output = case.fn(t, *tensors)
        for node in nodes_behind(output):
            cases = found.setdefault(type(node), [])
            if case not in cases:
                cases.append(case)
    return found


def is_noticed(cases: list) -> bool:
    """Whether a test of one of the cases turns red."""
    tests = TestEveryCase()
    for case in cases:
        with np.errstate(all="ignore"):
            try:
                tests.test_first_derivatives_agree_with_differences(case)
                tests.test_second_derivatives_agree_with_differences(case)
                tests.test_fused_and_plain_backward_agree(case)
            except (Exception, pytest.fail.Exception):  # whatever a test raises is red
                return True
    return False


def is_noticed_by_its_own_tests(cls: type) -> bool:
    """Whether the test file that mirrors the class's file turns red: it holds ties, kinks, special points."""
    *folders, name = cls.__module__.removeprefix("tinygrad_lite.").split(".")
    path = Path("tests", *folders, f"test_{name}.py")
    with contextlib.redirect_stdout(io.StringIO()):
        code = pytest.main(["-qx", "-p", "no:cacheprovider", str(path)])
    return code == pytest.ExitCode.TESTS_FAILED


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("classes", nargs="*", help="names of Function classes; all by default")
    wanted = parser.parse_args().classes
    cases = cases_of_each_class()
    work = [
        (cls, method, text, broken)
        for cls in function_classes()
        if (not wanted or cls.__name__ in wanted) and cls in cases
        for method in ("backward", "backward_fused")
        if getattr(cls, method, None)
        for text, broken in breaks(getattr(cls, method))
    ]
    unnoticed = []
    for cls, method, text, broken in tqdm(work, unit="break"):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(cls, method, broken)
            if not is_noticed(cases[cls]) and not is_noticed_by_its_own_tests(cls):
                unnoticed.append(f"{cls.__name__}.{method}: {text}")
    noticed = len(work) - len(unnoticed)
    print(*unnoticed, sep="\n")
    print(f"{noticed} of {len(work)} breaks noticed ({noticed / len(work):.1%}), in {len(cases)} classes")
    return 0 if noticed >= SHARE_REQUIRED * len(work) else 1


if __name__ == "__main__":
    sys.exit(main())
