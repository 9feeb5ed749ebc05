"""Every case of every op and loss: gradients to second order, fused and plain, dtypes, layouts, coverage."""

import numpy as np
import pytest

import tinygrad_lite as t
from tests.cases import ALL_CASES, function_classes, nodes_behind
from tinygrad_lite.checking import gradcheck, gradgradcheck
from tinygrad_lite.ops.elementwise import Cast, Move

TESTED_ELSEWHERE = {
    Cast: "between floats it rounds, which differences see as noise: tests/ops/test_elementwise.py",
    Move: "it takes a second device: tests/test_backend.py, with the stand-in for CuPy",
}


def run(case, arrays, fn=None, **options):
    """The output of a case for `arrays`, and its gradients for a fixed upstream gradient."""
    wanted = case.differentiable()
    tensors = [t.Tensor(x, requires_grad=i in wanted) for i, x in enumerate(arrays)]
    output = (fn or case.fn)(t, *tensors)
    upstream = np.random.default_rng(7).standard_normal(output.shape).astype(output.dtype)
    gradients = t.grad(output, [tensors[i] for i in wanted], upstream, allow_unused=True, **options)
    return output, gradients


def as_float32(arrays):
    return [x.astype("float32") if x.dtype.kind == "f" else x for x in arrays]


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda c: c.name)
class TestEveryCase:
    def test_first_derivatives_agree_with_differences(self, case):
        gradcheck(lambda *xs: case.fn(t, *xs), case.inputs(), wrt=case.differentiable(), title=case.name)

    def test_second_derivatives_agree_with_differences(self, case):
        gradgradcheck(lambda *xs: case.fn(t, *xs), case.inputs(), wrt=case.differentiable(), title=case.name)

    def test_float32_stays_float32(self, case):
        output, gradients = run(case, as_float32(case.inputs()), lambda t, *xs: case.fn(t, *xs))
        assert output.dtype == case_dtype(case)
        assert all(g is None or g.dtype == "float32" for g in gradients)

    def test_memory_layout_does_not_matter(self, case):
        inputs = case.inputs()
        turned = [np.ascontiguousarray(x.T).T for x in inputs]
        output, gradients = run(case, inputs)
        output_turned, gradients_turned = run(case, turned)
        np.testing.assert_allclose(output_turned.numpy(), output.numpy(), rtol=1e-12, atol=1e-12)
        for g, h in zip(gradients, gradients_turned, strict=True):
            np.testing.assert_allclose(h.numpy(), g.numpy(), rtol=1e-11, atol=1e-11)

    def test_fused_and_plain_backward_agree(self, case):
        _, gradients = run(case, case.inputs())
        _, plain = run(case, case.inputs(), create_graph=True)  # the fused ones do not serve that
        for g, h in zip(gradients, plain, strict=True):
            np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=1e-11, atol=1e-12)


def case_dtype(case):
    """float64 where a case casts to it on purpose, else float32."""
    return "float64" if case.name.startswith("to:") else "float32"


def test_names_are_unique():
    names = [case.name for case in ALL_CASES]
    assert len(set(names)) == len(names)


def test_every_function_has_a_case():
    covered = set()
    for case in ALL_CASES:
        tensors = [t.Tensor(x, requires_grad=i in case.differentiable()) for i, x in enumerate(case.inputs())]
        covered |= {type(node) for node in nodes_behind(case.fn(t, *tensors))}
    missing = [cls.__name__ for cls in function_classes() if cls not in covered | TESTED_ELSEWHERE.keys()]
    assert not missing, (
        f"Function classes without a case in checking/cases or tests/techniques/cases: {missing}"
    )
