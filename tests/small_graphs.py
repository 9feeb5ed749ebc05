"""What the tests of the engine and of the walk make graphs of."""

import numpy as np

from tinygrad_lite import Function, Tensor


def leaf(*values, dtype="float64"):
    return Tensor(np.array(values, dtype), requires_grad=True)


def ones(*shape):
    return Tensor(np.ones(shape), requires_grad=True)


class Square(Function):
    """x², with both of its backwards."""

    def forward(self, x):
        return x * x

    def backward(self, grad, x):
        return 2 * grad * x
