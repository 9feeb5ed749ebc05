"""Function and the walk back: automatic differentiation that knows no operation.

Read `Function.__call__` first (forward: compute, and note the edges), then `walk` (backward: a loop over
nodes, newest first). The operations themselves are in `ops/`.
"""

from __future__ import annotations

import inspect
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from tinygrad_lite.backend import (
    Array,
    array_module,
    as_array,
    broadcasts_to,
    check_broadcast,
    holds_floats,
    is_array,
    python_number,
    unbroadcast,
)
from tinygrad_lite.tensor import Tensor, enable_grad, is_grad_enabled, no_grad

# -- a node of the graph ------------------------------------------------------------------------------

_creation = itertools.count()
OUTPUT = -1  # stands, among the positions of forward's inputs, for its output


class Function:
    """An operation, and the node that one call of it leaves in the graph.

    A subclass has `forward(self, a, b, ...)` on arrays, which returns one array, and right under it
    `backward(self, grad, ...)`, which returns a gradient for each input of forward (a tuple for several;
    None where an input takes none). The parameters of `backward` after `grad` are names of forward's inputs,
    or `output`: just those are kept, and handed back. Options are arguments of the constructor.

    `backward` is run with arrays, and under `create_graph` with Tensors. So it uses what both have:
    arithmetic, comparisons, `@`, `.shape`, `.ndim`, `.dtype`, and functions of `tinygrad_lite`; no methods.

    Class attributes:
        broadcasts: the inputs are broadcast together; gradients are summed back to each input's shape.
        private: names of float arrays that forward stores on self for `backward_fused` alone.
        backward_fused: like backward, for arrays only: the fast way, unless the gradient needs a graph.

    Example:
        >>> from tinygrad_lite import Tensor
        >>> class Cube(Function):
        ...     def forward(self, x):
        ...         return x * x * x
        ...     def backward(self, grad, x):
        ...         return 3 * grad * x * x
        >>> x = Tensor([2.0], requires_grad=True)
        >>> Cube()(x).sum().backward()
        >>> x.grad
        tensor([12.])
    """

    # the engine's own: kept apart from what a subclass stores on self
    __slots__ = ("__dict__", "__weakref__", "_edges", "_order", "_retained", "_saved", "_spec", "xp")

    broadcasts: ClassVar[bool] = False
    private: ClassVar[tuple[str, ...]] = ()
    forward: Callable[..., Array]
    backward: Callable[..., Any]
    backward_fused: Callable[..., Any] | None = None

    _declared: ClassVar[dict[str, tuple[int, ...]]] = {}  # for each backward, the positions that it wants
    _kept: ClassVar[tuple[int, ...]] = ()  # all of them

    def __init_subclass__(cls) -> None:
        """Read from the signatures what is kept; refuse a name that forward does not have."""
        if isinstance(vars(cls).get("forward"), staticmethod):
            raise TypeError(
                f"{cls.__name__}.forward: is a method here: forward(self, x), without torch's ctx"
            )
        if hasattr(cls, "forward") and not hasattr(cls, "backward"):
            raise TypeError(f"{cls.__name__}: has forward but no backward(self, grad, ...)")
        if hasattr(cls, "forward"):
            names = ("backward", "backward_fused") if cls.backward_fused else ("backward",)
            cls._declared = {name: _declared_saves(cls, name) for name in names}
            cls._kept = tuple(sorted({i for saves in cls._declared.values() for i in saves}))

    def __call__(self, *inputs: Any) -> Any:
        """Compute. A Tensor among the inputs gives a Tensor; one that requires a gradient leaves a node."""
        arrays, edges, tensors, wanted = [], [], False, False
        for x in inputs:
            if isinstance(x, Tensor):
                tensors, wanted = True, wanted or x._requires_grad
                arrays.append(x.data)
                edges.append(_target(x) if x._requires_grad else None)
            else:
                arrays.append(x)
                edges.append(None)
        if not tensors:
            self.xp = array_module(*arrays)
            return self.forward(*arrays)
        arrays = [x if type(x) is np.ndarray else _operand(self, x) for x in arrays]
        self.xp = array_module(*arrays)
        try:
            output = self.forward(*arrays)
        except ValueError:
            if self.broadcasts:
                check_broadcast(f"{self}", arrays)
            raise
        result = Tensor._around(output if type(output) is np.ndarray else _returned(self, output))
        _share_version(result, inputs)
        if wanted and is_grad_enabled() and result.data.dtype.kind == "f":
            self._record(inputs, arrays, tuple(edges), result)
        return result

    def _record(self, inputs: tuple, arrays: list, edges: tuple, result: Tensor) -> None:
        if hasattr(self, "_edges"):
            raise RuntimeError(
                f"{self}: already the node of an earlier call; make a new object for each, as in "
                f"lambda x: {type(self).__name__}()(x)"
            )
        self._edges = edges
        self._order = next(_creation)
        self._spec = result.data.shape, result.data.dtype
        self._retained: weakref.ref | None = None
        self._saved: dict[int, tuple] = {}
        for i in self._kept:
            x, array = (result, result.data) if i == OUTPUT else (inputs[i], arrays[i])
            version = x._version if isinstance(x, Tensor) else [0]
            self._saved[i] = (array, version, version[0])
        result._node = self
        result._requires_grad = True

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each input, whether the walk wants its gradient; `backward` may return None for the others."""
        return tuple(e is not None for e in self._edges)

    def _gradients(self, grad: Any, create_graph: bool) -> tuple:
        """Run `backward`, or the fused one where it may, on `grad`: one gradient for each input."""
        if create_graph:
            self._refuse_hidden_arrays()
        name = "backward_fused" if self.backward_fused and not create_graph else "backward"
        gradients = getattr(self, name)(grad, *(self._recall(i, create_graph) for i in self._declared[name]))
        if not isinstance(gradients, tuple):
            gradients = (gradients,)
        if len(gradients) != len(self._edges):
            count = f"{len(gradients)} gradients; forward had {len(self._edges)} inputs"
            raise RuntimeError(f"{self}.{name}: returned {count}")
        return gradients

    def _recall(self, i: int, as_tensor: bool) -> Any:
        """What was kept of input `i`: an array, or under create_graph a Tensor on its edge."""
        array, version, seen = self._saved[i]
        if version[0] != seen:
            raise RuntimeError(
                f"{self}.backward: its {_name_of(self, i)}, of shape {tuple(array.shape)}, was written in "
                f"place after the forward pass (kept at version {seen}, now {version[0]}); call backward() "
                "before the optimizer's step and other writes, or write into a copy"
            )
        if not as_tensor or not is_array(array):
            return array
        edge = self if i == OUTPUT else self._edges[i]
        if isinstance(edge, Tensor):
            if edge.data is not array:
                raise RuntimeError(
                    f"{self}.backward: the tensor of its {_name_of(self, i)} was given other data after the "
                    "forward pass; call backward() before, or write into the data it has"
                )
            return edge
        tensor = Tensor._around(array)
        tensor._version = version  # so that the graph of the gradient, too, notices a later write
        if isinstance(edge, Function):
            tensor._node, tensor._requires_grad = edge, True
        return tensor

    def _refuse_hidden_arrays(self) -> None:
        for name, value in vars(self).items():
            if name not in self.private and holds_floats(value):
                raise RuntimeError(
                    f"{self}: self.{name} holds floats that forward stored; the gradient of the gradient "
                    "would take them for constants. Compute them again in backward from declared inputs, or "
                    "list the name in `private` and read it in backward_fused only"
                )

    def _free(self) -> None:
        self._saved, self._edges = {}, ()
        vars(self).clear()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _declared_saves(cls: type[Function], method: str) -> tuple[int, ...]:
    """Positions, among forward's inputs, of the names that `method` lists after `grad`; OUTPUT for output."""
    forward = list(inspect.signature(cls.forward).parameters.values())[1:]
    inputs = [p.name for p in forward if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    saves = []
    for name in list(inspect.signature(getattr(cls, method)).parameters)[2:]:
        if name != "output" and name not in inputs:
            raise TypeError(
                f"{cls.__name__}.{method}: {name!r} is neither 'output' nor an input of forward "
                f"({', '.join(inputs)}); the parameters after grad name what is kept of these"
            )
        saves.append(OUTPUT if name == "output" else inputs.index(name))
    return tuple(saves)


def _name_of(node: Function, i: int) -> str:
    """How an error message calls input `i` of a node."""
    if i == OUTPUT:
        return "output"
    parameters = list(inspect.signature(node.forward).parameters.values())
    named = i < len(parameters) and parameters[i].kind is not inspect.Parameter.VAR_POSITIONAL
    return f"input {parameters[i].name!r}" if named else f"input {i}"


def _operand(node: Function, x: Any) -> Any:
    """An input of `node` as forward takes it: an array, a Python number or None."""
    x = python_number(x)
    if x is None or isinstance(x, (bool, int, float)) or is_array(x):
        return x
    raise TypeError(f"{node}: an input must be a tensor, an array or a number; got {type(x).__name__}")


def _returned(node: Function, output: Any) -> Array:
    """What forward returned, as an array: NumPy makes scalars of results without dimensions."""
    if is_array(output):
        return output
    if isinstance(output, np.generic):
        return np.asarray(output)
    raise TypeError(f"{node}.forward: must return one array; got {type(output).__name__}")


def _share_version(result: Tensor, inputs: tuple) -> None:
    """Let a view count its writes together with the tensor whose memory it shows."""
    array, base = result.data, result.data.base
    for x in inputs:
        if isinstance(x, Tensor) and (
            array is x.data or (base is not None and (base is x.data or base is x.data.base))
        ):
            result._version = x._version


# -- the walk back ------------------------------------------------------------------------------------


def walk(
    outputs: Sequence[Tensor],
    gradients: Sequence[Any],
    inputs: Sequence[Tensor] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> dict[int, list]:
    """Carry `gradients` from `outputs` back through the graph, newest node first.

    Returns {id: [target, gradient, owned]} for every leaf that was reached; given `inputs`, for those only,
    and the walk visits only what leads to them. Gradients are arrays and nothing is recorded; under
    `create_graph` they are Tensors with a graph of their own. `owned`: nobody else holds the array.
    """
    nodes = _reachable(outputs)
    wanted: set[int] = set()
    on_path: set[int] | None = None
    if inputs is not None:
        wanted = {id(_target(x)) for x in inputs}
        nodes, on_path = _leading_to(nodes, wanted)
    flow: dict[int, list] = {}
    for output, gradient in zip(outputs, gradients, strict=True):
        _arrive(flow, _target(output), gradient)
    with enable_grad() if create_graph else no_grad():
        for node in nodes:
            arrived = flow.get(id(node)) if id(node) in wanted else flow.pop(id(node), None)
            if arrived is None:
                continue
            grad = arrived[1]
            if inputs is None and node._retained is not None:
                accumulate(node._retained(), grad, owned=False)
            by_input = zip(node._edges, node._gradients(grad, create_graph), strict=True)
            for i, (edge, g) in enumerate(by_input):
                if edge is not None and (on_path is None or id(edge) in on_path):
                    _arrive(flow, edge, _fitting(node, i, edge, g, create_graph))
            if not (retain_graph or create_graph):
                node._free()
    return flow if on_path is None else {key: flow[key] for key in wanted if key in flow}


def _target(tensor: Tensor) -> Function | Tensor:
    """Where the gradient of `tensor` goes: to the node that made it, or to itself, a leaf."""
    return tensor if tensor._node is None else tensor._node


def _reachable(outputs: Sequence[Tensor]) -> list[Function]:
    """All nodes behind `outputs`, newest first: a node is always younger than its inputs."""
    stack: list[Any] = [t._node for t in outputs if t._node is not None]
    seen = {id(node): node for node in stack}
    while stack:
        node = stack.pop()
        if not node._edges:
            raise RuntimeError(
                f"backward: this graph was walked before, and what {node} had kept is gone. To walk it "
                "twice, pass retain_graph=True the first time. If you did not mean to: a tensor computed "
                "before the loop is used in each turn; compute it inside, or detach() it"
            )
        for edge in node._edges:
            if isinstance(edge, Function) and id(edge) not in seen:
                seen[id(edge)] = edge
                stack.append(edge)
    return sorted(seen.values(), key=lambda node: node._order, reverse=True)


def _leading_to(nodes: list[Function], wanted: set[int]) -> tuple[list[Function], set[int]]:
    """Those of `nodes` from which a path leads to `wanted`, and the ids of all that lies on such a path."""
    on_path = set(wanted)
    useful = []
    for node in reversed(nodes):
        if any(id(edge) in on_path for edge in node._edges if edge is not None):
            on_path.add(id(node))
            useful.append(node)
    return useful[::-1], on_path


def _arrive(flow: dict[int, list], target: Function | Tensor, g: Any) -> None:
    """The first gradient is borrowed; the second makes a sum that the walk owns; later ones add in place."""
    entry = flow.get(id(target))
    if entry is None:
        flow[id(target)] = [target, g, False]
    elif entry[2] and not isinstance(g, Tensor):
        entry[1] += g
    else:
        entry[1], entry[2] = entry[1] + g, True


def _fitting(node: Function, i: int, edge: Function | Tensor, g: Any, create_graph: bool) -> Any:
    """`g`, if it has the shape and dtype of input `i`; where the op broadcasts, summed back to them."""
    shape, dtype = (edge.shape, edge.dtype) if isinstance(edge, Tensor) else edge._spec
    if not (isinstance(g, Tensor) if create_graph else is_array(g) or isinstance(g, np.generic)):
        needed = "a Tensor under create_graph, so that it has a graph" if create_graph else "an array"
        raise RuntimeError(
            f"{node}.backward: the gradient of {_name_of(node, i)} must be {needed}; got {type(g).__name__}"
        )
    if g.shape == shape and g.dtype == dtype:
        return g
    if node.broadcasts and broadcasts_to(shape, g.shape):
        return g.sum_to_size(shape).to(dtype) if create_graph else unbroadcast(g, shape, dtype)
    raise RuntimeError(
        f"{node}.backward: the gradient of {_name_of(node, i)} has shape {tuple(g.shape)} and dtype "
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
    for leaf, g, owned in reached.values():
        accumulate(leaf, g, owned)


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
