"""A small residual network: the backbone of contrastive learning.

Source: He et al. 2015, arXiv:1512.03385.
"""

from __future__ import annotations

import tinygrad_lite.nn.functional as F
from tinygrad_lite import Tensor, nn


class ResidualBlock(nn.Module):
    """relu(x + f(x)), f two 3×3 convolutions with batch norm; where shapes change, a 1×1 fits x to them."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
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
    """A 3×3 convolution, then residual blocks; each stage but the first halves the picture; then the mean.

    Args:
        in_channels: channels of the picture (N, in_channels, H, W).
        widths: channels of each stage; the last is the length of the features.
        blocks: blocks in each stage.
    """

    def __init__(self, in_channels: int = 1, widths: tuple[int, ...] = (16, 32, 64), blocks: int = 1) -> None:
        super().__init__()
        self.out_features = widths[-1]
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        channels = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(ResidualBlock(channels, width, stride))
                channels = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        """The features, (N, widths[-1])."""
        return self.layers(x)
