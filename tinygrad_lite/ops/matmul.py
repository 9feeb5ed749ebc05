"""Matrix products."""

from __future__ import annotations

from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import matmul as plain
from tinygrad_lite.kernels.cpu import matmul as cpu
from tinygrad_lite.kernels.matmul import rows_of
from tinygrad_lite.ops.arguments import check_one_dtype, choice_of
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.ops.shape import reshape, squeeze, transpose, unsqueeze
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


class MatMul(Function):
    """A·B, over batches that broadcast together.

    Gradient:  ∂L/∂A = G·Bᵀ,  ∂L/∂B = Aᵀ·G.
    Shapes:    (…, n, k), (…, k, m) → (…, n, m).
    """

    broadcasts = True  # the batch dimensions do

    def forward(self, a, b):
        return _kernels(a).matmul(a, b)

    def backward(self, grad, a, b):
        da = grad @ transpose(b, -1, -2) if self.needs_input_grad[0] else None
        db = transpose(a, -1, -2) @ grad if self.needs_input_grad[1] else None
        return da, db

    def backward_fused(self, grad, a, b):
        """Of one matrix b that meets a batch, the gradient is one product too, summed over the batch."""
        kernels, (needs_a, needs_b) = _kernels(grad), self.needs_input_grad
        da = kernels.matmul(grad, b.swapaxes(-1, -2)) if needs_a else None
        left, right = (rows_of(a), rows_of(grad)) if b.ndim == 2 else (a, grad)
        db = kernels.matmul(left.swapaxes(-1, -2), right) if needs_b else None
        return da, db


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix product: (…, n, k), (…, k, m) → (…, n, m), batches broadcast; or a vector on either side.

    Raises:
        ValueError: for 0-d inputs, lengths k that differ, or batches that do not broadcast.
    """
    left, right = (tuple(getattr(x, "shape", ())) for x in (a, b))
    if not left or not right or left[-1] != right[0 if len(right) == 1 else -2]:
        raise ValueError(
            f"matmul: needs (…, n, k) and (…, k, m), or vectors of length k; got {left} and {right}"
        )
    if any(1 != n != m != 1 for n, m in zip(left[-3::-1], right[-3::-1], strict=False)):
        raise ValueError(f"matmul: batches of {left} and {right} could not be broadcast together")
    rows = unsqueeze(a, 0) if a.ndim == 1 else a
    columns = unsqueeze(b, 1) if b.ndim == 1 else b
    product = MatMul()(rows, columns)
    dropped = ((-2,) if a.ndim == 1 else ()) + ((-1,) if b.ndim == 1 else ())
    return squeeze(product, dropped) if dropped else product


class Linear(Function):
    """y = x·Wᵀ + b: each row of W (out, in) makes one output.

    Gradient:  ∂L/∂x = G·W,  ∂L/∂W = Gᵀ·x,  ∂L/∂b = Σ G, summed over all but the last dimension.
    Shapes:    (…, in), (out, in), (out,) or None → (…, out).
    Raises:    ValueError for shapes that do not fit, TypeError for dtypes that differ.
    """

    def forward(self, x, weight, bias):
        if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
            raise ValueError(
                f"linear: needs x (…, in), weight (out, in); got {tuple(x.shape)}, {tuple(weight.shape)}"
            )
        if bias is not None and tuple(bias.shape) != (weight.shape[0],):
            raise ValueError(f"linear: bias needs shape ({weight.shape[0]},); got {tuple(bias.shape)}")
        check_one_dtype("linear", input=x, weight=weight, bias=bias)
        self.shape = x.shape
        return _kernels(x).linear(rows_of(x), weight, bias).reshape(*x.shape[:-1], weight.shape[0])

    def backward(self, grad, x, weight):
        G, X = reshape(grad, -1, grad.shape[-1]), reshape(x, -1, x.shape[-1])
        needs_x, needs_weight, needs_bias = self.needs_input_grad
        dx = reshape(G @ weight, self.shape) if needs_x else None
        dweight = transpose(G, 0, 1) @ X if needs_weight else None
        dbias = sum(G, 0) if needs_bias else None
        return dx, dweight, dbias

    def backward_fused(self, grad, x, weight):
        """The same products, by the kernels."""
        kernels, G = _kernels(grad), rows_of(grad)
        needs_x, needs_weight, needs_bias = self.needs_input_grad
        dx = kernels.matmul(G, weight).reshape(self.shape) if needs_x else None
        dweight = kernels.matmul_transposed(G, rows_of(x)) if needs_weight else None
        dbias = kernels.column_sums(G) if needs_bias else None
        return dx, dweight, dbias


def linear(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """x·Wᵀ + b: (…, in), W (out, in), b (out,) → (…, out).

    Raises:
        ValueError: for shapes that do not fit.
        TypeError: for dtypes that differ.
    """
    return Linear()(input, weight, bias)
