"""tinygrad_lite: automatic differentiation from scratch, on NumPy, and on the GPU through CuPy."""

from tinygrad_lite import data, memory, nn, optim
from tinygrad_lite.backend import float16, float32, float64, int64, manual_seed
from tinygrad_lite.creation import arange, ones, randn, tensor, zeros
from tinygrad_lite.derivatives import grad, hessian, hvp, jacobian, jvp, vjp
from tinygrad_lite.engine import Function
from tinygrad_lite.ops import methods as _methods
from tinygrad_lite.ops.activation import relu, sigmoid, tanh
from tinygrad_lite.ops.compare import abs, clamp, eq, ge, gt, le, lt, maximum, minimum, ne, sign
from tinygrad_lite.ops.elementwise import add, div, erf, exp, log, mul, neg, pow, sqrt, sub, to, where
from tinygrad_lite.ops.index import gather, scatter_add
from tinygrad_lite.ops.matmul import matmul
from tinygrad_lite.ops.reduce import amax, amin, argmax, argmin, logsumexp, max, mean, min, sum, var
from tinygrad_lite.ops.shape import (
    cat,
    clone,
    expand,
    flatten,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)
from tinygrad_lite.ops.softmax import log_softmax, softmax
from tinygrad_lite.tensor import Tensor, enable_grad, is_grad_enabled, no_grad
from tinygrad_lite.threads import num_threads, set_num_threads
