"""The networks that the techniques train."""

from techniques.models.cnn import CNN
from techniques.models.mlp import MLP
from techniques.models.resnet import ResNet
from techniques.models.unet import UNet

__all__ = ["CNN", "MLP", "ResNet", "UNet"]
