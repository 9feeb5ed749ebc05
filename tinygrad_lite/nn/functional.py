"""The ops under the names that torch gives them in `torch.nn.functional`."""

from tinygrad_lite.ops.activation import gelu, relu, sigmoid, silu, tanh
from tinygrad_lite.ops.attention import scaled_dot_product_attention
from tinygrad_lite.ops.conv import conv2d
from tinygrad_lite.ops.dropout import dropout
from tinygrad_lite.ops.index import embedding, one_hot
from tinygrad_lite.ops.loss import cross_entropy, kl_div, mse_loss
from tinygrad_lite.ops.matmul import linear
from tinygrad_lite.ops.norm import batch_norm, group_norm, layer_norm, normalize
from tinygrad_lite.ops.pool import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d
from tinygrad_lite.ops.shape import pad
from tinygrad_lite.ops.softmax import log_softmax, softmax

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "group_norm",
    "interpolate",
    "kl_div",
    "layer_norm",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "normalize",
    "one_hot",
    "pad",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]
