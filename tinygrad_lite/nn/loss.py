"""Losses as layers: they keep the options; the functions of their names hold the formulas."""

from __future__ import annotations

from tinygrad_lite.nn.functional import cross_entropy, kl_div, mse_loss
from tinygrad_lite.nn.module import Module
from tinygrad_lite.tensor import Tensor, TensorLike


class CrossEntropyLoss(Module):
    """−Σ y·log softmax(x) over K classes, for targets y; see `cross_entropy`.

    Args:
        weight: (K,), how much each class counts; it becomes a buffer.
        ignore_index: a label that does not count.
        reduction: "mean" over the samples, "sum" or "none".
        label_smoothing: the share of each target that is spread evenly over all classes.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: TensorLike, target: TensorLike) -> Tensor:
        """Logits (N, K, …), with labels (N, …) or probabilities (N, K, …)."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class KLDivLoss(Module):
    """Σ t·(log t − x) for targets t and predictions whose logarithms are x; see `kl_div`.

    Args:
        reduction: "batchmean" for the divergence, averaged over the samples. The default "mean", which is
            torch's, divides by the number of all elements. "sum" or "none".
        log_target: whether the targets are logarithms too.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: TensorLike, target: TensorLike) -> Tensor:
        """Log-probabilities, and targets of the same shape."""
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class MSELoss(Module):
    """(x − y)², averaged; with `reduction` "sum" or "none" the sum, or all of them. See `mse_loss`."""

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: TensorLike, target: TensorLike) -> Tensor:
        """Two tensors of one shape."""
        return mse_loss(input, target, reduction=self.reduction)
