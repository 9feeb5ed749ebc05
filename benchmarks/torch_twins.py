"""The networks and losses of `techniques` written plainly in torch, with parameters of the same names."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 4

# -- classifiers -----------------------------------------------------------------------------------------


class MLP(nn.Module):
    """techniques.models.MLP."""

    def __init__(self, *sizes: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (width, next_width) in enumerate(pairwise(sizes)):
            layers.append(nn.Linear(width, next_width))
            if i < len(sizes) - 2:
                layers += [nn.BatchNorm1d(next_width), nn.ReLU()] if batch_norm else [nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, sizes[0]) → (N, sizes[-1])."""
        return self.layers(x)


class CNN(nn.Module):
    """techniques.models.CNN."""

    def __init__(self, in_channels: int, num_classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for i, width in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if i > 0 else []
            for before in (channels, width):
                conv = nn.Conv2d(before, width, 3, padding=1, bias=False)
                layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.classifier(self.features(x))


class ResidualBlock(nn.Module):
    """The block of techniques.models.ResNet."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → (N, width, H/stride, W/stride)."""
        h = F.relu(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        return F.relu(h + self.shortcut(x))


class ResNet(nn.Module):
    """techniques.models.ResNet, with one block a stage."""

    def __init__(self, in_channels: int = 1, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        first = widths[0]
        stem = nn.Conv2d(in_channels, first, 3, padding=1, bias=False)
        blocks = [
            ResidualBlock(channels, width, 1 if stage == 0 else 2)
            for stage, (channels, width) in enumerate(pairwise([first, *widths]))
        ]
        self.layers = nn.Sequential(
            stem, nn.BatchNorm2d(first), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        return self.layers(x)


# -- sequences -------------------------------------------------------------------------------------------


class TransformerBlock(nn.Module):
    """benchmarks.ours.TransformerBlock."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(N, length, dim) → the same."""
        n, length, dim = x.shape
        qkv = self.to_qkv(self.norm1(x)).reshape(n, length, 3, self.heads, dim // self.heads)
        q, k, v = (qkv[:, :, i].transpose(1, 2) for i in range(3))
        gathered = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, dim)
        x = x + self.out(gathered)
        return x + self.mlp(self.norm2(x))


# -- diffusion -------------------------------------------------------------------------------------------


class UNetBlock(nn.Module):
    """The residual block of techniques.models.UNet."""

    def __init__(self, channels: int, width: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.embed = nn.Linear(embedding_dim, width)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, embedding_dim) → (N, width, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.embed(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return self.shortcut(x) + h


class Attention(nn.Module):
    """The attention of techniques.models.UNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.to_qkv(pixels).split(x.shape[1], dim=-1)
        gathered = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(gathered).transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """techniques.models.UNet."""

    frequencies: Tensor

    def __init__(self, in_channels: int, widths: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        first, last = widths[0], widths[-1]
        dim = 4 * first
        frequencies = torch.exp(torch.arange(dim // 2, dtype=torch.float64) * (-2 * math.log(10_000) / dim))
        self.register_buffer("frequencies", frequencies)
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(1 + num_classes, dim)
        self.stem = nn.Conv2d(in_channels, first, 3, padding=1)
        pairs = list(pairwise([first, *widths]))
        self.down = nn.ModuleList(UNetBlock(before, width, dim) for before, width in pairs)
        self.attention = Attention(last)
        self.middle = UNetBlock(last, last, dim)
        self.up = nn.ModuleList(UNetBlock(2 * width, before, dim) for before, width in reversed(pairs))
        self.norm = nn.GroupNorm(GROUPS, first)
        self.head = nn.Conv2d(first, in_channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """The noise in x (N, C, H, W) at times t (N,), of classes `labels` (N,), or of none."""
        angles = t[:, None] * self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], 1).float()
        rows = torch.zeros(len(t), dtype=torch.int64) if labels is None else labels + 1
        embedding = F.silu(self.time(waves) + self.label(rows))
        x = self.stem(x)
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else F.avg_pool2d(x, 2), embedding)
            skips.append(x)
        x = self.middle(self.attention(x), embedding)
        for i, block in enumerate(self.up):
            x = x if i == 0 else F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, skips.pop()], 1), embedding)
        return self.head(F.silu(self.norm(x)))


def sample(network: nn.Module, noise: Tensor, steps: int, num_times: int = 1000) -> Tensor:
    """DDIM with clipped estimates along the cosine schedule: techniques.diffusion.use.sample."""
    f = np.cos((np.linspace(0, 1, num_times + 1) + 0.008) / 1.008 * np.pi / 2) ** 2
    kept = np.cumprod(np.maximum(f[1:] / f[:-1], 0.001))
    times = [round(num_times * (steps - i) / steps) - 1 for i in range(steps)]
    sigmas = [*np.sqrt((1 - kept[times]) / kept[times]).tolist(), 0.0]
    x = noise * math.sqrt(1 + sigmas[0] ** 2)
    with torch.no_grad():
        for time, (sigma, next_sigma) in zip(times, pairwise(sigmas), strict=True):
            t = torch.full((len(x),), float(time))
            predicted_noise = network(x / math.sqrt(1 + sigma**2), t)
            denoised = (x - sigma * predicted_noise).clamp(-1, 1)
            x = denoised + next_sigma * (x - denoised) / sigma
    return x


# -- losses ----------------------------------------------------------------------------------------------


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """techniques.contrastive.nt_xent."""
    u = F.normalize(torch.cat([z1, z2]))
    similarities = (u @ u.T / temperature).fill_diagonal_(-math.inf)
    return F.cross_entropy(similarities, torch.arange(len(u)).roll(len(z1)))


def distillation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 4.0, alpha: float = 0.9
) -> Tensor:
    """techniques.distillation.distillation_loss."""
    log_q = F.log_softmax(student / temperature, 1)
    log_p = F.log_softmax(teacher / temperature, 1)
    soft = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
    return alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)
