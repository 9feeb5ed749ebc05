"""Losses: what a prediction costs, and how that changes with it."""

from __future__ import annotations

from tinygrad_lite.backend import Array, array_module, as_array, device_of, to_device
from tinygrad_lite.engine import Function
from tinygrad_lite.kernels import softmax as plain
from tinygrad_lite.kernels.cpu import softmax as cpu
from tinygrad_lite.ops.arguments import array_of, choice_of
from tinygrad_lite.ops.elementwise import exp, log, to, where
from tinygrad_lite.ops.index import checked_indices
from tinygrad_lite.ops.reduce import sum
from tinygrad_lite.ops.shape import reshape
from tinygrad_lite.ops.softmax import log_softmax, softmax
from tinygrad_lite.tensor import Tensor, TensorLike

_kernels = choice_of(cpu, plain)  # the module of array functions for where an array lives

# -- what losses share ---------------------------------------------------------------------------------


class _Loss(Function):
    """What losses have in common: the `reduction` of costs: 'none', to their 'sum', or to their 'mean'."""

    name = "loss"
    reductions: tuple[str, ...] = ("none", "mean", "sum")

    def __init__(self, reduction: str) -> None:
        if reduction not in self.reductions:
            known = ", ".join(map(repr, self.reductions[:-1]))
            raise ValueError(
                f"{self.name}: reduction must be {known} or {self.reductions[-1]!r}; got {reduction!r}"
            )
        self.reduction = reduction

    def reduce(self, costs: Array, count: int) -> Array:
        """The costs, their sum, or their sum over `count`; notes what share in it one of them has."""
        if self.reduction in ("none", "sum"):
            self.share = 1.0
        elif count == 0:
            raise ValueError(
                f"{self.name}: there is nothing to average; the mean over 0 costs is not defined"
            )
        else:
            self.share = 1 / count
        return costs if self.reduction == "none" else sum(costs) * self.share


def _fitted(op: str, input: TensorLike, target: TensorLike) -> TensorLike:
    """`target` in the dtype of input, whose shape it must have."""
    target = target if isinstance(target, Tensor) else as_array(target)
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{op}: input and target need the same shape, nothing is broadcast; got input "
            f"{tuple(input.shape)}, target {tuple(target.shape)}"
        )
    if input.dtype.kind != "f":
        raise TypeError(f"{op}: input is made of floats; got dtype {input.dtype}")
    return to(target, input.dtype)


# -- distances -----------------------------------------------------------------------------------------


class MSE(_Loss):
    """(x − y)², elementwise, then reduced.

    Gradient:  ∂L/∂x = 2(x − y)/n, for the mean over n elements;  ∂L/∂y is its opposite.
    Shapes:    x, y of one shape → a scalar; that shape for 'none'.
    Raises:    ValueError for no elements to average.
    """

    name = "mse_loss"

    def forward(self, x, y):
        costs = x - y
        costs *= costs
        return self.reduce(costs, x.size)

    def backward(self, grad, x, y):
        dx = (grad * (2 * self.share)) * (x - y)
        return dx, -dx if self.needs_input_grad[1] else None

    def backward_fused(self, grad, x, y):
        """The same, in one array."""
        dx = x - y
        dx *= grad * (2 * self.share)
        return dx, -dx if self.needs_input_grad[1] else None


def mse_loss(input: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """The mean of (input − target)², two tensors of one shape; or their 'sum', or 'none' for all of them.

    The target is taken in the dtype of input (torch takes the wider of the two).

    Raises:
        ValueError: for shapes that differ: nothing is broadcast; for an unknown reduction.
        TypeError: for an input that is not made of floats.
    """
    return MSE(reduction)(input, _fitted("mse_loss", input, target))


class KLDiv(_Loss):
    """t·(log t − x), elementwise, then reduced; x is the logarithm of the prediction.

    Gradient:  ∂/∂x = −t,  ∂/∂t = log t + 1 − x, each over n for the mean over n elements.
    Numerics:  0 where t = 0, as the limit is; in the gradient log 0 counts as 0, for its limit is −∞.
    Shapes:    x, t of one shape → a scalar; that shape for 'none'.
    Raises:    ValueError for no elements to average.
    Source:    Kullback & Leibler 1951, On information and sufficiency.
    """

    name = "kl_div"
    reductions = ("none", "mean", "batchmean", "sum")

    def forward(self, x, t):
        costs = t * where(t > 0, self.log_of(t) - x, 0)  # not 0·∞ where both t and the prediction are 0
        return self.reduce(costs, _batch(x) if self.reduction == "batchmean" else x.size)

    def backward(self, grad, x, t):
        g = grad * self.share
        return -g * t, g * (self.log_of(t) + 1 - x) if self.needs_input_grad[1] else None

    def log_of(self, t):
        """log t, and 0 where t = 0."""
        return log(where(t > 0, t, 1))


class KLDivOfLogs(_Loss):
    """eᵘ·(u − x), elementwise, then reduced; x and u are the logarithms of the prediction and the target.

    Gradient:  ∂/∂x = −eᵘ,  ∂/∂u = eᵘ·(u − x + 1), each over n for the mean over n elements.
    Shapes:    x, u of one shape → a scalar; that shape for 'none'.
    Raises:    ValueError for no elements to average.
    """

    name = "kl_div"
    reductions = KLDiv.reductions

    def forward(self, x, u):
        return self.reduce(exp(u) * (u - x), _batch(x) if self.reduction == "batchmean" else x.size)

    def backward(self, grad, x, u):
        t = grad * self.share * exp(u)
        return -t, t * (u - x + 1) if self.needs_input_grad[1] else None


def _batch(x: Array) -> int:
    return x.shape[0] if x.ndim else 1


def kl_div(
    input: TensorLike, target: TensorLike, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """Σ t·(log t − x): how far the target t is from the prediction, whose logarithm `input` is.

    Beware of the default, which is torch's: 'mean' divides by the number of all elements. The divergence of
    Kullback and Leibler, averaged over distributions in rows, is 'batchmean'.

    Args:
        input: log-probabilities, as log_softmax gives.
        target: probabilities, of the same shape; log-probabilities if log_target. It may have a gradient too.
            It is taken in the dtype of input.
        reduction: 'batchmean', 'sum', 'mean' or 'none'.
        log_target: whether target holds logarithms.

    Raises:
        ValueError: for shapes that differ: nothing is broadcast; for an unknown reduction.
        TypeError: for an input that is not made of floats.
    """
    divergence = KLDivOfLogs(reduction) if log_target else KLDiv(reduction)
    return divergence(input, _fitted("kl_div", input, target))


# -- cross-entropy -------------------------------------------------------------------------------------


class _OfClasses(_Loss):
    """What losses over classes, dimension 1 of x (N, K, …), have in common."""

    name = "cross_entropy"

    def __init__(self, reduction: str, label_smoothing: float) -> None:
        super().__init__(reduction)
        self.smoothing = label_smoothing

    def weights(self, weight, x):
        """The weights, in a shape that meets x."""
        return 1 if weight is None else reshape(weight, (-1, *[1] * (x.ndim - 2)))

    def of_samples(self, grad, x):
        """The gradient of each sample's cost, or of the reduced one, in a shape that meets x."""
        return grad if self.reduction != "none" else reshape(grad, (x.shape[0], 1, *x.shape[2:]))


class CrossEntropy(_OfClasses):
    """−Σₖ aₖ·log pₖ for each sample, p = softmax(x) over the K classes, then reduced.

    a = w·((1 − s)·y + s/K), y 1 at the label and else 0, w the weights of the classes (1 without), s the
    smoothing; a = 0 where the label is ignored. The mean divides by D = Σ w·y, the weights of all labels.

    Gradient:  ∂L/∂x = (A·p − a)/D, A = Σₖ aₖ; without weights and smoothing that is (p − y)/N.
    Numerics:  log p is z − log Σ eᶻ, z = x − max x: nothing overflows, and no logarithm is of 0.
    Shapes:    x (N, K, …), w (K,) or None, labels (N, …) → a scalar; (N, …) for 'none'.
    Source:    Szegedy et al. 2015, arXiv:1512.00567, section 7 (smoothing).
    """

    private = ("e", "total", "own", "D")

    def __init__(self, labels: Array, counts: Array | None, reduction: str, label_smoothing: float) -> None:
        super().__init__(reduction, label_smoothing)
        self.labels = labels
        self.counts = counts  # false where a label says nothing; None: all count

    def forward(self, x, weight):
        self.shape, K, s = x.shape, x.shape[1], self.smoothing
        self.classes = self.xp.arange(K)
        rows, labels = _rows(x), self.labels.reshape(-1)
        self.at = self.xp.arange(len(labels)), labels  # of each row, its label's place
        kernels = _kernels(x)
        z = rows - kernels.row_maxima(rows)
        self.e = self.xp.exp(z)
        self.total = kernels.row_sums(self.e)[:, 0]
        log_total = self.xp.log(self.total)
        self.own = 1 if weight is None else weight[labels]
        costs = self.own * (log_total - z[self.at])
        if s:
            w = self.xp.ones(K, dtype=x.dtype) if weight is None else weight
            costs = (1 - s) * costs + s / K * (log_total * w.sum() - z @ w)
        if self.counts is not None:
            counts = self.counts.reshape(-1)
            self.own = counts.astype(x.dtype) * self.own
            costs = self.xp.where(counts, costs, self.xp.zeros((), x.dtype))
        self.D = 1
        if self.reduction == "mean":
            self.D = len(labels) if isinstance(self.own, int) else self.own.sum()
        return costs.reshape(self.labels.shape) if self.reduction == "none" else costs.sum() / self.D

    def backward(self, grad, x, weight):
        K, s, labels = x.shape[1], self.smoothing, reshape(self.labels, (x.shape[0], 1, *x.shape[2:]))
        counts = 1 if self.counts is None else to(reshape(self.counts, labels.shape), x.dtype)
        y = to(labels == reshape(self.classes, (K, *[1] * (x.ndim - 2))), x.dtype) * counts
        w = self.weights(weight, x)
        a = w * ((1 - s) * y + s / K * counts)
        D = sum(w * y) if self.reduction == "mean" else 1
        return self.of_samples(grad, x) * (sum(a, 1, keepdim=True) * softmax(x, 1) - a) / D, None

    def backward_fused(self, grad, weight):
        """With A and a, but for the labels, a number for each row, which e = eᶻ is multiplied by."""
        K, s = self.shape[1], self.smoothing
        g = grad.reshape(-1) / self.D
        at_label = (1 - s) * self.own * g
        A = at_label
        if s:
            anywhere = s / K * (g if self.counts is None else g * self.counts.reshape(-1))
            A = at_label + anywhere * (K if weight is None else weight.sum())
        dx = self.e * (A / self.total)[:, None]
        dx[self.at] -= at_label
        if s:
            dx -= anywhere[:, None] * (1 if weight is None else weight)
        return _from_rows(dx, self.shape), None


class SoftCrossEntropy(_OfClasses):
    """−Σₖ aₖ·log pₖ for each sample, p = softmax(x) over the K classes, then reduced; t are probabilities.

    a = w·((1 − s)·t + s/K), with weights w of the classes (1 without), smoothing s.

    Gradient:  ∂L/∂x = (A·p − a)/n, A = Σₖ aₖ,  ∂L/∂t = −(1 − s)·w·log p/n, for the mean over n samples.
    Numerics:  log p is that of log_softmax: nothing overflows, and no logarithm is of 0.
    Shapes:    x, t (N, K, …), w (K,) or None → a scalar; (N, …) for 'none'.
    Raises:    ValueError for no samples to average.
    """

    private = ("log_p",)

    def forward(self, x, t, weight):
        self.log_p = log_softmax(x, 1)
        costs = -sum(self.amounts(x, t, weight) * self.log_p, 1)
        return self.reduce(costs, costs.size)

    def backward(self, grad, x, t, weight):
        return self.gradients(log_softmax(x, 1), grad, x, t, weight)

    def backward_fused(self, grad, x, t, weight):
        return self.gradients(self.log_p, grad, x, t, weight)

    def gradients(self, log_p, grad, x, t, weight):
        a, g = self.amounts(x, t, weight), self.of_samples(grad, x) * self.share
        dx = g * (sum(a, 1, keepdim=True) * exp(log_p) - a)
        dt = -g * (1 - self.smoothing) * self.weights(weight, x) * log_p if self.needs_input_grad[1] else None
        return dx, dt, None

    def amounts(self, x, t, weight):
        a = (1 - self.smoothing) * t + self.smoothing / x.shape[1] if self.smoothing else t
        return a if weight is None else self.weights(weight, x) * a


def cross_entropy(
    input: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """−Σ y·log softmax(input) over the classes, averaged over samples: (N, K, …) logits, K classes.

    Args:
        input: (N, K) or (N, K, …): logits, any numbers.
        target: integers 0 … K−1, (N,) or (N, …); or probabilities, floats in the shape of input.
        weight: (K,), how much each class counts; not a part of the graph. For integers the mean divides by
            the weights of the labels, for probabilities by the number of samples, as in torch.
        ignore_index: a label that does not count.
        reduction: 'mean', 'sum' or 'none'.
        label_smoothing: the share of each target, from 0 to 1, that is spread evenly over all classes.

    Raises:
        ValueError: for shapes that do not fit, an unknown reduction, and where no label is left to average.
        TypeError: for labels that are no integers, and an input that is not made of floats.
        IndexError: for a label outside 0 … K−1. Labels on a GPU are not looked at: that would wait for it.
    """
    if input.ndim < 2:
        raise ValueError(f"cross_entropy: input needs shape (N, K) or (N, K, …); got {tuple(input.shape)}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must lie from 0 to 1; got {label_smoothing}")
    if not isinstance(ignore_index, int):
        raise TypeError(f"cross_entropy: ignore_index must be an int; got {ignore_index!r}")
    w = None if weight is None else _class_weights(input, weight)
    given = array_of(target)
    if given.dtype.kind == "f" and given.ndim == input.ndim - 1:
        raise TypeError(
            f"cross_entropy: labels must be integers; got {given.dtype} of shape {tuple(given.shape)}. "
            f"Floats stand for probabilities, of the shape of input {tuple(input.shape)}"
        )
    if given.dtype.kind == "f":
        q = _fitted("cross_entropy", input, target)
        return SoftCrossEntropy(reduction, label_smoothing)(input, q, w)
    labels, counts = _labels(input, given, ignore_index)
    none_counts = not labels.size or (counts is not None and device_of(counts) == "cpu" and not counts.any())
    if reduction == "mean" and none_counts:
        raise ValueError(
            f"cross_entropy: there is nothing to average: none of the {labels.size} labels counts "
            f"(ignore_index is {ignore_index})"
        )
    return CrossEntropy(labels, counts, reduction, label_smoothing)(input, w)


def _class_weights(input: TensorLike, weight: TensorLike) -> Array:
    array = array_of(weight)
    if tuple(array.shape) != (input.shape[1],):
        raise ValueError(
            f"cross_entropy: weight needs shape ({input.shape[1]},), one number for each class of input "
            f"{tuple(input.shape)}; got {tuple(array.shape)}"
        )
    return to(array, input.dtype)


def _labels(input: TensorLike, labels: Array, ignore_index: int) -> tuple[Array, Array | None]:
    """`labels` on the device of input, classes, 0 for the ignored; and which count, None for all."""
    if tuple(labels.shape) != (input.shape[0], *input.shape[2:]):
        raise ValueError(
            "cross_entropy: target needs a label for each sample, or probabilities (floats) in the shape of "
            f"input; got input {tuple(input.shape)}, target {tuple(labels.shape)} of {labels.dtype}"
        )
    device = device_of(array_of(input))
    counts = labels != ignore_index
    all_count = device_of(labels) == "cpu" and bool(counts.all())
    labels = to(labels if all_count else array_module(labels).where(counts, labels, 0), "int64")
    checked_indices("cross_entropy", labels, labels, input.shape[1])
    return to_device(labels, device), None if all_count else to_device(counts, device)


def _rows(x: Array) -> Array:
    """(N, K, …) as (N·…, K): a sample or pixel in a row."""
    return x if x.ndim == 2 else array_module(x).moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def _from_rows(rows: Array, shape: tuple[int, ...]) -> Array:
    """What `_rows` made of an array of this `shape`, back in it."""
    if len(shape) == 2:
        return rows
    return array_module(rows).moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
