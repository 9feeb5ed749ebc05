"""The walk back: from outputs along the edges to the leaves, with the gradients. Knows no operation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinygrad_lite.backend import array_module, as_array, broadcasts_to, is_array
from tinygrad_lite.engine import Function, edge_of, key_of, name_of
from tinygrad_lite.kernels import reduce as plain
from tinygrad_lite.kernels.cpu import reduce as cpu
from tinygrad_lite.tensor import Tensor, enable_grad, no_grad


def walk(
    outputs: Sequence[Tensor],
    gradients: Sequence[Any],
    inputs: Sequence[Tensor] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> dict[int, list]:
    """Carry `gradients` from `outputs` back through the graph, newest node first.

    A node is always younger than its inputs: when it is the newest that waits, all its gradients are there.

    Returns {key: [target, gradient, owned]} for every leaf that was reached (`key_of` a tensor); given
    `inputs`, for those only, and the walk visits only what leads to them. Gradients are arrays and nothing is
    recorded; under `create_graph` they are Tensors with a graph of their own. `owned`: nobody else holds the
    array.
    """
    wanted = set() if inputs is None else {key_of(x) for x in inputs}
    flow = _Flow(None if inputs is None else _leading_to(outputs, wanted), create_graph)
    retained: list[tuple] = []
    for output, gradient in zip(outputs, gradients, strict=True):
        flow.pass_on((gradient,), [edge_of(output)], None)
    with enable_grad() if create_graph else no_grad():
        while flow.waiting:
            key = heappop(flow.waiting)
            node, grad, _ = flow.arrived[key] if key in wanted else flow.arrived.pop(key)
            edges, saved = node._ready()
            if node._retained is not None and inputs is None:
                retained.append((node._retained(), grad))
            if create_graph:
                found = node._backward_with_graph(grad)
            elif node.backward_fused is None:
                found = node.backward(grad, *saved)
            else:
                found = node.backward_fused(grad, *saved[: node._fused])
            flow.pass_on(found, edges, node)
            if not (retain_graph or create_graph):
                node._free()
    for tensor, grad in retained:
        accumulate(tensor, grad, owned=False)
    keys = flow.arrived.keys() if inputs is None else wanted & flow.arrived.keys()
    return {key: flow.arrived[key] for key in keys}


class _Flow:
    """The gradients in flight.

    Attributes:
        arrived: {key: [target, gradient, owned]}, at leaves, and at nodes until their turn.
        waiting: the keys of these nodes, a heap.
        on_path: the keys where the walk goes; None for everywhere.
        kind: what gradients are: arrays, or under `create_graph` Tensors.
    """

    __slots__ = ("arrived", "kind", "on_path", "waiting")

    def __init__(self, on_path: set[int] | None, create_graph: bool) -> None:
        self.arrived: dict[int, list] = {}
        self.waiting: list[int] = []
        self.on_path = on_path
        self.kind = Tensor if create_graph else np.ndarray

    def pass_on(self, gradients: Any, edges: list, node: Any) -> None:
        """Let the gradients that `node` gave arrive where its edges lead.

        The first to arrive is borrowed; the second makes a sum that the walk owns; later ones add in place.
        """
        if type(gradients) is not tuple:
            gradients = (gradients,)
        if len(gradients) != len(edges):
            count = f"{len(gradients)} gradients; forward had {len(edges)} inputs"
            raise RuntimeError(f"{node}.backward: returned {count}")
        arrived, kind, i = self.arrived, self.kind, -1
        for g in gradients:
            i += 1
            if edges[i] is None:
                continue
            key, target, shape, dtype = edges[i]
            if self.on_path is not None and key not in self.on_path:
                continue
            if type(g) is not kind or g.dtype is not dtype or g.shape != shape:
                g = _fitted(node, i, g, edges[i], kind is Tensor)
            if key not in arrived:
                arrived[key] = [target, g, False]
                if key < 0:
                    heappush(self.waiting, key)
            elif arrived[key][2] and kind is not Tensor:
                arrived[key][1] += g
            else:
                arrived[key] = [target, arrived[key][1] + g, True]


def _leading_to(outputs: Sequence[Tensor], wanted: set[int]) -> set[int]:
    """The keys of all that lies on a path from `outputs` back to `wanted`."""
    stack: list[Any] = [t._edge for t in outputs if t._edge is not None]
    before: dict[int, list[int]] = {}  # for each node, the keys of what its inputs come from
    while stack:
        key, node, *_ = stack.pop()
        if key not in before:
            edges = [edge for edge in node._unwalked()[0] if edge is not None]
            before[key] = [edge[0] for edge in edges]
            stack += [edge for edge in edges if edge[0] < 0]
    on_path = set(wanted)
    for key in sorted(before, reverse=True):  # the oldest first
        if not on_path.isdisjoint(before[key]):
            on_path.add(key)
    return on_path


def _fitted(node: Function, i: int, g: Any, edge: tuple, create_graph: bool) -> Any:
    """`g`, if it has the shape and dtype of input `i`; where the op broadcasts, summed back to them."""
    *_, shape, dtype = edge
    if not (isinstance(g, Tensor) if create_graph else is_array(g) or isinstance(g, np.generic)):
        needed = "a Tensor under create_graph, so that it has a graph" if create_graph else "an array"
        raise RuntimeError(
            f"{node}.backward: the gradient of {name_of(node, i)} must be {needed}; got {type(g).__name__}"
        )
    if g.shape == shape and g.dtype == dtype:
        return g
    if node.broadcasts and broadcasts_to(shape, g.shape):
        if create_graph:
            return g.sum_to_size(shape).to(dtype)
        return (cpu if isinstance(g, np.ndarray) else plain).unbroadcast(g, shape, dtype)
    raise RuntimeError(
        f"{node}.backward: the gradient of {name_of(node, i)} has shape {tuple(g.shape)} and dtype "
        f"{g.dtype}; the input has shape {tuple(shape)} and dtype {dtype}"
    )


# -- gradients of tensors -----------------------------------------------------------------------------


def backward(
    tensor: Tensor, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """Add to `.grad` of every leaf behind `tensor` the derivative of `tensor` by it, times `gradient`.

    Args:
        tensor: where the walk starts.
        gradient: the derivative of the final quantity by `tensor`, of its shape; 1 for a single element.
        retain_graph: keep the graph, to walk it again.
        create_graph: make the gradients differentiable too; this keeps the graph as well.

    Raises:
        RuntimeError: without a graph, for several elements without `gradient`, for a second walk over a
            graph that was not retained, and where an array that is needed was written in place.
    """
    start = starting_gradient(tensor, gradient, create_graph)
    reached = walk([tensor], [start], retain_graph=retain_graph, create_graph=create_graph)
    for entry in reached.values():
        owned = entry[2] or (not create_graph and _held_only_by(entry))
        accumulate(entry[0], entry[1], owned)


_ENTRY = [None, np.zeros(1), False]
_REFERENCES = sys.getrefcount(_ENTRY[1])  # to an array that is held by an entry and by nobody else


def _held_only_by(entry: list) -> bool:
    """Whether no one but `entry` holds its gradient, or memory of it: then a leaf need not copy it."""
    return entry[1].base is None and sys.getrefcount(entry[1]) == _REFERENCES


def starting_gradient(output: Tensor, gradient: Any, create_graph: bool, op: str = "backward") -> Any:
    """What a walk starts with at `output`: `gradient`, checked against its shape, or 1 for one element."""
    if not output._requires_grad:
        raise RuntimeError(f"{op}: this tensor has no graph: nothing behind it requires a gradient")
    if gradient is None:
        if output.data.size != 1:
            raise RuntimeError(
                f"{op}: a tensor of shape {output.shape} needs a gradient of that shape to start with; only "
                "a single element does without: take .sum() or .mean() first"
            )
        gradient = array_module(output.data).ones(output.shape, dtype=output.dtype)
    array = gradient.data if isinstance(gradient, Tensor) else as_array(gradient, device=output.device)
    if array.shape != output.shape:
        raise RuntimeError(
            f"{op}: the gradient to start with has shape {array.shape}; the output has {output.shape}"
        )
    if not create_graph:
        return array if array.dtype == output.dtype else array.astype(output.dtype)
    tensor = gradient if isinstance(gradient, Tensor) else Tensor._around(array)
    return tensor if array.dtype == output.dtype else tensor.to(output.dtype)


def accumulate(tensor: Tensor | None, g: Any, owned: bool) -> None:
    """Add `g` to `.grad`, which shares its memory with nobody: `+` makes a new array, and so does `* 1`."""
    if tensor is None:  # a retained tensor that has been dropped since
        return
    if isinstance(g, Tensor):
        with enable_grad():  # the gradient keeps its graph even if no_grad surrounds the call
            tensor.grad = tensor.grad + g if tensor.grad is not None else g if owned else g * 1
        return
    if tensor.grad is not None:
        g = tensor.grad.data + g
    elif not owned:
        g = g * 1
    tensor.grad = Tensor._around(np.asarray(g) if isinstance(g, np.generic) else g)
