"""Function and the walk back: automatic differentiation that knows no operation.

Read `Function.__call__` first (forward: compute, and note the edges), then `walk` (backward: a loop over
nodes, newest first). The operations themselves are in `ops/`.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from operator import itemgetter
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
from tinygrad_lite.tensor import Tensor, _mode, _writes, enable_grad, no_grad

# -- a node of the graph ------------------------------------------------------------------------------

_keys = itertools.count(-1, -1)  # of nodes, in the order of their creation: the newer, the lower
_modules = sys.modules
_UNCOUNTED = [0]  # the version of what is no Tensor

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

    broadcasts: ClassVar[bool] = False
    private: ClassVar[tuple[str, ...]] = ()
    forward: Callable[..., Array]
    backward: Callable[..., Any]
    backward_fused: Callable[..., Any] | None = None

    _declared: ClassVar[dict[str, tuple[int, ...]]] = {}  # for each backward, the positions that it wants
    _kept: ClassVar[tuple[int, ...]] = ()  # all of them; those of backward_fused come first
    _pick_kept: ClassVar[itemgetter]  # from a list of them all
    _fused: ClassVar[int] = 0  # how many are backward_fused's

    # set by the call that makes it a node
    xp: Any = np  # the module of forward's arrays
    is_recorded: bool = True  # whether the call leaves a node, told to forward
    _link: Any = ()  # (edges, the arrays that are kept, versions, the writes so far, its key); None if walked
    _retained: weakref.ref | None = None

    def __init_subclass__(cls) -> None:
        """Read from the signatures what is kept; refuse a name that forward does not have."""
        if isinstance(vars(cls).get("forward"), staticmethod):
            raise TypeError(
                f"{cls.__name__}.forward: is a method here: forward(self, x), without torch's ctx"
            )
        if hasattr(cls, "forward") and not hasattr(cls, "backward"):
            raise TypeError(f"{cls.__name__}: has forward but no backward(self, grad, ...)")
        if hasattr(cls, "forward"):
            names = ("backward_fused", "backward") if cls.backward_fused else ("backward",)
            cls._declared = {name: _declared_saves(cls, name) for name in names}
            cls._kept = tuple(dict.fromkeys(i for name in names for i in cls._declared[name]))
            cls._pick_kept = _picker(cls._kept)
            cls._fused = len(cls._declared[names[0]])

    def __call__(self, *inputs: Any) -> Any:
        """Compute. A Tensor among the inputs gives a Tensor; one that requires a gradient leaves a node."""
        arrays, versions, edges, tensors, wanted = self._unwrapped(inputs)
        if "cupy" in _modules:
            self.xp = array_module(*arrays)
        self.is_recorded = recorded = wanted and _mode.recording
        try:
            output = self.forward(*arrays)
        except ValueError:
            if self.broadcasts and tensors:
                check_broadcast(f"{self}", arrays)
            raise
        if not tensors:
            return output
        if type(output) is not np.ndarray:
            output = _returned(self, output)
        result = Tensor._around(output)
        if output.base is not None or output is arrays[0]:
            _share_version(result, arrays, versions)
        if recorded and output.dtype.kind == "f":
            arrays.append(output)
            versions.append(result._version)
            self._record(arrays, versions, edges, result)
        return result

    def _unwrapped(self, inputs: tuple) -> tuple:
        """All arrays, versions, edges; whether there is a Tensor among the inputs, and a wanted gradient."""
        arrays: list[Any] = []
        versions: list[list[int]] = []
        edges: list[tuple | None] = []
        tensors = wanted = foreign = False
        for x in inputs:
            if isinstance(x, Tensor):
                tensors = True
                arrays.append(x.data)
                versions.append(x._version)
                if x._requires_grad:
                    wanted = True
                    edges.append(x._edge or _edge_of(x))
                else:
                    edges.append(None)
            else:
                arrays.append(x)
                versions.append(_UNCOUNTED)
                edges.append(None)
                foreign = foreign or type(x) is not np.ndarray
        if foreign and tensors:
            arrays = [x if type(x) is np.ndarray else _operand(self, x) for x in arrays]
        return arrays, versions, edges, tensors, wanted

    def _record(self, arrays: list, versions: list, edges: list, result: Tensor) -> None:
        """Become the node of `result`; in `arrays` and `versions` it comes last."""
        if self._link != ():
            raise RuntimeError(
                f"{self}: already the node of an earlier call; make a new object for each, as in "
                f"lambda x: {type(self).__name__}()(x)"
            )
        key, output = next(_keys), arrays[-1]
        self._link = edges, self._pick_kept(arrays), versions, _writes[0], key
        result._edge = key, self, output.shape, output.dtype
        result._requires_grad = True

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each input, whether the walk wants its gradient; `backward` may return None for the others."""
        return tuple([edge is not None for edge in self._link[0]])

    def _backward_with_graph(self, grad: Tensor) -> Any:
        """Run `backward` on Tensors."""
        self._refuse_hidden_arrays()
        return self.backward(grad, *[self._recalled_as_tensor(i) for i in self._declared["backward"]])

    def _recalled_as_tensor(self, i: int) -> Any:
        """What was kept of input `i`; an array as a Tensor on its edge."""
        edges, saved, versions, _, key = self._link
        array = saved[self._kept.index(i)]
        if not is_array(array):
            return array
        edge = (key, self, array.shape, array.dtype) if i == OUTPUT else edges[i]
        if edge is not None and isinstance(edge[1], Tensor):
            if edge[1].data is not array:
                raise RuntimeError(
                    f"{self}.backward: the tensor of its {_name_of(self, i)} was given other data after the "
                    "forward pass; call backward() before, or write into the data it has"
                )
            return edge[1]
        tensor = Tensor._around(array)
        tensor._version = versions[i]  # so that the graph of the gradient, too, notices a later write
        tensor._edge, tensor._requires_grad = edge, edge is not None
        return tensor

    def _ready(self) -> tuple[list, Sequence]:
        """The edges and what was kept; refuses if that is gone, or was written since."""
        if self._link is None:
            raise RuntimeError(
                f"backward: this graph was walked before, and what {self} had kept is gone. To walk it "
                "twice, pass retain_graph=True the first time. If you did not mean to: a tensor computed "
                "before the loop is used in each turn; compute it inside, or detach() it"
            )
        edges, saved, versions, writes, _ = self._link
        if writes == _writes[0]:  # nothing was written anywhere: the usual case
            return edges, saved
        for i, array in zip(self._kept, saved, strict=True):
            if versions[i][0] > writes:
                raise RuntimeError(
                    f"{self}.backward: its {_name_of(self, i)}, of shape {tuple(array.shape)}, was written "
                    "in place after the forward pass; call backward() before the optimizer's step and other "
                    "writes, or write into a copy"
                )
        return edges, saved

    def _refuse_hidden_arrays(self) -> None:
        for name, value in vars(self).items():
            if name not in ("_link", *self.private) and holds_floats(value):
                raise RuntimeError(
                    f"{self}: self.{name} holds floats that forward stored; the gradient of the gradient "
                    "would take them for constants. Compute them again in backward from declared inputs, or "
                    "list the name in `private` and read it in backward_fused only"
                )

    def _free(self) -> None:
        self.__dict__.clear()
        self._link = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _picker(positions: tuple[int, ...]) -> itemgetter:
    """The function that gives the elements of a list at `positions`."""
    if len(positions) > 1:
        return itemgetter(*positions)
    if not positions:
        return itemgetter(slice(0))
    return itemgetter(slice(positions[0], positions[0] + 1 or None))


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


def _share_version(result: Tensor, arrays: list, versions: list) -> None:
    """Let a view count its writes together with the tensor whose memory it shows."""
    output, base = result.data, result.data.base
    for array, version in zip(arrays, versions, strict=True):
        if output is array or (base is not None and (base is array or base is getattr(array, "base", None))):
            result._version = version


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

    A node is always younger than its inputs: when it is the newest that waits, all its gradients are there.

    Returns {key: [target, gradient, owned]} for every leaf that was reached (`key_of` a tensor); given
    `inputs`, for those only, and the walk visits only what leads to them. Gradients are arrays and nothing is
    recorded; under `create_graph` they are Tensors with a graph of their own. `owned`: nobody else holds the
    array.
    """
    wanted = set() if inputs is None else {key_of(x) for x in inputs}
    on_path = None if inputs is None else _leading_to(outputs, wanted)
    flow: dict[int, list] = {}  # what has arrived at leaves, and at nodes until their turn, by key
    waiting: list[int] = []  # the keys of these nodes, a heap
    retained: list[tuple] = []
    for output, gradient in zip(outputs, gradients, strict=True):
        _pass_on([_edge_of(output)], [gradient], None, on_path, create_graph, flow, waiting)
    with enable_grad() if create_graph else no_grad():
        while waiting:
            key = heappop(waiting)
            node, grad, _ = flow[key] if key in wanted else flow.pop(key)
            edges, saved = node._ready()
            if node._retained is not None and inputs is None:
                retained.append((node._retained(), grad))
            if create_graph:
                found = node._backward_with_graph(grad)
            elif node.backward_fused is None:
                found = node.backward(grad, *saved)
            else:
                found = node.backward_fused(grad, *saved[: node._fused])
            _pass_on(edges, found, node, on_path, create_graph, flow, waiting)
            if not (retain_graph or create_graph):
                node._free()
    for tensor, grad in retained:
        accumulate(tensor, grad, owned=False)
    return flow if inputs is None else {key: flow[key] for key in wanted if key in flow}


def _pass_on(
    edges: list,
    gradients: Any,
    node: Any,
    on_path: set[int] | None,
    create_graph: bool,
    flow: dict[int, list],
    waiting: list[int],
) -> None:
    """Let the gradients that `node` gave arrive where its edges lead, if the walk goes there.

    The first that arrives is borrowed; the second makes a sum that the walk owns; later ones add in place.
    """
    if type(gradients) is not tuple and type(gradients) is not list:
        gradients = (gradients,)
    if len(gradients) != len(edges):
        count = f"{len(gradients)} gradients; forward had {len(edges)} inputs"
        raise RuntimeError(f"{node}.backward: returned {count}")
    kind = Tensor if create_graph else np.ndarray
    i = -1
    for g in gradients:
        i += 1
        if edges[i] is None:
            continue
        key, target, shape, dtype = edges[i]
        if on_path is not None and key not in on_path:
            continue
        if type(g) is not kind or g.dtype is not dtype or g.shape != shape:
            g = _fitted(node, i, g, shape, dtype, create_graph)
        if key not in flow:
            flow[key] = [target, g, False]
            if key < 0:
                heappush(waiting, key)
        elif flow[key][2] and not create_graph:
            flow[key][1] += g
        else:
            flow[key] = [target, flow[key][1] + g, True]


def _edge_of(tensor: Tensor) -> tuple:
    """(key, target, shape, dtype): where the gradient of `tensor` goes, and what it must be like.

    The target is the node that made it, or the tensor itself, a leaf. Keys of nodes count down from −1, those
    of leaves are positive.
    """
    return tensor._edge or (id(tensor), tensor, tensor.data.shape, tensor.data.dtype)


def key_of(tensor: Tensor) -> int:
    """What a walk calls the gradient of `tensor` by."""
    return _edge_of(tensor)[0]


def _leading_to(outputs: Sequence[Tensor], wanted: set[int]) -> set[int]:
    """The keys of all that lies on a path from `outputs` back to `wanted`."""
    stack: list[Any] = [t._edge for t in outputs if t._edge is not None]
    before: dict[int, list[int]] = {}  # for each node, the keys of what its inputs come from
    while stack:
        key, node, *_ = stack.pop()
        if key not in before:
            edges = [edge for edge in node._ready()[0] if edge is not None]
            before[key] = [edge[0] for edge in edges]
            stack += [edge for edge in edges if edge[0] < 0]
    on_path = set(wanted)
    for key in sorted(before, reverse=True):  # the oldest first
        if not on_path.isdisjoint(before[key]):
            on_path.add(key)
    return on_path


def _fitted(node: Function, i: int, g: Any, shape: tuple, dtype: Any, create_graph: bool) -> Any:
    """`g`, if it has the shape and dtype of input `i`; where the op broadcasts, summed back to them."""
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
