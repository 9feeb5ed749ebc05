"""The ops under the names that torch gives them in `torch.nn.functional`."""

from tinygrad_lite.ops.activation import gelu, relu, sigmoid, silu, tanh
from tinygrad_lite.ops.index import embedding, one_hot
from tinygrad_lite.ops.matmul import linear
from tinygrad_lite.ops.shape import pad
from tinygrad_lite.ops.softmax import log_softmax, softmax

__all__ = [
    "embedding",
    "gelu",
    "linear",
    "log_softmax",
    "one_hot",
    "pad",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]
