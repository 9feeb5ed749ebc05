"""Function: an operation, and the node that one call of it leaves in the graph. Knows no operation.

Read `Function.__call__` first: compute, and note the edges. `walk.py` goes back along them; the operations
themselves are in `ops/`.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from tinygrad_lite.backend import Array, array_module, check_broadcast, holds_floats, is_array, python_number
from tinygrad_lite.tensor import Tensor, _mode, _writes

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

    `self.xp` is the module of forward's arrays, numpy or cupy; `self.is_recorded` tells forward whether the
    call becomes a node, and so whether a backward may want what forward could keep.

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
        if hasattr(cls, "forward") and cls.private and cls.backward_fused is None:
            hidden = ", ".join(cls.private)
            raise TypeError(
                f"{cls.__name__}: private lists {hidden}, which backward_fused alone may read; it has none"
            )
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
        for array in arrays:
            if output is array or output.base is not None:
                _share_version(result, arrays, versions)
                break
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
                    edges.append(x._edge or edge_of(x))
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
                    f"{self}.backward: the tensor of its {name_of(self, i)} was given other data after the "
                    "forward pass; call backward() before, or write into the data it has"
                )
            return edge[1]
        tensor = Tensor._around(array)
        if versions[i] is not _UNCOUNTED:
            tensor._version = versions[i]  # so that the graph of the gradient, too, notices a later write
        tensor._edge, tensor._requires_grad = edge, edge is not None
        return tensor

    def _unwalked(self) -> tuple:
        """The link; refuses if it is gone."""
        if self._link is None:
            raise RuntimeError(
                f"backward: this graph was walked before, and what {self} had kept is gone. To walk it "
                "twice, pass retain_graph=True the first time. If you did not mean to: a tensor computed "
                "before the loop is used in each turn; compute it inside, or detach() it"
            )
        return self._link

    def _ready(self) -> tuple[list, Sequence]:
        """The edges and what was kept; refuses if that is gone, or was written since."""
        edges, saved, versions, writes, _ = self._unwalked()
        if writes == _writes[0]:  # nothing was written anywhere: the usual case
            return edges, saved
        for i, array in zip(self._kept, saved, strict=True):
            if versions[i][0] > writes:
                raise RuntimeError(
                    f"{self}.backward: its {name_of(self, i)}, of shape {tuple(array.shape)}, was written "
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


def name_of(node: Function, i: int) -> str:
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
        is_view = base is not None and (base is array or base is getattr(array, "base", None))
        if (output is array or is_view) and version is not _UNCOUNTED:
            result._version = version


def edge_of(tensor: Tensor) -> tuple:
    """(key, target, shape, dtype): where the gradient of `tensor` goes, and what it must be like.

    The target is the node that made it, or the tensor itself, a leaf. Keys of nodes count down from −1, those
    of leaves are positive.
    """
    return tensor._edge or (id(tensor), tensor, tensor.data.shape, tensor.data.dtype)


def key_of(tensor: Tensor) -> int:
    """What a walk calls the gradient of `tensor` by."""
    return edge_of(tensor)[0]
