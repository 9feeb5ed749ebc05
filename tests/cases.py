"""All cases, of the ops and of the techniques' losses; and the graph behind an output."""

import importlib
import pkgutil

import techniques
import tinygrad_lite
from tests.techniques.cases import CASES as TECHNIQUE_CASES
from tinygrad_lite.checking.cases import CASES
from tinygrad_lite.engine import Function

ALL_CASES = [*CASES, *TECHNIQUE_CASES]


def nodes_behind(output):
    """Every node of the graph behind a tensor."""
    found, stack = [], [output.grad_fn]
    while stack:
        node = stack.pop()
        if isinstance(node, Function) and node not in found:
            found.append(node)
            stack.extend(edge[1] for edge in node._link[0] if edge is not None)
    return found


def function_classes():
    """Every concrete Function of the two packages, all of their modules imported."""
    for package in (tinygrad_lite, techniques):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    stack, found = [Function], set()
    while stack:
        for cls in stack.pop().__subclasses__():
            stack.append(cls)
            if hasattr(cls, "forward") and cls.__module__.split(".")[0] in ("tinygrad_lite", "techniques"):
                found.add(cls)
    return sorted(found, key=lambda cls: cls.__name__)
