"""The house rules of `house.py`: each tried on planted source, right and wrong, then held everywhere.

`pytest tests/test_house.py -s` prints the sizes beside their targets.
"""

import ast
import subprocess
import sys
from textwrap import dedent

import pytest

from tests import house

OP = "tinygrad_lite/ops/planted.py"


def hold(messages: list[str]) -> None:
    """Fail with all of the messages, one a line."""
    assert not messages, "\n".join(["", *messages])


def planted(source: str, path: str = OP) -> house.Files:
    return {path: ast.parse(dedent(source))}


# -- imports -------------------------------------------------------------------------------------------


def test_a_module_that_no_layer_lists_is_found():
    assert house.modules_without_layer(planted("", "tinygrad_lite/nn/layers.py")) == []
    assert len(house.modules_without_layer(planted("", "tinygrad_lite/extra.py"))) == 1


def test_every_module_has_its_layer():
    hold(house.modules_without_layer(house.read(*house.PACKAGES)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tinygrad_lite/ops/reduce.py", "from tinygrad_lite.engine import Function"),
        ("tinygrad_lite/ops/reduce.py", "from tinygrad_lite.ops.elementwise import exp"),
        ("tinygrad_lite/ops/reduce.py", "if TYPE_CHECKING:\n    from tinygrad_lite.nn import Module"),
        ("tinygrad_lite/nn/layers.py", "from .module import Module"),
        ("tinygrad_lite/nn/layers.py", "import numpy as np"),
        ("techniques/diffusion/train.py", "from tinygrad_lite import Tensor, viz"),
        ("examples/autograd.py", "import tinygrad_lite"),
    ],
)
def test_an_import_that_points_down_is_accepted(path, line):
    assert house.imports_not_down(planted(line, path)) == []


@pytest.mark.parametrize(
    ("path", "line", "module"),
    [
        ("tinygrad_lite/engine.py", "from tinygrad_lite.ops import exp", "tinygrad_lite.ops"),
        ("tinygrad_lite/nn/layers.py", "from tinygrad_lite import Tensor", "tinygrad_lite"),
        ("tinygrad_lite/nn/layers.py", "from ..optim import SGD", "tinygrad_lite.optim"),
        ("tinygrad_lite/nn/__init__.py", "from ..optim import SGD", "tinygrad_lite.optim"),
        ("tinygrad_lite/backend.py", "import tinygrad_lite.engine", "tinygrad_lite.engine"),
        ("tinygrad_lite/run.py", "def f():\n    import techniques.models", "techniques.models"),
        ("techniques/models/mlp.py", "from examples import distill", "examples"),
    ],
)
def test_an_import_that_points_up_or_aside_is_found(path, line, module):
    (message,) = house.imports_not_down(planted(line, path))
    assert f"imports {module}, which is not below" in message


def test_imports_only_point_down():
    hold(house.imports_not_down(house.read(*house.WITH_SCRIPTS)))


def test_a_circle_of_imports_is_found():
    a = planted("from tinygrad_lite.nn.b import f", "tinygrad_lite/nn/a.py")
    b = planted("from tinygrad_lite.nn import a", "tinygrad_lite/nn/b.py")
    assert house.circles(a | planted("", "tinygrad_lite/nn/b.py")) == []
    assert "tinygrad_lite.nn.a, tinygrad_lite.nn.b" in house.circles(a | b)[0]


def test_no_modules_import_one_another_in_a_circle():
    hold(house.circles(house.read(*house.PACKAGES)))


def test_an_import_inside_a_function_is_found_but_for_the_listed_ones():
    late = "def f():\n    import cupy"
    assert house.late_imports(planted("import threadpoolctl", "tinygrad_lite/run.py")) == []
    assert house.late_imports(planted(late, "tinygrad_lite/backend.py")) == []
    assert len(house.late_imports(planted(late, "tinygrad_lite/run.py"))) == 1


def test_nothing_is_imported_inside_a_function():
    hold(house.late_imports(house.read(*house.EVERYTHING)))


@pytest.mark.parametrize("line", ["import cupy", "from cupy.linalg import norm", "import cupyx.scipy"])
def test_an_import_of_cupy_is_found_but_in_the_backend_and_its_kernels(line):
    assert house.cupy_elsewhere(planted(line, "tinygrad_lite/backend.py")) == []
    assert house.cupy_elsewhere(planted(line, "tinygrad_lite/kernels/cuda/conv.py")) == []
    assert len(house.cupy_elsewhere(planted(line, "tinygrad_lite/kernels/cpu/conv.py"))) == 1


def test_only_the_backend_and_its_kernels_import_cupy():
    hold(house.cupy_elsewhere(house.read(*house.WITH_SCRIPTS)))


def test_an_import_of_what_is_not_installed_is_found():
    assert house.imports_not_installed(planted("import json, matplotlib.pyplot, techniques.models")) == []
    assert len(house.imports_not_installed(planted("import torch, sklearn.datasets"))) == 2


def test_the_packages_import_only_what_setup_py_installs():
    hold(house.imports_not_installed(house.read(*house.PACKAGES)))


@pytest.mark.parametrize(
    "line",
    [
        "from techniques.models import cnn",
        "from techniques.diffusion.schedule import linear_schedule",
        "from tinygrad_lite import Function, Tensor",
        "from tinygrad_lite.nn import functional as F",
        "import numpy as np",
    ],
)
def test_a_technique_may_import_itself_the_models_and_what_is_public(line):
    assert house.techniques_reaching_aside(planted(line, "techniques/diffusion/train.py")) == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("from techniques.contrastive.losses import NTXent", "techniques.contrastive.losses.NTXent"),
        ("from techniques import contrastive", "techniques.contrastive"),
        ("from ..contrastive import losses", "techniques.contrastive.losses"),
        ("from tinygrad_lite.nn import _Mode", "tinygrad_lite.nn._Mode"),
        ("from tinygrad_lite.ops.reduce import sum", "tinygrad_lite.ops.reduce.sum"),
        ("import tinygrad_lite.kernels.cpu", "tinygrad_lite.kernels.cpu"),
    ],
)
def test_a_technique_that_imports_a_sibling_or_what_is_private_is_found(line, named):
    sibling = planted("", "techniques/contrastive/__init__.py")
    (message,) = house.techniques_reaching_aside(planted(line, "techniques/diffusion/train.py") | sibling)
    assert message.endswith(f"a technique imports {named}")


def test_techniques_import_only_themselves_the_models_and_what_is_public():
    hold(house.techniques_reaching_aside(house.read(*house.PACKAGES)))


def test_importing_tinygrad_lite_loads_nothing_of_others_but_numpy():
    script = """
        import sys
        import numpy, numpy.fft, numpy.linalg, numpy.random
        before = set(sys.modules)
        import tinygrad_lite
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(*sorted(loaded - sys.stdlib_module_names - {"numpy"}))
    """
    command = [sys.executable, "-c", dedent(script)]
    run = subprocess.run(command, cwd=house.ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["tinygrad_lite"]


# -- what a backward may use ---------------------------------------------------------------------------

PROBE = """
import math
import numpy as np
from tinygrad_lite.backend import unbroadcast
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels.cpu import conv
from tinygrad_lite.ops import elementwise
from tinygrad_lite.ops.reduce import sum as total, exp
from tinygrad_lite.tensor import Tensor

class Inverse(Function):
    def forward(self, x):
        return 1 / x

    def shifted(self, z):
        return z - total(z, 1, keepdim=True)

class Probe(Inverse):
    def backward(self, grad, x, output):
        LINE

    def careless(self, z):
        return self.shifted(z).sum()

    def backward_fused(self, grad, x):
        return grad * self.xp.exp(x)
"""


@pytest.mark.parametrize(
    "line",
    [
        "return grad * output * (1 - output)",
        "return grad @ x, x @ grad",
        "return grad * (x > 0) if x.ndim else -grad",
        "return (grad - total(grad, 1, keepdim=True)) / x.shape[0]",
        "return elementwise.where(self.mask, grad, 0)",
        "return Inverse(self.dim, eps=1e-5)(x)",
        "return self.shifted(grad)",
        "return grad * math.sqrt(2 / math.pi) / math.sqrt(self.dim) / math.prod(x.shape)",
        "return tuple(total(grad, dim) for dim in range(x.ndim) if x.shape[dim] == 1)",
        "return grad[tuple(slice(n) for n in self.sizes)]",
        "dx, (a, b) = exp(x), self.pair; return dx * a",
    ],
)
def test_a_backward_of_arithmetic_shapes_and_our_functions_is_accepted(line):
    assert house.uses_in_backward(planted(PROBE.replace("LINE", line))) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return grad * x.sum()", ".sum() is a method"),
        ("return (grad * x).sum()", ".sum() is a method"),
        ("return grad * self.mask.sum()", ".sum() is a method"),
        ("return [exp(g.copy()) for g in grad]", ".copy() is a method"),
        ("return self.careless(grad)", ".sum() is a method"),
        ("return grad * np.exp(x)", ".exp() is a method or another module's"),
        ("return grad * math.sqrt(x)", "math.sqrt() is for numbers"),
        ("return grad * self.xp.exp(x)", "self.xp is for arrays only"),
        ("return grad * exp(self.xp, x)", "self.xp is for arrays only"),
        ("return grad * x.T", ".T may differ"),
        ("return grad * x.size", ".size may differ"),
        ("return grad * np.pi", ".pi may differ"),
        ("return sum(grad)", "sum() is not a function of ours"),
        ("return max(grad, x)", "max() is not a function of ours"),
        ("return grad * float(x)", "float() is not a function of ours"),
        ("return Tensor(grad)", "Tensor() is not a function of ours"),
        ("return conv(grad, x)", "conv() is not a function of ours"),
        ("return unbroadcast(grad, x.shape, x.dtype)", "unbroadcast() is not a function of ours"),
        ("return self.forward(grad)", "self.forward() is not a method of the class for"),
        ("return self.backward_fused(grad, x)", "self.backward_fused() is not a method of the class for"),
        ("return self.unknown(grad)", "self.unknown() is not a method of the class for"),
        ("grad *= 2; return grad", "no statement for a formula: grad *= 2"),
        ("total(grad); return grad", "no statement for a formula: total(grad)"),
        ("x[0] = grad; return x", "writes into an array"),
    ],
)
def test_a_backward_that_uses_anything_else_is_found(line, message):
    messages = house.uses_in_backward(planted(PROBE.replace("LINE", line)))
    assert any(message in found for found in messages), messages


def test_backwards_use_only_what_arrays_and_tensors_share():
    hold(house.uses_in_backward(house.read(*house.WITH_SCRIPTS)))


# -- the shape of an operation -------------------------------------------------------------------------

MUL = '''
    class Mul(Function):
        """a · b, elementwise.   Gradient: ∂/∂a = b, ∂/∂b = a.   Shapes: broadcast together."""

        broadcasts = True

        def forward(self, a, b):
            return a * b

        def backward(self, grad, a, b):
            return grad * b, grad * a
'''
SIGMOID = '''
    class Sigmoid(Function):
        """σ(x) = 1 / (1 + e⁻ˣ), elementwise.

        Gradient:  dσ/dx = σ(x)·(1 − σ(x)).
        Numerics:  from e^{−|x|}, so no exponential overflows; exact 0 and 1 far out.
        Shapes:    any → the same.
        """

        def forward(self, x):
            z = self.xp.exp(-abs(x))
            return self.xp.where(x >= 0, 1, z) / (1 + z)

        def backward(self, grad, output):
            return grad * output * (1 - output)
'''
NT_XENT = '''
    from tinygrad_lite.ops import exp, matmul, sqrt, sum, swap

    class NTXent(Function):
        """Normalized temperature-scaled cross-entropy of two views: Chen et al. 2020, eq. (1).

        Shapes:    z (2N, d), rows i and i+N are the two views of one sample; the loss is a scalar.
        Value:     uᵢ = zᵢ/‖zᵢ‖,  sᵢⱼ = uᵢ·uⱼ/τ,  sᵢᵢ = −∞,  P = softmax(s) by row;  L = −mean log P[i, i±N].
        Gradient:  G = (P − Y)/2N, with Y[i, i±N] = 1        cross-entropy through the softmax
                   g = (G + Gᵀ)·u/τ                          s holds u on both sides
                   ∂L/∂zᵢ = (gᵢ − uᵢ(uᵢ·gᵢ))/‖zᵢ‖            what points along uᵢ cannot turn uᵢ
        Known:     equal rows give log(2N − 1); the length of a row does not matter.
        Raises:    ValueError for an odd number of rows, z that is not 2-D, or τ ≤ 0.
        """

        def forward(self, z):
            return -self.log_probabilities(z)[self.positives].mean()

        def backward(self, grad, z):
            norm = sqrt(sum(z * z, 1, keepdim=True))
            u = z / norm
            P = exp(self.log_probabilities(z))
            G = (P - self.Y) / z.shape[0]
            g = (G + swap(G)) @ u / self.temperature
            return grad * (g - u * sum(u * g, 1, keepdim=True)) / norm

        def log_probabilities(self, z):
            return matmul(z, swap(z)) - self.diagonal
'''
RULES_OF_OPERATIONS = (
    house.uses_in_backward,
    house.scattered_methods,
    house.docstrings_of_operations,
    house.numpy_imports,
)


@pytest.mark.parametrize("source", [MUL, SIGMOID, NT_XENT], ids=["Mul", "Sigmoid", "NTXent"])
@pytest.mark.parametrize("rule", RULES_OF_OPERATIONS, ids=lambda rule: rule.__name__)
def test_the_models_of_an_op_and_of_a_loss_keep_the_rules(rule, source):
    assert rule(planted(source)) == []


@pytest.mark.parametrize("between", ["def other(self): ...", "constant = 1"])
@pytest.mark.parametrize(("upper", "lower"), [("forward", "backward"), ("backward", "backward_fused")])
def test_anything_between_forward_backward_and_the_fused_one_is_found(upper, lower, between):
    lines = [
        "class Probe(Function):",
        f"    def {upper}(self): ...",
        f"    {between}",
        f"    def {lower}(self): ...",
    ]
    (message,) = house.scattered_methods(planted("\n".join(lines)))
    assert f"Probe.{lower} is not directly under {upper}" in message
    del lines[2]
    assert house.scattered_methods(planted("\n".join(lines))) == []


def test_backward_stands_directly_under_forward_and_the_fused_one_under_it():
    files = house.among(house.read(*house.PACKAGES), *house.OPERATION_FILES)
    hold(house.scattered_methods(files))


@pytest.mark.parametrize(
    ("docstring", "fault"),
    [
        ("", "begins with what the operation computes"),
        ("Gradient: 1.  Shapes: any.", "begins with what the operation computes"),
        ("x + 1.  Gradient: 1.", "needs Shapes:"),
        ("x + 1.  Shapes: any.", "needs Gradient:"),
        ("x + 1.  Shapes: any.  Gradient: 1.", "Shapes, Gradient need the order Gradient"),
        ("x + 1.\n\nGradient: 1.\nShapes: any.\nNumerics: exact.", "Numerics need the order Gradient"),
        ("x + 1.\n\nGradient: 1.\nValue: x.\nShapes: any.", "need the order Shapes, Value"),
        ("x + 1.\n\nGradient: 1.\nShapes: any.\nHint: none.", "Hint: is none of"),
    ],
)
def test_a_docstring_with_labels_missing_or_out_of_order_is_found(docstring, fault):
    messages = house.docstrings_of_operations(planted(f"class Probe(Function):\n    {docstring!r}"))
    assert any(fault in message for message in messages), messages


def test_what_operations_share_needs_no_labels():
    assert house.docstrings_of_operations(planted("class _Reduction(Function): ...")) == []


def test_docstrings_of_operations_have_their_labels_in_order():
    files = house.among(house.read(*house.PACKAGES), *house.OPERATION_FILES)
    hold(house.docstrings_of_operations(files))


def test_an_operation_that_imports_numpy_is_found():
    assert len(house.numpy_imports(planted("import numpy as np\nfrom numpy.linalg import norm"))) == 2


def test_operations_import_no_numpy():
    hold(house.numpy_imports(house.among(house.read(*house.PACKAGES), "tinygrad_lite/ops/*")))


# -- habits --------------------------------------------------------------------------------------------


def test_an_assert_is_found():
    assert len(house.asserts(planted("assert x.ndim == 2"))) == 1


def test_users_meet_no_assert():
    hold(house.asserts(house.read(*house.WITH_SCRIPTS)))


@pytest.mark.parametrize("clause", ["except", "except Exception", "except (OSError, BaseException) as error"])
def test_a_broad_except_is_found(clause):
    assert len(house.broad_excepts(planted(f"try:\n    f()\n{clause}:\n    pass"))) == 1


def test_an_except_that_names_its_errors_is_accepted():
    assert house.broad_excepts(planted("try:\n    f()\nexcept (OSError, MyException):\n    pass")) == []


def test_errors_are_caught_by_name():
    hold(house.broad_excepts(house.read(*house.WITH_SCRIPTS)))


@pytest.mark.parametrize(
    "path", ["tinygrad_lite/nn/utils.py", "tests/array_helpers/a.py", "examples/misc.py"]
)
def test_a_file_name_that_says_nothing_is_found(path):
    assert len(house.empty_names(planted("", path))) == 1


def test_every_file_name_says_something():
    assert house.empty_names(planted("", "tinygrad_lite/nn/commonplace.py")) == []
    hold(house.empty_names(house.read(*house.EVERYTHING)))


def test_nothing_is_left_to_be_done():
    assert house.UNFINISHED.search(f"# {'TO' + 'DO'}: later")
    paths = house.read(*house.EVERYTHING)
    assert [path for path in paths if house.UNFINISHED.search(house.text_of(path))] == []


def test_a_public_name_without_docstring_is_found():
    assert len(house.undocumented(planted("def f(): ...\nclass A: ...\ndef _g(): ..."))) == 2


def test_every_public_function_and_class_has_a_docstring():
    hold(house.undocumented(house.read(*house.PACKAGES)))


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(x, *rest: int) -> int: ...", "f: no type for x"),
        ("def f(x: int, **rest): ...", "f: no type for rest, the result"),
        ("class A:\n    def __init__(self, x): ...", "__init__: no type for x"),
        ("class A:\n    def g(self, *, y=1) -> None: ...", "g: no type for y"),
    ],
)
def test_a_public_signature_without_types_is_found(source, missing):
    (message,) = house.untyped(planted(source))
    assert message.endswith(missing)


@pytest.mark.parametrize(
    "source",
    [
        "def _f(x): ...",
        "class A:\n    def _g(self, x): ...",
        "class _B:\n    def g(self, x): ...",
        "class C(Function):\n    def forward(self, x): ...",
    ],
)
def test_what_is_private_or_mathematics_needs_no_types(source):
    assert house.untyped(planted(source)) == []


def test_every_public_signature_has_types():
    hold(house.untyped(house.read(*house.PACKAGES)))


# -- sizes ---------------------------------------------------------------------------------------------

LINES = {
    "tinygrad_lite/ops/conv.py": 360,
    "tinygrad_lite/checking/compare.py": 100,
    "techniques/__main__.py": 50,
}


def test_a_file_is_compared_with_the_target_of_its_place():
    assert house.sizes_of_files(LINES) == [
        ("tinygrad_lite/ops/conv.py", 360, 350),
        ("tinygrad_lite/checking/compare.py", 100, 300),
    ]


def test_a_file_counts_in_one_total():
    assert house.sizes_of_packages(LINES) == [
        ("tinygrad_lite/checking/*", 100, 2500),
        ("tinygrad_lite/*", 360, 6500),
        ("techniques/*", 50, 3500),
    ]


def test_no_file_is_longer_than_one_and_a_half_times_its_target():
    lines = {path: len(house.text_of(path).splitlines()) for path in house.read(*house.PACKAGES)}
    files = house.sizes_of_files(lines)
    for size in (*files, *house.sizes_of_packages(lines)):
        mark = "  over" if size.lines > size.target else ""
        sys.stdout.write(f"\n{size.lines:6} of {size.target:5}  {size.place}{mark}")
    sys.stdout.write("\n")
    assert [size.place for size in files if size.lines > 1.5 * size.target] == []
