"""Derivatives of whole functions: gradients, products with Jacobians, Jacobians and Hessians.

All of them are walks back. A product with the Jacobian itself, jvp, is a walk back through a walk back: vᵀ·J is
linear in v, so its own derivative by v, applied to t, is J·t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.engine import starting_gradient, walk
from tinygrad_lite.ops.shape import reshape, stack
from tinygrad_lite.tensor import Tensor, enable_grad


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The derivatives of `outputs` by each of `inputs`, leaves or computed; `.grad` is not touched.

    Args:
        outputs: a tensor, or several, whose derivatives add up.
        inputs: a tensor or several.
        grad_outputs: what each output's derivative is multiplied by, of its shape; 1 for scalars.
        retain_graph: keep the graph, to walk it again.
        create_graph: make the results differentiable; this keeps the graph as well.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.

    Raises:
        RuntimeError: for an input that requires no gradient, or on which no output depends.

    Example:
        >>> x = Tensor(2.0, requires_grad=True)
        >>> (first,) = grad(x * x * x, x, create_graph=True)
        >>> grad(first, x)
        (tensor(12.),)
    """
    ys, xs = _sequence(outputs), _sequence(inputs)
    starts = [None] * len(ys) if grad_outputs is None else _sequence(grad_outputs)
    for i, x in enumerate(xs):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {i}, of shape {x.shape}, does not require a gradient")
    gradients = [starting_gradient(y, v, create_graph) for y, v in zip(ys, starts, strict=True)]
    reached = walk(ys, gradients, xs, retain_graph=retain_graph, create_graph=create_graph)
    results = [reached.get(id(x if x.grad_fn is None else x.grad_fn)) for x in xs]
    for i, found in enumerate(results):
        if found is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i}; pass allow_unused=True to get None for it"
            )
    return tuple(None if found is None else _own(*found[1:]) for found in results)


def _sequence(x: Any) -> list:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _own(g: Any, owned: bool) -> Tensor:
    if isinstance(g, Tensor):
        return g
    return Tensor(np.asarray(g) if isinstance(g, np.generic) else g if owned else g.copy())


def _leaves(inputs: Any) -> list[Tensor]:
    """Fresh leaves with the data of `inputs`, so that a graph ends at them."""
    return [
        x.detach().requires_grad_() if isinstance(x, Tensor) else Tensor(x, requires_grad=True)
        for x in inputs
    ]


def _like(inputs: Any, results: Sequence) -> Any:
    """One result for one input, a tuple for several."""
    return tuple(results) if isinstance(inputs, (list, tuple)) else results[0]


def vjp(
    func: Callable[..., Tensor], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Tensor, Any]:
    """(func(*inputs), vᵀ·J): the Jacobian's rows added with weights `v`, of the output's shape; 1 for a scalar."""
    xs = _sequence(inputs) if create_graph else _leaves(_sequence(inputs))
    with enable_grad():
        output = func(*xs)
    return output, _like(inputs, _grad_or_zeros(output, xs, v, create_graph))


def _grad_or_zeros(
    output: Tensor, xs: list[Tensor], v: Any, create_graph: bool, retain_graph: bool = False
) -> list:
    """`grad`, with zeros where the output does not depend on an input."""
    if not output.requires_grad:
        return [Tensor(x.data * 0) for x in xs]
    found = grad(output, xs, v, retain_graph, create_graph, allow_unused=True)
    return [Tensor(x.data * 0) if g is None else g for x, g in zip(xs, found, strict=True)]


def jvp(
    func: Callable[..., Tensor], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Tensor, Tensor]:
    """(func(*inputs), J·v): how the output changes along `v`, of the shapes of the inputs; 1 for a scalar."""
    xs = _sequence(inputs) if create_graph else _leaves(_sequence(inputs))
    tangents = [Tensor(x.data * 0 + 1) for x in xs] if v is None else [_tensor(t) for t in _sequence(v)]
    with enable_grad():
        output = func(*xs)
        u = Tensor(output.data * 0, requires_grad=True)
        rows = _grad_or_zeros(output, xs, u, create_graph=True)
        total = sum(
            ((g * t).sum() for g, t in zip(rows, tangents, strict=True)), start=Tensor(output.data.sum() * 0)
        )
    return output, _grad_or_zeros(total, [u], None, create_graph)[0]


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def hvp(
    func: Callable[..., Tensor], inputs: Any, v: Any = None, create_graph: bool = False
) -> tuple[Tensor, Any]:
    """(func(*inputs), H·v) for a scalar function: the Hessian times `v`, of the shapes of the inputs."""
    xs = _sequence(inputs) if create_graph else _leaves(_sequence(inputs))
    tangents = [Tensor(x.data * 0 + 1) for x in xs] if v is None else [_tensor(t) for t in _sequence(v)]
    with enable_grad():
        output = func(*xs)
        first = _grad_or_zeros(output, xs, None, create_graph=True)
        along = sum(
            ((g * t).sum() for g, t in zip(first, tangents, strict=True)), start=Tensor(output.data * 0)
        )
    return output, _like(inputs, _grad_or_zeros(along, xs, None, create_graph))


def jacobian(func: Callable[..., Tensor], inputs: Any, create_graph: bool = False) -> Any:
    """∂output/∂input, of shape (*output.shape, *input.shape); a tuple of them for several inputs."""
    xs = _sequence(inputs) if create_graph else _leaves(_sequence(inputs))
    with enable_grad():
        output = func(*xs)
    rows = []
    for i in range(output.numel()):
        v = output.data * 0
        v.reshape(-1)[i] = 1
        rows.append(_grad_or_zeros(output, xs, v, create_graph, retain_graph=True))
    columns = [stack([row[j] for row in rows]) for j in range(len(xs))]
    return _like(inputs, [reshape(c, *output.shape, *x.shape) for c, x in zip(columns, xs, strict=True)])


def hessian(func: Callable[[Tensor], Tensor], inputs: Tensor, create_graph: bool = False) -> Tensor:
    """∂²output/∂x∂x of a scalar function of one tensor, of shape (*x.shape, *x.shape)."""
    return jacobian(lambda x: _grad_or_zeros(func(x), [x], None, create_graph=True)[0], inputs, create_graph)
