"""Normalization layers: to mean 0 and variance 1, over the batch or within a sample; then scale and shift."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinygrad_lite.nn.functional import batch_norm, group_norm, layer_norm
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.tensor import Tensor, TensorLike


def _scale_and_shift(shape: int | tuple[int, ...], affine: bool) -> tuple[Parameter | None, Parameter | None]:
    """The parameters weight = 1 and bias = 0; None and None without `affine`."""
    if not affine:
        return None, None
    return Parameter(np.ones(shape, dtype="float32")), Parameter(np.zeros(shape, dtype="float32"))


class _BatchNorm(Module):
    """What the batch norms share; they differ in the inputs that they take."""

    dimensions: ClassVar[tuple[int, ...]]
    takes: ClassVar[str]
    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight, self.bias = _scale_and_shift(num_features, affine)
        mean, var = np.zeros(num_features, dtype="float32"), np.ones(num_features, dtype="float32")
        self.register_buffer("running_mean", Tensor(mean) if track_running_stats else None)
        self.register_buffer("running_var", Tensor(var) if track_running_stats else None)

    def forward(self, x: TensorLike) -> Tensor:
        """Its input's shape."""
        if x.ndim not in self.dimensions or x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: needs {self.takes}, C = {self.num_features}; got {tuple(x.shape)}"
            )
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or not self.track_running_stats,
            momentum=self.momentum,
            eps=self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """(x − mean)/√(var + eps)·weight + bias for each channel C of (N, C) or (N, C, L): Ioffe & Szegedy 2015.

    In training mean and variance are those of the batch, and the buffers running_mean and running_var take
    (1 − momentum) of what they were and momentum of those. After `eval()` the buffers stand for them.
    torch's buffer num_batches_tracked is left out.

    Parameters: weight (C,), 1 at first, and bias (C,), 0.

    Args:
        num_features: C.
        eps: keeps the denominator from 0.
        momentum: the share of a new batch in the buffers. torch's None (the mean of all) is left out.
        affine: whether there are weight and bias.
        track_running_stats: whether there are the buffers; without them the batch is always taken.

    Raises:
        ValueError: when called with another shape.
    """

    dimensions = (2, 3)
    takes = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d`, for each channel C of images (N, C, H, W)."""

    dimensions = (4,)
    takes = "(N, C, H, W)"


class GroupNorm(Module):
    """(x − mean)/√(var + eps)·weight + bias over each group of channels of each sample: Wu & He 2018.

    Parameters: weight (C,), 1 at first, and bias (C,), 0.

    Args:
        num_groups: into how many groups the channels of (N, C, …) are split.
        num_channels: C.
        eps: keeps the denominator from 0.
        affine: whether there are weight and bias.

    Raises:
        ValueError: for channels that do not split into `num_groups`.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels do not split into {num_groups} groups")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight, self.bias = _scale_and_shift(num_channels, affine)

    def forward(self, x: TensorLike) -> Tensor:
        """(N, C, …) → the same."""
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(Module):
    """(x − mean)/√(var + eps)·weight + bias over the last dimensions of each sample: Ba et al. 2016.

    Parameters: weight and bias of shape normalized_shape, 1 and 0 at first.

    Args:
        normalized_shape: the last dimensions, over which mean and variance are taken.
        eps: keeps the denominator from 0.
        elementwise_affine: whether there are weight and bias.
        bias: whether there is a bias.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight, shift = _scale_and_shift(shape, elementwise_affine)
        self.bias = shift if bias else None

    def forward(self, x: TensorLike) -> Tensor:
        """(…, *normalized_shape) → the same."""
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
