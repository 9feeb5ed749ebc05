"""A small UNet: the network of diffusion, from a picture, a time and a class to a picture.

Source: Ho et al. 2020, arXiv:2006.11239, appendix B, after Ronneberger et al. 2015, arXiv:1505.04597.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor, cat, nn
from tinygrad_lite.backend import Array, array_module, device_of

NO_CLASS = -1  # the label of a picture whose class is not told
GROUPS = 4  # of channels in every GroupNorm
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def sinusoidal_embedding(t: Array, dim: int) -> Array:
    """cos(t·ω) and sin(t·ω) for the dim/2 frequencies ω = 10000^(−2i/dim): (N,) → float32 (N, dim).

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    Raises:
        ValueError: if dim is odd.
    """
    if dim % 2:
        raise ValueError(f"sinusoidal_embedding: dim needs to be even; got {dim}")
    xp = array_module(t)
    frequencies = xp.exp(xp.arange(dim // 2) * (-2 * math.log(10_000) / dim))
    angles = t[:, None] * frequencies
    return xp.concatenate([xp.cos(angles), xp.sin(angles)], axis=1).astype("float32")


class ResidualBlock(nn.Module):
    """x + f(x, embedding): twice GroupNorm, SiLU, 3×3 convolution, with the embedding added in between.

    The last convolution begins at 0, so that the block does; where widths differ, a 1×1 fits x to the sum.
    """

    def __init__(self, channels: int, width: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.embed = nn.Linear(embedding_dim, width)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv2 = _begin_at_zero(nn.Conv2d(width, width, 3, padding=1))
        self.shortcut = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, embedding_dim) → (N, width, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.embed(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return self.shortcut(x) + h


class Attention(nn.Module):
    """x + f(x): every pixel gathers from all pixels of its picture; f begins at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = _begin_at_zero(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (N, H·W, C)
        q, k, v = self.to_qkv(pixels).split(x.shape[1], dim=-1)
        gathered = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(gathered).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """The noise in a picture, by its time and class: (N, C, H, W), (N,), (N,) → (N, C, H, W).

    Down, a residual block for each resolution, half the last; in the middle attention and a block; and up
    again, where each block also sees what its resolution gave on the way down. The output begins at 0.

    Args:
        in_channels: C. H and W are divisible by 2 once for each width but the first.
        widths: the channels of each resolution, multiples of 4 from 8 on.
        num_classes: labels are 0 … num_classes − 1, or NO_CLASS (−1), which every network knows.

    Raises:
        ValueError: for other widths.
    """

    def __init__(self, in_channels: int = 1, widths: Sequence[int] = (32, 64), num_classes: int = 0) -> None:
        super().__init__()
        if any(width % GROUPS or width <= GROUPS for width in widths):
            # In a group of one channel the norm would take away what the embedding adds to it.
            raise ValueError(
                f"UNet: widths need to be multiples of {GROUPS} from {2 * GROUPS} on; got {widths}"
            )
        self.num_classes = num_classes
        self.halvings = len(widths) - 1
        first, last = widths[0], widths[-1]
        dim = 4 * first
        self.time_dim = dim
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(1 + num_classes, dim)  # row 0 is NO_CLASS
        self.stem = nn.Conv2d(in_channels, first, 3, padding=1)
        pairs = list(pairwise([first, *widths]))
        self.down = nn.ModuleList(ResidualBlock(before, width, dim) for before, width in pairs)
        self.attention = Attention(last)
        self.middle = ResidualBlock(last, last, dim)
        self.up = nn.ModuleList(ResidualBlock(2 * width, before, dim) for before, width in reversed(pairs))
        self.norm = nn.GroupNorm(GROUPS, first)
        self.head = _begin_at_zero(nn.Conv2d(first, in_channels, 3, padding=1))

    def forward(self, x: Tensor, t: Array, labels: Array | None = None) -> Tensor:
        """The noise in x (N, C, H, W) at times t (N,), of classes `labels` (N,); None is NO_CLASS for all.

        Raises:
            ValueError: for pictures that cannot be halved so often, and for other than N times or labels.
            IndexError: for a label that is no class.
        """
        self._check(x, t)
        embedding = self._embed(t, labels)
        x = self.stem(x)
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.avg_pool2d(x, 2), embedding)
            skips.append(x)
        x = self.middle(self.attention(x), embedding)
        for i, block in enumerate(self.up):
            x = x if i == 0 else F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(cat([x, skips.pop()], 1), embedding)
        return self.head(F.silu(self.norm(x)))

    def _embed(self, t: Array, labels: Array | None) -> Tensor:
        """Time and class as one vector a sample, through the SiLU before the blocks' linear layers."""
        labels = array_module(t).full(t.shape, NO_CLASS) if labels is None else labels
        self._check_labels(t, labels)
        return F.silu(self.time(sinusoidal_embedding(t, self.time_dim)) + self.label(labels + 1))

    def _check(self, x: Tensor, t: Array) -> None:
        multiple = 2**self.halvings
        if x.ndim != 4 or x.shape[2] % multiple or x.shape[3] % multiple:
            raise ValueError(
                f"UNet: needs pictures (N, C, H, W), H and W multiples of {multiple}; got {tuple(x.shape)}"
            )
        if t.shape != x.shape[:1]:
            raise ValueError(f"UNet: needs times {x.shape[:1]}, one a picture; got {t.shape}")

    def _check_labels(self, t: Array, labels: Array) -> None:
        if labels.shape != t.shape:
            raise ValueError(f"UNet: needs labels {t.shape}, one a picture; got {labels.shape}")
        if device_of(labels) == "cpu" and ((labels < NO_CLASS) | (labels >= self.num_classes)).any():
            raise IndexError(
                f"UNet: a label is one of its {self.num_classes} classes, from 0 on, or {NO_CLASS} for none; "
                f"got labels from {labels.min()} to {labels.max()}"
            )


def _begin_at_zero(layer: Layer) -> Layer:
    """A layer, its parameters set to 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
