"""Derivatives of whole functions: gradients, products with Jacobians, Jacobians and Hessians.

All of them are walks back. A product with the Jacobian itself, jvp, is a walk back through a walk back:
vᵀ·J is linear in v, so its own derivative by v, applied to t, is J·t.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.engine import key_of
from tinygrad_lite.ops.shape import reshape, stack
from tinygrad_lite.tensor import Tensor, enable_grad
from tinygrad_lite.walk import starting_gradient, walk

Func: TypeAlias = Callable[..., Tensor]


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
        grad_outputs: what each output's derivative is multiplied by, of its shape; 1 for single elements.
        retain_graph: keep the graph, to walk it again.
        create_graph: make the results differentiable; this keeps the graph as well.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.

    Raises:
        RuntimeError: as `backward`; for an input that requires no gradient, or that no output depends on.
        ValueError: for more or fewer `grad_outputs` than outputs.

    Example:
        >>> x = Tensor(2.0, requires_grad=True)
        >>> (first,) = grad(x * x * x, x, create_graph=True)
        >>> grad(first, x)
        (tensor(12.),)
    """
    ys, xs = _sequence(outputs), _sequence(inputs)
    starts = [None] * len(ys) if grad_outputs is None else _sequence(grad_outputs)
    if len(starts) != len(ys):
        raise ValueError(f"grad: {len(ys)} outputs need as many grad_outputs; got {len(starts)}")
    for i, x in enumerate(xs):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {i}, of shape {x.shape}, does not require a gradient")
    gradients = [starting_gradient(y, v, create_graph, "grad") for y, v in zip(ys, starts, strict=True)]
    reached = walk(ys, gradients, xs, retain_graph=retain_graph, create_graph=create_graph)
    results = [reached.get(key_of(x)) for x in xs]
    for i, found in enumerate(results):
        if found is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i}; pass allow_unused=True to get None for it"
            )
    # a copy shares its memory with nobody; Tensors with a graph are never written
    return tuple(r if r is None else r[1] if create_graph else Tensor(r[1].copy()) for r in results)


def _sequence(x: Any) -> list:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def vjp(func: Func, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Tensor, Any]:
    """(func(*inputs), vᵀ·J): the Jacobian's rows added with weights `v`, of the output's shape.

    Args:
        func: takes a Tensor for each input, and returns one.
        inputs: a tensor or array, or several; the result has their form.
        v: 1 for an output of one element.
        create_graph: make both results differentiable, by the inputs that require a gradient.
    """
    xs, output = _run(func, inputs, create_graph)
    rows = _derivatives(output, xs, v, create_graph)
    return (output if create_graph else output.detach()), _like(inputs, rows)


def jvp(func: Func, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """(func(*inputs), J·v): how the output changes along `v`, of the inputs' shapes; 1 for one element."""
    xs, output = _run(func, inputs, create_graph)
    tangents = _tangents("jvp", xs, v)
    with enable_grad():
        u = Tensor(_zeros(output), requires_grad=True)
        along = _inner(_derivatives(output, xs, u, create_graph=True), tangents)
    (columns,) = _derivatives(along, [u], None, create_graph)
    return (output if create_graph else output.detach()), columns


def hvp(func: Func, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Tensor, Any]:
    """(func(*inputs), H·v) for a scalar function, H its Hessian; `v` has the inputs' shapes."""
    xs, output = _run(func, inputs, create_graph)
    tangents = _tangents("hvp", xs, v)
    with enable_grad():
        along = _inner(_derivatives(output, xs, None, create_graph=True), tangents)
    products = _derivatives(along, xs, None, create_graph)
    return (output if create_graph else output.detach()), _like(inputs, products)


def jacobian(func: Func, inputs: Any, create_graph: bool = False) -> Any:
    """∂output/∂input, of shape (*output.shape, *input.shape); a tuple of them for several inputs."""
    xs, output = _run(func, inputs, create_graph)
    rows = []
    for i in range(output.numel()):
        v = array_module(output.data).zeros(output.numel(), dtype=output.dtype)
        v[i] = 1
        rows.append(_derivatives(output, xs, v.reshape(output.shape), create_graph, retain_graph=True))
    columns = [stack(column) for column in zip(*rows, strict=True)] or [Tensor(_zeros(x)[:0]) for x in xs]
    return _like(inputs, [reshape(c, *output.shape, *x.shape) for c, x in zip(columns, xs, strict=True)])


def hessian(func: Func, inputs: Tensor, create_graph: bool = False) -> Tensor:
    """∂²output/∂x∂x of a scalar function of one tensor, of shape (*x.shape, *x.shape)."""
    return jacobian(lambda x: _derivatives(func(x), [x], None, create_graph=True)[0], inputs, create_graph)


# -- steps that they share -----------------------------------------------------------------------------


def _run(func: Func, inputs: Any, create_graph: bool) -> tuple[list[Tensor], Tensor]:
    """Arguments for `func` made from `inputs`, and its output.

    Arguments are leaves, at which the graph ends; under `create_graph`, views of the tensors that require a
    gradient: so derivatives by an argument do not count where else `func` uses that tensor.
    """
    with enable_grad():
        xs = []
        for x in _sequence(inputs):
            if create_graph and isinstance(x, Tensor) and x.requires_grad:
                xs.append(reshape(x, x.shape))
            else:
                xs.append((x.detach() if isinstance(x, Tensor) else Tensor(x)).requires_grad_())
        return xs, func(*xs)


def _derivatives(
    output: Tensor, xs: list[Tensor], v: Any, create_graph: bool, retain_graph: bool = False
) -> list[Tensor]:
    """`grad` of one output, with zeros where it does not depend on an input."""
    if not output.requires_grad:
        return [Tensor(_zeros(x)) for x in xs]
    found = grad(output, xs, v, retain_graph, create_graph, allow_unused=True)
    return [Tensor(_zeros(x)) if g is None else g for x, g in zip(xs, found, strict=True)]


def _zeros(x: Tensor) -> Array:
    return array_module(x.data).zeros(x.shape, dtype=x.dtype)


def _tangents(op: str, xs: list[Tensor], v: Any) -> list[Tensor]:
    """`v` as a Tensor for each of `xs`, of its shape."""
    if v is None and [x.numel() for x in xs] == [1]:
        return [Tensor(_zeros(xs[0]) + 1)]
    tangents = [] if v is None else [t if isinstance(t, Tensor) else Tensor(t) for t in _sequence(v)]
    needed, got = ([x.shape for x in ts] for ts in (xs, tangents))
    if got != needed:
        raise ValueError(f"{op}: v needs the shapes of the inputs, {needed}; got {got}")
    return tangents


def _inner(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Σ a·b over all elements of all tensors."""
    first, *others = [(x * y).sum() for x, y in zip(a, b, strict=True)]
    return sum(others, start=first)


def _like(inputs: Any, results: Sequence) -> Any:
    """One result for one input, a tuple for several."""
    return tuple(results) if isinstance(inputs, (list, tuple)) else results[0]
