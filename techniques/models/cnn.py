"""A plain convolutional classifier: teachers, and judges of generated pictures."""

from __future__ import annotations

from tinygrad_lite import Tensor, nn


class CNN(nn.Module):
    """Stages of two 3×3 convolutions, each with batch norm and ReLU; the picture is halved between stages.

    Args:
        in_channels: channels of the picture (N, in_channels, H, W).
        num_classes: length of the output (N, num_classes).
        widths: channels of each stage.
        dropout: probability, before the last layer.
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 10,
        widths: tuple[int, ...] = (32, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for i, width in enumerate(widths):
            layers += [nn.MaxPool2d(2)] if i > 0 else []
            layers += [*_convolution(channels, width), *_convolution(width, width)]
            channels = width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """The logits, (N, num_classes)."""
        return self.classifier(self.features(x))


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
