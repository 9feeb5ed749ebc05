"""Write an operation of your own, and let finite differences say whether its gradient is right.

Run:     python examples/your_own_op.py          (under a second)
Shows:   softplus, log(1 + eˣ), right to second order; and the message for a wrong gradient
Expect:  the first check passes, the second names the elements that are wrong
Read:    tinygrad_lite/engine.py (Function), tinygrad_lite/ops/activation.py (its siblings)
"""

import numpy as np

from tinygrad_lite import Function, Tensor, grad, sigmoid
from tinygrad_lite.checking import GradcheckError, gradcheck, gradgradcheck


class Softplus(Function):
    """log(1 + eˣ), elementwise.

    Gradient:  1 / (1 + e⁻ˣ), the sigmoid.
    Numerics:  max(x, 0) + log(1 + e^(−|x|)), so that nothing overflows.
    Shapes:    any → the same.
    """

    def forward(self, x):
        return self.xp.maximum(x, 0) + self.xp.log1p(self.xp.exp(-abs(x)))

    def backward(self, grad, x):  # naming x here is what keeps it
        return grad * sigmoid(x)  # runs on arrays, and on Tensors for second derivatives


class WrongSoftplus(Softplus):
    """The same with a slip in its gradient: 1 − σ(x) in place of σ(x)."""

    def backward(self, grad, x):
        return grad * (1 - sigmoid(x))


def softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ), elementwise."""
    return Softplus()(x)


def main() -> dict[str, float]:
    x = Tensor([-2.0, 0.0, 3.0], requires_grad=True)
    (slope,) = grad(softplus(x).sum(), x, create_graph=True)
    (curvature,) = grad(slope.sum(), x)
    print("softplus ", softplus(x).numpy())
    print("slope    ", slope.numpy())
    print("curvature", curvature.numpy())

    points = np.linspace(-3, 3, 7)
    print(gradcheck(softplus, points))
    print(gradgradcheck(softplus, points))

    try:
        gradcheck(lambda x: WrongSoftplus()(x), points, title="wrong softplus")
    except GradcheckError as error:
        print(error)
    return {"curvature at 0": float(curvature.numpy()[1])}


if __name__ == "__main__":
    main()
