"""Every case against torch: value, gradient, and gradient of the gradient."""

import numpy as np
import pytest
import torch

import tinygrad_lite as t
from tests.cases import ALL_CASES
from tinygrad_lite.checking.cases import Case

PEER_CASES = [case for case in ALL_CASES if case.peer]


def ours(case: Case, upstreams):
    """Value, gradients, and gradients of Σ gradient·upstream, by this framework."""
    wanted = case.differentiable()
    tensors = [t.Tensor(x, requires_grad=i in wanted) for i, x in enumerate(case.inputs())]
    output = case.fn(t, *tensors)
    leaves = [tensors[i] for i in wanted]
    first = t.grad(output, leaves, upstreams(output.shape), create_graph=True, allow_unused=True)
    total = t.Tensor(np.zeros(()))
    for g in first:
        total = total if g is None else total + (g * t.Tensor(upstreams(g.shape))).sum()
    none = [None] * len(leaves)
    second = t.grad(total, leaves, allow_unused=True) if total.requires_grad else none
    return output.numpy(), [as_numpy(g) for g in first], [as_numpy(g) for g in second]


def theirs(case: Case, upstreams):
    """The same by torch."""
    wanted = case.differentiable()
    tensors = [torch.tensor(x.copy(), requires_grad=i in wanted) for i, x in enumerate(case.inputs())]
    output = case.fn(torch, *tensors)
    leaves = [tensors[i] for i in wanted]
    v = torch.tensor(upstreams(tuple(output.shape)))
    first = torch.autograd.grad(output, leaves, v, create_graph=True, allow_unused=True)
    total = sum((g * torch.tensor(upstreams(tuple(g.shape)))).sum() for g in first if g is not None)
    none = [None] * len(leaves)
    second = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else none
    return output.detach().numpy(), [as_numpy(g) for g in first], [as_numpy(g) for g in second]


def as_numpy(g):
    return None if g is None else np.asarray(g.detach().numpy())


def fixed_draws(shape):
    """The same draws for a shape, whoever asks."""
    return np.random.default_rng(11).standard_normal(shape)


def agree(a, b):
    """Equal, where a missing gradient is a zero one."""
    if a is None or b is None:
        np.testing.assert_allclose(0.0 if a is None else a, 0.0 if b is None else b, atol=1e-12)
    else:
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", PEER_CASES, ids=lambda c: c.name)
def test_value_gradient_and_second_gradient_agree_with_torch(case):
    for mine, other in zip(ours(case, fixed_draws), theirs(case, fixed_draws), strict=True):
        if isinstance(mine, list):
            for a, b in zip(mine, other, strict=True):
                agree(a, b)
        else:
            agree(mine, other)
