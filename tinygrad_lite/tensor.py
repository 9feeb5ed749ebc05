"""Tensor: an array, its gradient, and the node that made it; and the grad modes. Knows no operation.

`engine.py` records operations on tensors, `walk.py` goes back through them; `ops/methods.py` gives Tensor its
operators, its methods and `backward`.
"""

from __future__ import annotations

import functools
import inspect
import operator
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from tinygrad_lite.backend import Array, as_array, device_of, float32, to_numpy

if TYPE_CHECKING:
    from tinygrad_lite.engine import Function

# -- grad modes ---------------------------------------------------------------------------------------


class _Mode(threading.local):
    """Whether operations are recorded, by thread: the main thread's no_grad does not bind a loader's."""

    recording = True


_mode = _Mode()


class _GradMode:
    """A context manager, and a decorator, that sets `_mode.recording` and puts it back."""

    recording: bool
    before: list[bool]  # what it was, for each `with` that is open

    def __new__(cls, function: Callable | None = None) -> Any:
        """`@no_grad` and `@no_grad()` both decorate."""
        self = super().__new__(cls)
        self.before = []
        return self if function is None else self(function)

    def __enter__(self) -> None:
        self.before.append(_mode.recording)
        _mode.recording = self.recording

    def __exit__(self, *_: object) -> None:
        _mode.recording = self.before.pop()

    def __call__(self, function: Callable) -> Callable:
        name = type(self).__name__
        if inspect.isgeneratorfunction(function):
            raise TypeError(
                f"{name}: cannot decorate a generator; write `with {name}():` in {function.__name__}"
            )

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return decorated


class no_grad(_GradMode):
    """Within it no graph is recorded and tensors may be written in place. A context manager and decorator."""

    recording = False


class enable_grad(_GradMode):
    """Within it graphs are recorded, also inside `no_grad`. A context manager and decorator."""

    recording = True


def is_grad_enabled() -> bool:
    """Whether operations are recorded at the moment, in this thread."""
    return _mode.recording


# -- writes in place ----------------------------------------------------------------------------------

_writes = [0]  # how many there were, into any tensor: while it stands still, a walk need not look

# -- Tensor -------------------------------------------------------------------------------------------


class Tensor:
    """An array, its gradient, and the node that made it.

    Args:
        data: an array, whose memory is shared; or numbers and nested lists of them: Python floats become
            float32, ints int64.
        dtype: cast to this dtype.
        device: "cpu", "cuda" or "cuda:1"; where the data is, by default.
        requires_grad: whether `backward` leaves a gradient in `.grad`.

    Raises:
        TypeError: for data that is no rectangle of real numbers, or a gradient asked of integers or booleans.

    Example:
        >>> x = Tensor([3.0, 4.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([6., 8.])
    """

    __slots__ = ("__weakref__", "_edge", "_requires_grad", "_version", "data", "grad")
    __array_ufunc__ = None  # `array * tensor` asks Tensor.__rmul__ and does not lose the graph

    data: Array
    grad: Tensor | None
    _edge: tuple | None  # of what was computed: see engine.py
    _version: list[int]  # when data was last written in place; views share the list

    def __init__(
        self, data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False
    ) -> None:
        if isinstance(data, Tensor):
            raise TypeError("Tensor: got a Tensor; use detach() for one without a graph, to() to convert")
        self.data = as_array(data, dtype, device)
        self.grad = None
        self._edge = None
        self._version = [0]
        self._requires_grad = False
        self.requires_grad = requires_grad

    @classmethod
    def _around(cls, array: Array) -> Tensor:
        """A Tensor around an array, without a graph and without the checks of the constructor."""
        tensor = Tensor.__new__(Tensor)
        tensor.data = array
        tensor.grad = None
        tensor._edge = None
        tensor._version = [0]
        tensor._requires_grad = False
        return tensor

    # what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the dimensions."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.data.ndim

    @property
    def dtype(self) -> Any:
        """The NumPy dtype."""
        return self.data.dtype

    @property
    def device(self) -> str:
        """Where the data lives: "cpu" or "cuda:0"."""
        return device_of(self.data)

    def numel(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted. It can be set on leaves of float dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.data.dtype.kind != "f":
            raise TypeError(f"requires_grad: only floats have gradients; this tensor is {self.data.dtype}")
        if self._edge is not None and not wanted:
            raise RuntimeError(
                "requires_grad: this tensor was computed; use detach() for one without a graph"
            )
        self._requires_grad = bool(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self._edge is None

    @property
    def grad_fn(self) -> Function | None:
        """The node that made it."""
        return None if self._edge is None else self._edge[1]

    # its graph

    def retain_grad(self) -> None:
        """Let `backward` leave the gradient of this computed tensor in its `.grad`, as for a leaf.

        Raises:
            RuntimeError: for a tensor that requires no gradient.
        """
        if not self._requires_grad:
            raise RuntimeError("retain_grad: this tensor requires no gradient, and will not get one")
        if self.grad_fn is not None:
            self.grad_fn._retained = weakref.ref(self)

    def detach(self) -> Tensor:
        """The same data, in the same memory, without a graph."""
        tensor = Tensor._around(self.data)
        tensor._version = self._version
        return tensor

    # leaving the framework

    def numpy(self) -> np.ndarray:
        """The data as a read-only NumPy array: a view on the CPU, a copy from the GPU.

        Unlike torch's, it serves tensors on the GPU and tensors that require a gradient too.
        """
        view = to_numpy(self.data).view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The one element as a Python number.

        Raises:
            ValueError: if there are more or none.
        """
        if self.data.size != 1:
            raise ValueError(f"item: needs one element; got shape {self.shape}")
        return to_numpy(self.data).item()

    def tolist(self) -> Any:
        """The data as nested Python lists, or a number for a scalar."""
        return to_numpy(self.data).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._requires_grad:
            raise TypeError(
                "np.asarray of a tensor that requires a gradient would lose its graph; call .numpy()"
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; ask .numpy().any(), .all()"
            )
        return bool(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)

    def __repr__(self) -> str:
        text = np.array2string(to_numpy(self.data), separator=", ", prefix="tensor(")
        if self.dtype not in (float32, np.int64, np.bool_):
            text += f", dtype={self.dtype}"
        if self.device != "cpu":
            text += f", device='{self.device}'"
        if self.grad_fn is not None:
            text += f", grad_fn={self.grad_fn}"
        elif self._requires_grad:
            text += ", requires_grad=True"
        return f"tensor({text})"

    __hash__ = object.__hash__  # == compares elements; as a key a tensor is itself

    # writing in place: not under a graph

    def bump_version(self) -> None:
        """Say that `data` was written in place, so that a graph that needs the old values refuses to run."""
        _writes[0] += 1
        self._version[0] = _writes[0]

    def __setitem__(self, key: Any, value: Any) -> None:
        if _mode.recording:
            raise TypeError(
                "x[i] = v: a tensor is not written in place while gradients are recorded. Write "
                "where(mask, v, x) or scatter_add(x, dim, index, src), or assign under no_grad()"
            )
        parts = key if isinstance(key, tuple) else (key,)
        place = tuple(part.data if isinstance(part, Tensor) else part for part in parts)
        self.data[place] = value.data if isinstance(value, Tensor) else value
        self.bump_version()

    def _write(self, symbol: str, operate: Callable, other: Any) -> Any:
        """`x += y`: a new tensor while recording (NotImplemented sends Python to `x + y`), else in place."""
        if _mode.recording:
            if self.is_leaf and self._requires_grad:
                raise RuntimeError(
                    f"x {symbol}= y: x is a leaf that requires a gradient, and the name x would lose it. "
                    f"Write z = x {symbol} y for a new tensor, or update x under no_grad()"
                )
            return NotImplemented
        operate(self.data, other.data if isinstance(other, Tensor) else other)
        self.bump_version()
        return self

    def __iadd__(self, other: Any) -> Any:
        return self._write("+", operator.iadd, other)

    def __isub__(self, other: Any) -> Any:
        return self._write("-", operator.isub, other)

    def __imul__(self, other: Any) -> Any:
        return self._write("*", operator.imul, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._write("/", operator.itruediv, other)

    if TYPE_CHECKING:  # what ops/methods.py adds

        def __getattr__(self, name: str) -> Any: ...

        __neg__: ClassVar[Callable[[Tensor], Tensor]]
        __add__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __radd__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __sub__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __rsub__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __mul__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __rmul__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __truediv__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __rtruediv__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __pow__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __rpow__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __matmul__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __rmatmul__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __lt__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __le__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __gt__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __ge__: ClassVar[Callable[[Tensor, Any], Tensor]]
        __getitem__: ClassVar[Callable[[Tensor, Any], Tensor]]


TensorLike: TypeAlias = Tensor | Array
"""A Tensor or an array; a Python number too, where shapes broadcast."""
