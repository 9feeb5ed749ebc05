"""Every case on the GPU, or on the stand-in for CuPy: the CPU's numbers, to second order."""

import numpy as np
import pytest

import tinygrad_lite as t
from tests.cases import ALL_CASES


def run(case, device):
    """Output, gradients, and gradients of Σ gradient², of a case on a device."""
    wanted = case.differentiable()
    inputs = [t.Tensor(x, device=device, requires_grad=i in wanted) for i, x in enumerate(case.inputs())]
    output = case.fn(t, *inputs)
    leaves = [inputs[i] for i in wanted]
    upstream = t.Tensor(np.random.default_rng(5).standard_normal(output.shape), device=device)
    first = t.grad(output, leaves, upstream, create_graph=True, allow_unused=True)
    total = sum(((g * g).sum() for g in first if g is not None), (output * 0).sum())
    second = t.grad(total, leaves, allow_unused=True)
    return [x.numpy() for x in (output, *first, *second) if x is not None]


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda c: c.name)
def test_gives_the_same_numbers_as_on_the_cpu(case, cuda):
    for on_cpu, on_gpu in zip(run(case, "cpu"), run(case, cuda), strict=True):
        if case.draws_mask:  # other bits, the same shapes
            assert on_gpu.shape == on_cpu.shape
            continue
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-10, atol=1e-11)
