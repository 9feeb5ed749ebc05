"""The house rules, read from the source: a rule takes files and returns a message for each breach.

`test_house.py` tries each rule on small planted files, right and wrong, and then on every file there is.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import cache, wraps
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parents[1]
PACKAGES = ("tinygrad_lite", "techniques")
WITH_SCRIPTS = (*PACKAGES, "examples", "benchmarks")
EVERYTHING = (*WITH_SCRIPTS, "tests")

Files: TypeAlias = dict[str, ast.Module]
"""Paths from the root of the project, and the syntax trees of what is there."""


# -- reading -------------------------------------------------------------------------------------------


@cache
def read(*folders: str) -> Files:
    """Every Python file under `folders`."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(text_of(path)) for path in paths}


def text_of(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def among(files: Files, *patterns: str) -> Files:
    """The files whose path matches one of `patterns`, where * stands for slashes too."""
    return {path: tree for path, tree in files.items() if matches(path, patterns)}


def matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def in_each_file(rule: Callable[[str, ast.Module], Iterable[str]]) -> Callable[[Files], list[str]]:
    """A rule for one file at a time, as a rule for files."""

    @wraps(rule)
    def rule_for_files(files: Files) -> list[str]:
        return [f"{path}:{message}" for path, tree in files.items() for message in rule(path, tree)]

    return rule_for_files


def functions_in(owner: ast.Module | ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in owner.body if isinstance(node, ast.FunctionDef)}


def classes_in(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def bases_of(node: ast.ClassDef) -> list[str]:
    """The last names of the bases: Function for Function and for engine.Function."""
    return [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def operations_in(tree: ast.Module) -> list[ast.ClassDef]:
    """The subclasses of Function in a file, and theirs."""
    names = {"Function"}
    operations = []
    for name, node in classes_in(tree).items():
        if names.intersection(bases_of(node)):
            names.add(name)
            operations.append(node)
    return operations


# -- imports -------------------------------------------------------------------------------------------

LAYERS = (
    ("examples", "benchmarks", "tests"),
    ("techniques",),
    ("tinygrad_lite.__main__",),
    ("tinygrad_lite",),  # its __init__, which only lists the public names of what is below
    ("tinygrad_lite.run", "tinygrad_lite.viz", "tinygrad_lite.metrics"),
    tuple(f"tinygrad_lite.{name}" for name in ("nn", "optim", "data", "checkpoint", "checking")),
    ("tinygrad_lite.derivatives", "tinygrad_lite.creation"),
    ("tinygrad_lite.ops",),
    ("tinygrad_lite.walk",),
    ("tinygrad_lite.engine",),
    ("tinygrad_lite.tensor", "tinygrad_lite.kernels"),
    ("tinygrad_lite.backend",),
    ("tinygrad_lite.memory", "tinygrad_lite.threads"),
)
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}

# What a technique may import of tinygrad_lite, by module; no name of it that begins with an underscore.
PUBLIC = (
    "tinygrad_lite",
    *("tinygrad_lite.backend", "tinygrad_lite.tensor", "tinygrad_lite.ops", "tinygrad_lite.threads"),
    *("tinygrad_lite.nn", "tinygrad_lite.nn.functional", "tinygrad_lite.nn.init", "tinygrad_lite.optim"),
    *("tinygrad_lite.data", "tinygrad_lite.data.datasets", "tinygrad_lite.data.datasets.digits"),
    "tinygrad_lite.checkpoint",
    *("tinygrad_lite.checking", "tinygrad_lite.checking.cases"),
    *("tinygrad_lite.run", "tinygrad_lite.metrics", "tinygrad_lite.viz"),
)
INSTALLED = ("numpy", "matplotlib", "mpl_toolkits", "tqdm", "safetensors", "threadpoolctl", "cupy", "cupyx")
LATE = {"tinygrad_lite/backend.py": ("cupy",), "tinygrad_lite/threads.py": ("threadpoolctl",)}
CUPY_PLACES = ("tinygrad_lite/backend.py", "tinygrad_lite/kernels/cuda/*")


class Import(NamedTuple):
    line: int
    module: str
    name: str  # what is imported from the module; "" for the module itself
    late: bool  # inside a function

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def imports_in(files: Files) -> Iterator[tuple[str, Import]]:
    """(path, import) for all that `files` import, but not what only type checkers do."""
    modules = {module_of(path) for path in files}
    for path, tree in files.items():
        for node, late in _import_statements(tree, late=False):
            for module, name in _targets(node, path, modules):
                yield path, Import(node.lineno, module, name, late)


def _import_statements(node: ast.AST, late: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node, late
        return
    for_type_checkers = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    late = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for child in node.orelse if for_type_checkers else ast.iter_child_nodes(node):
        yield from _import_statements(child, late)


def _targets(node: ast.Import | ast.ImportFrom, path: str, modules: set[str]) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; `modules` tells a submodule from another name of its package."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.name, ""
        elif (submodule := f"{origin_of(node, path)}.{alias.name}") in modules:
            yield submodule, ""
        else:
            yield origin_of(node, path), alias.name


def origin_of(node: ast.ImportFrom, path: str) -> str:
    """The module that names come from, in full where it is written with dots."""
    package = path.split("/")[: -node.level] if node.level else []
    return ".".join([*package, *filter(None, [node.module])])


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def unit_of(module: str) -> str:
    """The entry of LAYERS that a module belongs to; "" for other people's."""
    return max((unit for unit in LEVEL if f"{module}.".startswith(f"{unit}.")), key=len, default="")


def modules_without_layer(files: Files) -> list[str]:
    units = {path: unit_of(module_of(path)) for path in files}
    strays = [path for path, unit in units.items() if unit == "tinygrad_lite" and module_of(path) != unit]
    return [f"{path}: has no place in LAYERS" for path in strays]


def imports_not_down(files: Files) -> list[str]:
    messages = []
    for path, i in imports_in(files):
        here, there = unit_of(module_of(path)), unit_of(i.module)
        if there not in ("", here) and LEVEL[there] <= LEVEL[here]:
            messages.append(f"{path}:{i.line}: imports {i.module}, which is not below {here}")
    return messages


def circles(files: Files) -> list[str]:
    graph: dict[str, set[str]] = {module_of(path): set() for path in files}
    for path, i in imports_in(files):
        if i.module in graph:
            graph[module_of(path)].add(i.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"modules import one another in a circle: {', '.join(error.args[1])}"]
    return []


def late_imports(files: Files) -> list[str]:
    return [
        f"{path}:{i.line}: imports {i.module} inside a function"
        for path, i in imports_in(files)
        if i.late and i.top not in LATE.get(path, ())
    ]


def cupy_elsewhere(files: Files) -> list[str]:
    return [
        f"{path}:{i.line}: imports {i.module}; tinygrad_lite.backend knows the module of an array"
        for path, i in imports_in(files)
        if i.top in ("cupy", "cupyx") and not matches(path, CUPY_PLACES)
    ]


def imports_not_installed(files: Files) -> list[str]:
    known = {*sys.stdlib_module_names, *INSTALLED, *PACKAGES}
    imports = [(path, i) for path, i in imports_in(files) if i.top not in known]
    return [f"{path}:{i.line}: imports {i.module}, which setup.py does not install" for path, i in imports]


def techniques_reaching_aside(files: Files) -> list[str]:
    """A technique knows itself, techniques.models, techniques.report, and what tinygrad_lite makes public."""
    return [
        f"{path}:{i.line}: a technique imports {i.module}{f'.{i.name}' if i.name else ''}"
        for path, i in imports_in(files)
        if path.count("/") > 1 and path.startswith("techniques/")
        if not _is_open_to(module_of(path), i)
    ]


def _is_open_to(module: str, i: Import) -> bool:
    if i.top == "techniques":
        return i.module.split(".")[1] in (module.split(".")[1], "models", "report")
    return i.top != "tinygrad_lite" or (i.module in PUBLIC and not i.name.startswith("_"))


# -- what a backward may use ---------------------------------------------------------------------------

SHARED_ATTRIBUTES = ("shape", "ndim", "dtype")
FOR_INTEGERS = ("len", "range", "tuple", "list", "zip", "enumerate", "reversed", "sorted", "slice", "abs")
STATEMENTS = (ast.Assign, ast.Return, ast.If, ast.For)
FOR_ONE_OF_THEM = tuple(
    f"tinygrad_lite.{name}" for name in ("backend", "kernels", "tensor", "engine", "walk")
)


class _BackwardReader(ast.NodeVisitor):
    """Reads a method that is run with arrays and with Tensors, and notes what may differ between the two."""

    def __init__(self, ours: set[str], methods: dict[str, ast.FunctionDef]) -> None:
        self.ours, self.methods = ours, methods
        self.read: set[str] = set()
        self.messages: list[str] = []

    def read_method(self, name: str) -> None:
        if name not in self.read:
            self.read.add(name)
            for statement in self.methods[name].body:
                self.visit(statement)

    def complain(self, node: ast.AST, message: str) -> None:
        self.messages.append(f"{node.lineno}: {message}")

    def visit(self, node: ast.AST) -> None:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not isinstance(node, STATEMENTS) and not docstring:
            self.complain(node, f"no statement for a formula: {ast.unparse(node)}")
        super().visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=name):
                if name not in self.ours and name not in FOR_INTEGERS:
                    self.complain(node, f"{name}() is not a function of ours for arrays and Tensors")
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                self.read_call_of_own_method(node, name)
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                if name != "prod" and not _names_in(node.args) <= {"math", "self"}:
                    self.complain(node, f"math.{name}() is for numbers: constants and options")
            case ast.Attribute(value=ast.Name(id=module)) if module in self.ours:
                pass
            case ast.Attribute(value=owner, attr=name):
                self.complain(node, f".{name}() is a method or another module's; call a function of ours")
                self.visit(owner)
            case function:
                self.visit(function)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def read_call_of_own_method(self, node: ast.Call, name: str) -> None:
        if name in self.methods and name not in ("forward", "backward_fused"):
            self.read_method(name)
        else:
            self.complain(node, f"self.{name}() is not a method of the class for arrays and Tensors")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner == "self" and node.attr == "xp":
            self.complain(node, "self.xp is for arrays only")
        if owner not in ("self", "math") and node.attr not in SHARED_ATTRIBUTES:
            self.complain(node, f".{node.attr} may differ between arrays and Tensors")
        self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Store):
            self.complain(node, "writes into an array")
        self.generic_visit(node)


@in_each_file
def uses_in_backward(path: str, tree: ast.Module) -> Iterator[str]:
    """Whatever a `backward`, or a method that it calls, uses that arrays and Tensors may not share."""
    ours = _functions_for_both(path, tree)
    for node in operations_in(tree):
        if "backward" in functions_in(node):
            reader = _BackwardReader(ours, _methods_of(node, tree))
            reader.read_method("backward")
            yield from reader.messages


def _names_in(nodes: list[ast.expr]) -> set[str]:
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}


def _functions_for_both(path: str, tree: ast.Module) -> set[str]:
    """The names in a file that stand for functions (or modules of them) of ours, on arrays and Tensors."""
    names = {*functions_in(tree), *classes_in(tree)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and unit_of(origin_of(node, path)) not in ("", *FOR_ONE_OF_THEM):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def _methods_of(node: ast.ClassDef, tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The methods of a class, those included that it inherits from classes of the same file."""
    methods: dict[str, ast.FunctionDef] = {}
    for base in bases_of(node):
        if base in classes_in(tree):
            methods |= _methods_of(classes_in(tree)[base], tree)
    return methods | functions_in(node)


# -- the shape of an operation -------------------------------------------------------------------------

OPERATION_FILES = ("tinygrad_lite/ops/*", "techniques/*/losses.py")
LABELS_OF_AN_OP = ("Gradient", "Numerics", "Shapes", "Raises", "Source")
LABELS_OF_A_LOSS = ("Shapes", "Value", "Gradient", "Numerics", "Known", "Raises", "Source")
LABEL = re.compile(r"(?:^ *|\s{2,})([A-Z][a-z]+):(?=\s)", re.MULTILINE)


@in_each_file
def scattered_methods(path: str, tree: ast.Module) -> Iterator[str]:
    """Classes in which anything stands between forward, backward and backward_fused."""
    for node in operations_in(tree):
        methods = functions_in(node)
        for upper, lower in [("forward", "backward"), ("backward", "backward_fused")]:
            if {upper, lower} <= methods.keys() and not _is_under(node, methods[upper], methods[lower]):
                yield f"{node.lineno}: {node.name}.{lower} is not directly under {upper}"


def _is_under(node: ast.ClassDef, upper: ast.FunctionDef, lower: ast.FunctionDef) -> bool:
    return node.body.index(lower) == node.body.index(upper) + 1


@in_each_file
def docstrings_of_operations(path: str, tree: ast.Module) -> Iterator[str]:
    """Operations whose docstring lacks its first line, Gradient or Shapes, or mixes the order of labels.

    A class whose name begins with an underscore is what some operations share, and none itself.
    """
    for node in operations_in(tree):
        if node.name.startswith("_"):
            continue
        for fault in _faults_of_docstring(ast.get_docstring(node) or ""):
            yield f"{node.lineno}: {node.name}: {fault}"


def _faults_of_docstring(text: str) -> Iterator[str]:
    labels = LABEL.findall(text)
    order = LABELS_OF_A_LOSS if "Value" in labels else LABELS_OF_AN_OP
    known = [label for label in labels if label in order]
    if not text or LABEL.match(text):
        yield "the docstring begins with what the operation computes"
    yield from (f"the docstring needs {label}:" for label in ("Gradient", "Shapes") if label not in labels)
    yield from (f"{label}: is none of {', '.join(order)}" for label in labels if label not in order)
    if known != sorted(known, key=order.index):
        yield f"{', '.join(known)} need the order {', '.join(order)}"


def numpy_imports(files: Files) -> list[str]:
    imports = [(path, i) for path, i in imports_in(files) if i.top == "numpy"]
    return [
        f"{path}:{i.line}: imports numpy; forward has the module of its arrays, self.xp"
        for path, i in imports
    ]


# -- habits --------------------------------------------------------------------------------------------

SAYING_NOTHING = ("util", "utils", "helper", "helpers", "common", "misc")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
BROAD = re.compile(r"\b(?:Base)?Exception\b")


@in_each_file
def asserts(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: an assert; raise an error that says what is needed"


@in_each_file
def broad_excepts(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or BROAD.search(ast.unparse(node.type))
        ):
            yield f"{node.lineno}: name the errors that are expected"


@in_each_file
def empty_names(path: str, tree: ast.Module) -> Iterator[str]:
    for word in re.split(r"[/_.]", path):
        if word in SAYING_NOTHING:
            yield f"1: the name {word} says nothing"


@in_each_file
def undocumented(path: str, tree: ast.Module) -> Iterator[str]:
    for name, node in (functions_in(tree) | classes_in(tree)).items():
        if not name.startswith("_") and ast.get_docstring(node) is None:
            yield f"{node.lineno}: {name} has no docstring"


@in_each_file
def untyped(path: str, tree: ast.Module) -> Iterator[str]:
    """Public functions and methods without types, but for those of operations, which are mathematics."""
    public = [node for name, node in classes_in(tree).items() if not name.startswith("_")]
    for owner in (tree, *[node for node in public if node not in operations_in(tree)]):
        for name, function in functions_in(owner).items():
            missing = _without_type(function)
            if missing and (name == "__init__" or not name.startswith("_")):
                yield f"{function.lineno}: {name}: no type for {', '.join(missing)}"


def _without_type(function: ast.FunctionDef) -> list[str]:
    a = function.args
    parameters = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]
    missing = [p.arg for p in parameters if p.annotation is None and p.arg not in ("self", "cls")]
    return missing if function.returns or function.name == "__init__" else [*missing, "the result"]


# -- sizes ---------------------------------------------------------------------------------------------

TARGETS = {
    "tinygrad_lite/__init__.py": 80,
    "tinygrad_lite/__main__.py": 120,
    "tinygrad_lite/backend.py": 250,
    "tinygrad_lite/tensor.py": 350,
    "tinygrad_lite/engine.py": 300,
    "tinygrad_lite/walk.py": 250,
    "tinygrad_lite/derivatives.py": 150,
    "tinygrad_lite/ops/*": 350,
    "tinygrad_lite/kernels/*": 300,
    "tinygrad_lite/checking/*": 300,
    "tinygrad_lite/nn/*": 300,
    "tinygrad_lite/optim/*": 250,
}
TOTALS = {"tinygrad_lite/checking/*": 2500, "tinygrad_lite/*": 6500, "techniques/*": 3500}


class Size(NamedTuple):
    place: str
    lines: int
    target: int


def sizes_of_files(lines: dict[str, int]) -> list[Size]:
    """The files that have a target, beside it."""
    targets = [(path, TARGETS[p]) for path in lines for p in TARGETS if fnmatch(path, p)]
    return [Size(path, lines[path], target) for path, target in targets]


def sizes_of_packages(lines: dict[str, int]) -> list[Size]:
    """The parts that have a target together; a file counts in the first of TOTALS that it belongs to."""
    totals = dict.fromkeys(TOTALS, 0)
    for path, n in lines.items():
        totals[next(pattern for pattern in TOTALS if fnmatch(path, pattern))] += n
    return [Size(pattern, n, TOTALS[pattern]) for pattern, n in totals.items()]
