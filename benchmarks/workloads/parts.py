"""Parts of the work: one loss, one convolution of many shapes, and what a call costs when it does little."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from benchmarks.workloads.workload import Data, Job, Library, Workload, length, normal

# -- NT-Xent ---------------------------------------------------------------------------------------------


def projections(pairs: int) -> Data:
    """Two views (pairs, 128)."""
    return {"z1": normal(pairs, 128, key="z1"), "z2": normal(pairs, 128, key="z2")}


def nt_xent(lib: Library, data: Data) -> Job:
    """The contrastive loss and its gradient."""
    z1, z2 = (lib.tensor(data[name], requires_grad=True) for name in ("z1", "z2"))

    def step() -> Any:
        z1.grad = z2.grad = None
        loss = lib.nt_xent(z1, z2)
        loss.backward()
        return loss

    rows, dim = 2 * z1.shape[0], z1.shape[1]
    return Job(step, lambda loss: [loss.item(), length(z1.grad), length(z2.grad)], 3 * rows * rows * dim)


# -- convolutions ----------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """A convolution of a batch of square maps."""

    channels: int
    filters: int
    kernel: int
    size: int
    batch: int = 64
    stride: int = 1
    padding: int = 0
    groups: int = 1
    is_first: bool = False  # a first layer: its input is data, and takes no gradient

    @property
    def name(self) -> str:
        """Channels, filters, kernel and map, and what else there is about it: "32-64-k3-16-stride2"."""
        text = f"{self.channels}-{self.filters}-k{self.kernel}-{self.size}"
        text += f"-stride{self.stride}" if self.stride > 1 else ""
        text += "-valid" if self.kernel > 1 and not self.padding else ""
        text += "-depthwise" if self.groups > 1 else ""
        return text + ("-first" if self.is_first else "")

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass."""
        out = (self.size + 2 * self.padding - self.kernel) // self.stride + 1
        each = self.kernel**2 * self.channels // self.groups
        return self.batch * out**2 * self.filters * each

    def draw(self) -> Data:
        """The maps and the kernels."""
        x = normal(self.batch, self.channels, self.size, self.size)
        shape = (self.filters, self.channels // self.groups, self.kernel, self.kernel)
        return {"x": x, "weight": normal(*shape, key="weight")}


SHAPES = [
    *(Shape(16, 16, 3, size, padding=1) for size in (8, 14)),
    *(Shape(32, 32, 3, size, padding=1) for size in (4, 8, 28)),
    Shape(32, 64, 3, 14, padding=1),
    *(Shape(64, 64, 3, size, padding=1) for size in (4, 8, 14, 16)),
    *(Shape(128, 128, 3, size, padding=1) for size in (4, 8)),
    *(Shape(c, 2 * c, 3, size, stride=2, padding=1) for c, size in ((16, 8), (32, 32), (64, 16))),
    *(Shape(c, 2 * c, 1, size) for c, size in ((32, 14), (64, 8))),
    Shape(32, 64, 1, 32, stride=2),
    Shape(16, 32, 5, 14, padding=2),
    Shape(6, 16, 5, 14),
    Shape(1, 16, 3, 28, padding=1, is_first=True),
    Shape(3, 32, 3, 32, padding=1, is_first=True),
    Shape(1, 6, 5, 28, padding=2, is_first=True),
    *(Shape(c, c, 3, size, padding=1, groups=c) for c, size in ((32, 28), (64, 14), (128, 8))),
]


def conv_forward(lib: Library, data: Data, shape: Shape) -> Job:
    """A convolution without a graph."""
    x, weight = lib.tensor(data["x"]), lib.tensor(data["weight"])
    return Job(lambda: convolved(lib, x, weight, shape), lambda y: [length(y)], shape.multiply_adds)


def conv_backward(lib: Library, data: Data, shape: Shape) -> Job:
    """The gradients of one convolution, by its maps and its kernels, again and again."""
    x = lib.tensor(data["x"], requires_grad=not shape.is_first)
    weight = lib.tensor(data["weight"], requires_grad=True)
    y = convolved(lib, x, weight, shape)
    upstream = lib.tensor(normal(*y.shape, key="upstream"))
    wanted = [weight] if shape.is_first else [weight, x]

    def step() -> list[Any]:
        for tensor in wanted:
            tensor.grad = None
        y.backward(upstream, retain_graph=True)
        return [tensor.grad for tensor in wanted]

    return Job(step, lambda grads: [length(g) for g in grads], len(wanted) * shape.multiply_adds)


def convolved(lib: Library, x: Any, weight: Any, shape: Shape) -> Any:
    """The convolution itself."""
    conv2d = lib.t.nn.functional.conv2d
    return conv2d(x, weight, None, shape.stride, shape.padding, groups=shape.groups)


# -- small calls -----------------------------------------------------------------------------------------


def small_matrices() -> Data:
    """Three matrices of 32×32."""
    return {name: normal(32, 32, key=name) for name in ("x", "scale", "shift")}


def chain(lib: Library, data: Data) -> Job:
    """1,000 operations, one on the result of the other, forward and back."""
    x, scale, shift = (lib.tensor(data[name] / 10, requires_grad=True) for name in ("x", "scale", "shift"))

    def step() -> Any:
        x.grad = scale.grad = shift.grad = None
        y = x
        for _ in range(500):
            y = y * scale
            y = y + shift
        y.sum().backward()
        return y

    return Job(step, lambda y: [length(y), length(scale.grad), length(shift.grad)])


PARTS = [
    *(
        Workload(f"ntxent-{n}", f"NT-Xent and gradient, {n:,} pairs", partial(projections, n), nt_xent)
        for n in (512, 4096)
    ),
    Workload("overhead", "1,000 operations on 32×32, forward and back", small_matrices, chain),
    *(
        Workload(f"conv-{way}-{shape.name}", about, shape.draw, partial(build, shape=shape))
        for way, about, build in (
            ("forward", "a convolution", conv_forward),
            ("backward", "its gradients by input and weight", conv_backward),
        )
        for shape in SHAPES
    ),
]
