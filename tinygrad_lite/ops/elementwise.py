"""Operations on each element that are smooth: arithmetic, exponentials, powers; and choice, casts, moves."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.backend import as_array, device_of, parse_device, to_device
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels.erf import erf as erf_of_array
from tinygrad_lite.tensor import Tensor, TensorLike

# -- arithmetic ----------------------------------------------------------------------------------------


class Add(Function):
    """a + b, elementwise.

    Gradient:  ∂/∂a = ∂/∂b = 1.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return a + b

    def backward(self, grad):
        return grad, grad


def add(a: TensorLike, b: TensorLike) -> Tensor:
    """a + b, elementwise; shapes broadcast."""
    return Add()(a, b)


class Sub(Function):
    """a − b, elementwise.

    Gradient:  ∂/∂a = 1,  ∂/∂b = −1.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return a - b

    def backward(self, grad):
        return grad, -grad


def sub(a: TensorLike, b: TensorLike) -> Tensor:
    """a − b, elementwise; shapes broadcast."""
    return Sub()(a, b)


class Neg(Function):
    """−x, elementwise.

    Gradient:  −1.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return -x

    def backward(self, grad):
        return -grad


def neg(x: TensorLike) -> Tensor:
    """−x, elementwise."""
    return Neg()(x)


class Mul(Function):
    """a · b, elementwise.

    Gradient:  ∂/∂a = b,  ∂/∂b = a.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return a * b

    def backward(self, grad, a, b):
        needs_a, needs_b = self.needs_input_grad
        return grad * b if needs_a else None, grad * a if needs_b else None


class Scale(Function):
    """c · x for a number c: what `Mul` is when one side is a number, and keeps nothing.

    Gradient:  c.
    Shapes:    any → the same.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def forward(self, x):
        return x * self.c

    def backward(self, grad):
        return grad * self.c


def mul(a: TensorLike, b: TensorLike) -> Tensor:
    """a · b, elementwise; shapes broadcast."""
    if type(b) is float or type(b) is int:
        return Scale(b)(a)
    if type(a) is float or type(a) is int:
        return Scale(a)(b)
    return Mul()(a, b)


class Div(Function):
    """a / b, elementwise.

    Gradient:  ∂/∂a = 1/b,  ∂/∂b = −(a/b)/b.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return a / b

    def backward(self, grad, b, output):
        da = grad / b
        return da, -da * output


def div(a: TensorLike, b: TensorLike) -> Tensor:
    """a / b, elementwise; shapes broadcast."""
    return Div()(a, b)


# -- exponentials and powers ---------------------------------------------------------------------------


class Exp(Function):
    """e^x, elementwise.

    Gradient:  e^x.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return self.xp.exp(x)

    def backward(self, grad, output):
        return grad * output


def exp(x: TensorLike) -> Tensor:
    """e^x, elementwise."""
    return Exp()(x)


class Log(Function):
    """The natural logarithm, elementwise.

    Gradient:  1/x.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return self.xp.log(x)

    def backward(self, grad, x):
        return grad / x


def log(x: TensorLike) -> Tensor:
    """The natural logarithm, elementwise."""
    return Log()(x)


class Sqrt(Function):
    """√x, elementwise.

    Gradient:  1/(2√x).
    Numerics:  infinite at 0.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return self.xp.sqrt(x)

    def backward(self, grad, output):
        return grad / (2 * output)


def sqrt(x: TensorLike) -> Tensor:
    """√x, elementwise; the derivative at 0 is infinite."""
    return Sqrt()(x)


class Erf(Function):
    """The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise.

    Gradient:  2/√π · e^(−x²).
    Shapes:    any → the same.
    """

    def forward(self, x):
        return erf_of_array(x)

    def backward(self, grad, x):
        return grad * exp(-x * x) * (2 / math.sqrt(math.pi))


def erf(x: TensorLike) -> Tensor:
    """The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise."""
    return Erf()(x)


class PowNumber(Function):
    """x^n for a number n, elementwise.

    Gradient:  n·x^(n−1).
    Numerics:  0 for n = 0, also at x = 0.
    Shapes:    any → the same.
    """

    def __init__(self, n: float) -> None:
        self.n = n

    def forward(self, x):
        return x**self.n

    def backward(self, grad, x):
        return grad * (self.n * pow(x, self.n - 1)) if self.n != 0 else grad * 0


class Pow(Function):
    """a^b, elementwise.

    Gradient:  ∂/∂a = b·a^(b−1),  ∂/∂b = a^b·ln a.
    Numerics:  0 by a where b = 0, also at a = 0; 0 by b where a = 0, as the limit for b > 0; NaN where a < 0.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, a, b):
        return a**b

    def backward(self, grad, a, b, output):
        needs_a, needs_b = self.needs_input_grad
        da = grad * b * pow(a, where((a == 0) * (b == 0), b, b - 1)) if needs_a else None
        db = grad * output * log(where(a == 0, 1, a)) if needs_b else None
        return da, db


def pow(a: TensorLike, b: TensorLike) -> Tensor:
    """a^b, elementwise; shapes broadcast."""
    if type(b) is float or type(b) is int:
        return PowNumber(b)(a)
    return Pow()(a, b)


# -- choice --------------------------------------------------------------------------------------------


class Where(Function):
    """a where the condition holds, else b, elementwise.

    Gradient:  to a where the condition holds, to b elsewhere.
    Shapes:    broadcast together.
    """

    broadcasts = True

    def forward(self, condition, a, b):
        dtype = getattr(condition, "dtype", type(condition).__name__)
        if dtype != "bool":
            raise TypeError(f"where: the condition must be boolean; got {dtype}")
        return self.xp.where(condition, a, b)

    def backward(self, grad, condition):
        return None, where(condition, grad, 0), where(condition, 0, grad)


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """a where the boolean condition holds, else b, elementwise; shapes broadcast; two floats give float32.

    Raises:
        TypeError: for a condition that is not boolean.
    """
    result = Where()(condition, a, b)
    if isinstance(condition, Tensor) and isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return to(result, as_array([a, b]).dtype)
    return result


# -- dtype and device ----------------------------------------------------------------------------------


class Cast(Function):
    """x in another dtype.

    Gradient:  1, cast back.
    Shapes:    any → the same.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def forward(self, x):
        self.source = x.dtype
        return x.astype(self.dtype)

    def backward(self, grad):
        return to(grad, self.source)


class Move(Function):
    """x on another device.

    Gradient:  1, moved back.
    Shapes:    any → the same.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def forward(self, x):
        self.source = device_of(x)
        return to_device(x, self.device)

    def backward(self, grad):
        return to(grad, self.source)


def to(x: TensorLike, target: Any) -> Tensor:
    """x on a device ("cpu", "cuda", "cuda:1") or in a dtype ("float64", np.float32); x itself if it is there.

    Raises:
        ValueError, RuntimeError: for a device that does not exist or cannot be used.
        TypeError: for what is neither a device nor a dtype.
    """
    if isinstance(target, str) and target.startswith(("cpu", "cuda")):
        kind, index = parse_device(target)
        here = x.device if isinstance(x, Tensor) else device_of(x)
        return x if here == (kind if kind == "cpu" else f"cuda:{index}") else Move(target)(x)
    try:
        return x if x.dtype == target else Cast(target)(x)
    except TypeError:
        devices = "'cpu', 'cuda', 'cuda:1'"
        raise TypeError(f"to: {target!r} is not understood: needs a dtype or a device ({devices})") from None
