"""Automatic differentiation in 60 lines: what tinygrad_lite/engine.py does, with nothing left but the idea.

Run:     python examples/autograd_in_60_lines.py          (under a second)
Shows:   the gradient of a small network's loss, beside finite differences
Expect:  the two agree to nine digits
Read:    tinygrad_lite/engine.py, which adds what this leaves out: saved arrays that are declared and dropped,
         gradients of gradients, broadcasting, in-place checks, the GPU
"""

import numpy as np


class Value:
    """An array, its gradient, and how to pass that gradient on to what the array was computed from."""

    def __init__(self, data, parents=(), backward=None):
        self.data = np.asarray(data, dtype="float64")
        self.parents, self.pass_on = parents, backward
        self.grad = np.zeros_like(self.data)

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), lambda g: (g * other.data, g * self.data))

    def __sub__(self, other):
        return Value(self.data - other.data, (self, other), lambda g: (g, -g))

    def __matmul__(self, other):
        return Value(self.data @ other.data, (self, other), lambda g: (g @ other.data.T, self.data.T @ g))

    def tanh(self):
        y = np.tanh(self.data)
        return Value(y, (self,), lambda g: (g * (1 - y * y),))

    def sum(self):
        return Value(self.data.sum(), (self,), lambda g: (g * np.ones_like(self.data),))

    def backward(self):
        """Visit every value behind this one, each after all that were computed from it."""
        order, seen = [], set()

        def visit(value):
            if id(value) not in seen:
                seen.add(id(value))
                for parent in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        self.grad = np.ones_like(self.data)
        for value in reversed(order):
            if value.pass_on:
                for parent, g in zip(value.parents, value.pass_on(value.grad), strict=True):
                    parent.grad = parent.grad + g  # a value that is used twice gets both


def loss(x, w, v, y):
    """The squared error of a network with one hidden layer."""
    error = (x @ w).tanh() @ v - y
    return (error * error).sum()


def main(seed: int = 0) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    x, w, v, y = (Value(rng.standard_normal(shape)) for shape in [(5, 3), (3, 4), (4, 2), (5, 2)])
    loss(x, w, v, y).backward()

    numeric, h = np.zeros_like(w.data), 1e-6
    for place in np.ndindex(w.data.shape):
        for sign in (1, -1):
            moved = w.data.copy()
            moved[place] += sign * h
            numeric[place] += sign * float(loss(x, Value(moved), v, y).data) / (2 * h)

    print("by walking back\n", w.grad, "\nby finite differences\n", numeric, sep="")
    return {"largest difference": float(np.abs(w.grad - numeric).max() / np.abs(numeric).max())}


if __name__ == "__main__":
    print(main())
