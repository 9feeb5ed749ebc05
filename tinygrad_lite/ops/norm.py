"""Normalization: of channels over a batch, of groups of channels, of the last dimensions, of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_lite.backend import Array
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import norm as plain
from tinygrad_lite.kernels.cpu import norm as cpu
from tinygrad_lite.ops.arguments import array_of, check_one_dtype, choice_of
from tinygrad_lite.ops.elementwise import sqrt, to, where
from tinygrad_lite.ops.reduce import mean, sum
from tinygrad_lite.ops.shape import Dim, dims_of, reshape, sum_to_size
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives


# -- by mean and variance ------------------------------------------------------------------------------


class _Norm(Function):
    """What the three have in common: y = w·x̂ + b, x̂ = r·(x − m), r = 1/√(v + ε); and so their backward.

    They differ in what the mean m and the variance v are taken over. Each `forward` says what that is, in the
    four attributes below, and stores m and v as its kernel returns them.
    """

    private = ("m", "v")
    split: tuple[int, ...]  # a shape of x in which m and v are taken over whole dimensions
    dims: tuple[int, ...]  # these dimensions
    affine: tuple[int, ...]  # a shape of w and b that broadcasts to `split`
    given: tuple[int, ...]  # the shape that w and b have

    def __init__(self, eps: float) -> None:
        self.eps = eps

    def backward(self, grad, x, weight):
        G, x_split = reshape(grad, self.split), reshape(x, self.split)
        d = x_split - mean(x_split, self.dims, keepdim=True)
        r = (mean(d * d, self.dims, keepdim=True) + self.eps) ** -0.5
        xhat = r * d
        h = G if weight is None else G * reshape(weight, self.affine)
        along = mean(h * xhat, self.dims, keepdim=True)
        dx = r * (h - mean(h, self.dims, keepdim=True) - xhat * along)
        dweight, dbias = sum_to_size(G * xhat, self.affine), sum_to_size(G, self.affine)
        return reshape(dx, x.shape), reshape(dweight, self.given), reshape(dbias, self.given)


class BatchNorm(_Norm):
    """y = w·x̂ + b, x̂ = (x − m)/√(v + ε): mean m and variance v of each channel over the batch and all pixels.

    Gradient:  ∂L/∂x = r·(h − mean h − x̂·mean(h·x̂)), r = 1/√(v + ε), h = w·G: what moves m or v is taken out,
               ∂L/∂w = Σ G·x̂,  ∂L/∂b = Σ G, over all but the channels.
    Shapes:    (N, C, …), (C,) or None, (C,) or None → (N, C, …), the channels last in memory.
    Source:    Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1 and its section 3.
    """

    def forward(self, x, weight, bias):
        C = x.shape[1]
        self.split, self.dims = x.shape, (0, *range(2, x.ndim))
        self.affine, self.given = (C, *[1] * (x.ndim - 2)), (C,)
        y, self.m, self.v = _kernels(x).batch_norm(x, weight, bias, self.eps)
        return y

    def backward_fused(self, grad, x, weight):
        return _kernels(x).batch_norm_back(grad, x, weight, self.m, self.v, self.eps)


class FixedNorm(Function):
    """y = w·x̂ + b, x̂ = r·x − s: batch normalization by constants, r = 1/√(v + ε) and s = r·m of each channel.

    Gradient:  ∂L/∂x = r·w·G,  ∂L/∂w = Σ G·x̂,  ∂L/∂b = Σ G, over all but the channels; none for r and s.
    Shapes:    (N, C, …), (C,) or None, (C,) or None, (C,), (C,) → (N, C, …), the channels last in memory.
    """

    def forward(self, x, weight, bias, r, s):
        self.affine = (x.shape[1], *[1] * (x.ndim - 2))
        scale, shift = (r, -s) if weight is None else (weight * r, -weight * s)
        return _kernels(x).affine(x, scale, shift if bias is None else shift + bias)

    def backward(self, grad, x, weight, r, s):
        scale = reshape(r if weight is None else weight * r, self.affine)
        xhat = reshape(r, self.affine) * x - reshape(s, self.affine)
        dweight, dbias = sum_to_size(grad * xhat, self.affine), sum_to_size(grad, self.affine)
        return grad * scale, reshape(dweight, r.shape), reshape(dbias, r.shape), None, None


def batch_norm(
    input: TensorLike,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """w·(x − m)/√(v + ε) + b, with mean m and variance v for each channel of (N, C, …).

    In training m and v are the batch's own, over all dimensions but the channels, and the running ones move
    towards them, in place: running ← (1 − momentum)·running + momentum·own. The sum in v is divided by n, the
    number of values for each channel; in what running_var gets, by n − 1. Else m and v are the running ones,
    and constants for the gradient.

    Args:
        input: (N, C), (N, C, L), (N, C, H, W), ….
        running_mean: (C,), without gradient; in training it may be None.
        running_var: likewise.
        weight: (C,); None for ones.
        bias: (C,); None for zeros.
        training: whether to use, and learn, the statistics of this batch.
        momentum: the share of this batch in the running statistics.
        eps: ε, which keeps the root away from 0.

    Raises:
        ValueError: for shapes that do not fit; in training for n < 2, where a variance says nothing; and else
            without running statistics.
        TypeError: if input, weight and bias differ in dtype.
    """
    _check_channels(
        "batch_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    check_one_dtype("batch_norm", input=input, weight=weight, bias=bias)
    C = input.shape[1]
    count = math.prod(input.shape) // C
    if not training:
        return _by_running(input, running_mean, running_var, weight, bias, eps)
    if count < 2:
        raise ValueError(
            f"batch_norm: training needs more than one value for each channel; got {tuple(input.shape)}"
        )
    norm = BatchNorm(eps)
    output = norm(input, weight, bias)
    _move(running_mean, norm.m, momentum)
    _move(running_var, norm.v * (count / (count - 1)), momentum)
    return output


def _by_running(
    input: TensorLike,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: TensorLike | None,
    bias: TensorLike | None,
    eps: float,
) -> Tensor:
    """batch_norm with the running statistics."""
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm: needs running_mean and running_var unless training=True; got None")
    r = (array_of(running_var).astype(input.dtype) + eps) ** -0.5
    return FixedNorm()(input, weight, bias, r, array_of(running_mean).astype(input.dtype) * r)


def _move(running: Tensor | None, own: Array, momentum: float) -> None:
    """running ← (1 − momentum)·running + momentum·own, in place."""
    if running is not None:
        running.data *= 1 - momentum
        running.data += momentum * own
        running.bump_version()


def _check_channels(op: str, input: TensorLike, **vectors: TensorLike | None) -> None:
    """Refuse an input without channels, and vectors that do not have one number for each of them."""
    if input.ndim < 2 or input.shape[1] == 0:
        raise ValueError(
            f"{op}: input needs shape (N, C) or (N, C, …) with channels; got {tuple(input.shape)}"
        )
    for name, vector in vectors.items():
        if vector is not None and tuple(vector.shape) != (input.shape[1],):
            raise ValueError(
                f"{op}: {name} needs shape ({input.shape[1]},), one number for each channel of input "
                f"{tuple(input.shape)}; got {tuple(vector.shape)}"
            )


class GroupNorm(_Norm):
    """y = w·x̂ + b, x̂ = (x − m)/√(v + ε): m and v of each sample over a group of channels and its pixels.

    Gradient:  ∂L/∂x = r·(h − mean h − x̂·mean(h·x̂)), r = 1/√(v + ε), h = w·G,
               ∂L/∂w = Σ G·x̂,  ∂L/∂b = Σ G, over all but the channels.
    Shapes:    (N, C, …), (C,) or None, (C,) or None → (N, C, …), the channels last in memory.
    Source:    Wu & He 2018, arXiv:1803.08494, eq. (1)-(2), (7).
    """

    def __init__(self, num_groups: int, eps: float) -> None:
        super().__init__(eps)
        self.num_groups = num_groups

    def forward(self, x, weight, bias):
        N, C, *pixels = x.shape
        size = C // self.num_groups
        self.split, self.dims = (N, self.num_groups, size, *pixels), tuple(range(2, x.ndim + 1))
        self.affine, self.given = (self.num_groups, size, *[1] * len(pixels)), (C,)
        y, self.m, self.v = _kernels(x).group_norm(x, self.num_groups, weight, bias, self.eps)
        return y

    def backward_fused(self, grad, x, weight):
        return _kernels(x).group_norm_back(grad, x, self.num_groups, weight, self.m, self.v, self.eps)


def group_norm(
    input: TensorLike,
    num_groups: int,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """w·(x − m)/√(v + ε) + b, with mean m and variance v for each sample and group of channels of (N, C, …).

    The channels are cut into `num_groups` runs of equal length. `weight` and `bias` are (C,); None stands for
    ones and zeros.

    Raises:
        ValueError: for shapes that do not fit, and if num_groups does not divide the channels.
        TypeError: if input, weight and bias differ in dtype.
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if num_groups < 1 or input.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: num_groups must divide the {input.shape[1]} channels of input "
            f"{tuple(input.shape)}; got {num_groups}"
        )
    check_one_dtype("group_norm", input=input, weight=weight, bias=bias)
    return GroupNorm(num_groups, eps)(input, weight, bias)


class LayerNorm(_Norm):
    """y = w·x̂ + b, x̂ = (x − m)/√(v + ε): mean m and variance v over the last dimensions, the normalized ones.

    Gradient:  ∂L/∂x = r·(h − mean h − x̂·mean(h·x̂)), r = 1/√(v + ε), h = w·G,
               ∂L/∂w = Σ G·x̂,  ∂L/∂b = Σ G, over all but the normalized dimensions.
    Shapes:    (…, *normalized), normalized or None, normalized or None → (…, *normalized).
    Source:    Ba, Kiros & Hinton 2016, arXiv:1607.06450, eq. (3)-(4).
    """

    def __init__(self, normalized_shape: tuple[int, ...], eps: float) -> None:
        super().__init__(eps)
        self.affine = self.given = normalized_shape

    def forward(self, x, weight, bias):
        self.split, self.dims = x.shape, tuple(range(x.ndim - len(self.given), x.ndim))
        w, b = (None if p is None else p.reshape(-1) for p in (weight, bias))
        y, self.m, self.v = _kernels(x).layer_norm(x.reshape(-1, math.prod(self.given)), w, b, self.eps)
        return y.reshape(x.shape)

    def backward_fused(self, grad, x, weight):
        width = math.prod(self.given)
        w = None if weight is None else weight.reshape(-1)
        dx, dweight, dbias = _kernels(x).layer_norm_back(
            grad.reshape(-1, width), x.reshape(-1, width), w, self.m, self.v, self.eps
        )
        return dx.reshape(x.shape), dweight.reshape(self.given), dbias.reshape(self.given)


def layer_norm(
    input: TensorLike,
    normalized_shape: int | Sequence[int],
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """w·(x − m)/√(v + ε) + b, with mean m and variance v over the last dimensions of (…, *normalized_shape).

    `weight` and `bias` have the shape `normalized_shape`; None stands for ones and zeros.

    Raises:
        ValueError: for shapes that do not fit.
        TypeError: if input, weight and bias differ in dtype.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(f"layer_norm: input must end in normalized_shape {shape}; got {tuple(input.shape)}")
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and tuple(p.shape) != shape:
            raise ValueError(f"layer_norm: {name} needs normalized_shape {shape}; got {tuple(p.shape)}")
    check_one_dtype("layer_norm", input=input, weight=weight, bias=bias)
    return LayerNorm(shape, eps)(input, weight, bias)


# -- by length -----------------------------------------------------------------------------------------


class Normalize(Function):
    """u = x/n, n = max(‖x‖, ε), along dimensions.

    Gradient:  (g − u·(u·g))/n: what points along u does not turn it; g/ε where ‖x‖ < ε.
    Numerics:  lengths are taken in float64, in which no square of a float32 is too large or too small.
               ε is at least the smallest normal number of the dtype (1e-12 is 0 in float16), and 1e-150.
    Shapes:    any → the same.
    """

    private = ("n",)

    def __init__(self, dim: Dim, eps: float) -> None:
        self.dim, self.eps = dim, eps

    def forward(self, x):
        self.dims = dims_of("normalize", self.dim, x.ndim)
        self.eps = max(self.eps, float(self.xp.finfo(x.dtype).tiny), 1e-150)
        self.n = self.length(x)
        return x / self.n

    def backward(self, grad, x, output):
        return self.turned(grad, output, self.length(x))

    def backward_fused(self, grad, output):
        return self.turned(grad, output, self.n)

    def turned(self, grad, u, n):
        along = sum(grad * u, self.dims, keepdim=True) * (n > self.eps)
        return (grad - u * along) / n

    def length(self, x):
        """max(‖x‖, ε)."""
        wide = to(x, "float64")
        square = sum(wide * wide, self.dims, keepdim=True)
        return to(sqrt(where(square > self.eps**2, square, self.eps**2)), x.dtype)


def normalize(input: TensorLike, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖, eps) along `dim` (an int, a tuple, None for all): vectors of length 1.

    A vector shorter than `eps` is divided by `eps`, and so is its gradient.

    Raises:
        ValueError: for another p than 2, the Euclidean length.
        IndexError: for a dimension that is not there.
    """
    if p != 2:
        raise ValueError(f"normalize: only p=2, the Euclidean length, is implemented; got p={p}")
    return Normalize(dim, eps)(input)
