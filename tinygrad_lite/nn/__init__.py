"""Layers, initializers and functions."""

from tinygrad_lite.nn import functional, init
from tinygrad_lite.nn.activation import GELU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Tanh
from tinygrad_lite.nn.container import ModuleList, Sequential
from tinygrad_lite.nn.conv import Conv2d
from tinygrad_lite.nn.dropout import Dropout
from tinygrad_lite.nn.embedding import Embedding
from tinygrad_lite.nn.linear import Flatten, Identity, Linear
from tinygrad_lite.nn.loss import CrossEntropyLoss, KLDivLoss, MSELoss
from tinygrad_lite.nn.module import Module
from tinygrad_lite.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, Upsample

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Identity",
    "KLDivLoss",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Upsample",
    "functional",
    "init",
]
