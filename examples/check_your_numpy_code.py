"""Check the backward pass of plain NumPy coursework: wrap it in a Function, and gradcheck it.

Run:     python examples/check_your_numpy_code.py          (under a second)
Shows:   two backward passes of batch normalization, one of them the usual mistake: the variance as a constant
Expect:  the first is right; the second is refused, with the elements where it is wrong
Read:    tinygrad_lite/checking/gradcheck.py; your own homework
"""

import numpy as np

from tinygrad_lite import Function
from tinygrad_lite.checking import GradcheckError, gradcheck

EPS = 1e-5


def batchnorm_forward(x, gamma, beta):
    """Homework: normalize each column, then scale and shift. Returns the result and what backward needs."""
    mean, variance = x.mean(axis=0), x.var(axis=0)
    xhat = (x - mean) / np.sqrt(variance + EPS)
    return gamma * xhat + beta, (xhat, gamma, variance)


def batchnorm_backward(dout, cache):
    """Homework, done right."""
    xhat, gamma, variance = cache
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / np.sqrt(variance + EPS)
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def batchnorm_backward_wrong(dout, cache):
    """Homework, with the mean's and the variance's share of dx forgotten."""
    xhat, gamma, variance = cache
    return dout * gamma / np.sqrt(variance + EPS), (dout * xhat).sum(axis=0), dout.sum(axis=0)


def as_function(forward, backward):
    """A pair of NumPy functions as an operation; the cache is for their eyes only, so first order only."""

    class Homework(Function):
        def forward(self, x, gamma, beta):
            out, self.cache = forward(x, gamma, beta)
            return out

        def backward(self, grad):
            return backward(grad, self.cache)

    return lambda *inputs: Homework()(*inputs)


def main(seed: int = 0) -> dict[str, bool]:
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal((7, 3)), rng.standard_normal(3), rng.standard_normal(3)]
    found = {}
    for backward in (batchnorm_backward, batchnorm_backward_wrong):
        try:
            print(gradcheck(as_function(batchnorm_forward, backward), inputs, title=backward.__name__))
            found[backward.__name__] = True
        except GradcheckError as error:
            print(error)
            found[backward.__name__] = False
    return found


if __name__ == "__main__":
    main()
