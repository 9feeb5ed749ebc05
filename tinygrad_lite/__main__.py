"""What computes here, and whether the gradients are right: python -m tinygrad_lite info | check."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import threadpoolctl

import tinygrad_lite
from tinygrad_lite.backend import array_module, cuda_problem, to_device
from tinygrad_lite.checking import GradcheckError, Report, gradcheck, gradgradcheck
from tinygrad_lite.checking.cases import CASES, Case
from tinygrad_lite.memory import freed_memory
from tinygrad_lite.threads import num_threads


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line `argv` says; the exit code is 0, 1 for a wrong gradient, 2 for bad usage."""
    options = _parser().parse_args(argv)
    try:
        return _info() if options.command == "info" else _check(options.patterns, options.first_only)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinygrad_lite", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "print versions, cores, and the GPU or why there is none: what a report of a problem should hold"
    commands.add_parser("info", help=about, description=about)
    check = commands.add_parser(
        "check",
        help="compare the gradients of every operation with finite differences",
        description="Compare the gradients of every operation, and those of its gradients, with finite "
        "differences in float64. An error is a part of what is allowed: one above 1 is wrong.",
        epilog="Exit codes: 0 all are right, 1 some are wrong, 2 no case has such a name.",
    )
    check.add_argument("patterns", nargs="*", metavar="PATTERN", help="only cases with this in their name")
    check.add_argument("--first-only", action="store_true", help="leave out the gradients of gradients")
    return parser


def _info() -> int:
    try:
        version = importlib.metadata.version("tinygrad-lite")
    except importlib.metadata.PackageNotFoundError:
        version = "not installed, run from its source"
    rows = [
        ("tinygrad_lite", version),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("NumPy", np.__version__),
        *(("BLAS", _described(pool)) for pool in threadpoolctl.threadpool_info()),
        ("cores", os.cpu_count()),
        ("threads", f"{num_threads()} for an operation"),
        ("freed memory", freed_memory),
        ("GPU", cuda_problem() or _gpu()),
    ]
    for name, value in rows:
        print(f"{name:<15}{value}")
    return 0


def _described(pool: dict[str, Any]) -> str:
    kernels = f", kernels for {pool['architecture']}" if pool.get("architecture") else ""
    return f"{pool['internal_api']} {pool['version'] or ''}{kernels}, threads: {pool['num_threads']}"


def _gpu() -> str:
    cupy = array_module(to_device(np.zeros(1), "cuda"))
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return f"{name}, by CuPy {cupy.__version__}"


def _check(patterns: Sequence[str], first_only: bool) -> int:
    unknown = [pattern for pattern in patterns if not any(pattern in case.name for case in CASES)]
    if unknown:
        ops = ", ".join(sorted({case.name.partition(":")[0] for case in CASES}))
        print(f"check: no case has {' or '.join(unknown)} in its name; there are {ops}", file=sys.stderr)
        return 2
    cases = [case for case in CASES if not patterns or any(pattern in case.name for pattern in patterns)]
    heads, labels = ("op", "case", "inputs"), [_label(case) for case in cases]
    widths = [max(map(len, column)) + 2 for column in zip(heads, *labels, strict=True)]
    row = "".join(f"{{:<{width}}}" for width in widths) + "{:<5}{:>12}"
    print(row.format(*heads, "ok", "worst error"))
    problems: list[str] = []
    for case, label in zip(cases, labels, strict=True):
        worst, wrong = _examined(case, [gradcheck] if first_only else [gradcheck, gradgradcheck])
        print(row.format(*label, "NO" if wrong else "yes", f"{worst:.1e}"), flush=True)
        problems += wrong
    print("", *problems, f"{len(cases)} cases, {len(problems)} problems", sep="\n")
    return 1 if problems else 0


def _label(case: Case) -> tuple[str, str, str]:
    op, _, what = case.name.partition(": ")
    return op, what, " ".join(str(x.shape) for x in case.inputs())


def _examined(case: Case, checks: Sequence[Callable[..., Report]]) -> tuple[float, list[str]]:
    """The worst error of a case, as a part of what is allowed, and what is wrong in words."""
    function = partial(case.fn, tinygrad_lite)
    worst, wrong = 0.0, list[str]()
    for check in checks:
        title = case.name if check is gradcheck else f"gradient of {case.name}"
        try:
            report = check(function, case.inputs(), wrt=case.wrt, raise_exception=False, title=title)
        except (GradcheckError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            return math.inf, [*wrong, f"{title}: {type(error).__name__}: {error}"]
        for c in report.comparisons:
            part = np.abs(c.analytic - c.numeric) / c.allowed
            worst = max(worst, float(np.nan_to_num(part, nan=math.inf).max(initial=0)))
        wrong += [] if report else [str(report)]
    return worst, wrong


if __name__ == "__main__":
    sys.exit(main())
