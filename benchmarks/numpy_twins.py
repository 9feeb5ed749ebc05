"""LeNet and the contrastive ResNet for libraries that differentiate NumPy code: autograd and MyGrad.

Both are functions of a dictionary of parameters, which have the names that they have in our models. `lib` is
`with_autograd` or `with_mygrad`: it has the few layers that NumPy lacks, and the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.workloads.workload import Data, Job, Library, starting_weight

Parameters = dict[str, Any]
Loss = Callable[[Parameters], Any]

# -- networks --------------------------------------------------------------------------------------------

LENET = {
    "0.weight": (6, 1, 5, 5),
    "0.bias": (6,),
    "3.weight": (16, 6, 5, 5),
    "3.bias": (16,),
    "7.weight": (120, 400),
    "7.bias": (120,),
    "9.weight": (84, 120),
    "9.bias": (84,),
    "11.weight": (10, 84),
    "11.bias": (10,),
}
WIDTHS = (16, 32, 64)


def lenet(lib: Library, p: Parameters, x: np.ndarray) -> Any:
    """`workloads.training.lenet`."""
    h = lib.conv(x, p["0.weight"], 1, 2) + p["0.bias"].reshape(-1, 1, 1)
    h = lib.max_pool(lib.relu(h))
    h = lib.conv(h, p["3.weight"], 1, 0) + p["3.bias"].reshape(-1, 1, 1)
    h = lib.max_pool(lib.relu(h)).reshape(len(x), -1)
    h = lib.relu(h @ p["7.weight"].T + p["7.bias"])
    h = lib.relu(h @ p["9.weight"].T + p["9.bias"])
    return h @ p["11.weight"].T + p["11.bias"]


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """The parameters of the ResNet."""
    shapes: dict[str, tuple[int, ...]] = {"layers.0.weight": (WIDTHS[0], 1, 3, 3)}
    norms = {"layers.1": WIDTHS[0]}
    for i, (channels, width) in enumerate(pairwise([WIDTHS[0], *WIDTHS]), start=3):
        shapes[f"layers.{i}.conv1.weight"] = (width, channels, 3, 3)
        shapes[f"layers.{i}.conv2.weight"] = (width, width, 3, 3)
        if channels != width:
            shapes[f"layers.{i}.shortcut.weight"] = (width, channels, 1, 1)
        norms |= {f"layers.{i}.norm1": width, f"layers.{i}.norm2": width}
    for name, width in norms.items():
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes


def backbone(lib: Library, p: Parameters, x: np.ndarray) -> Any:
    """techniques.models.ResNet: (N, 1, 8, 8) → (N, 64)."""

    def norm(h: Any, name: str) -> Any:
        return lib.batch_norm(h, p[f"{name}.weight"], p[f"{name}.bias"])

    h = lib.relu(norm(lib.conv(x, p["layers.0.weight"], 1, 1), "layers.1"))
    for i in range(3, 3 + len(WIDTHS)):
        block, stride = f"layers.{i}", 1 if i == 3 else 2
        f = lib.relu(norm(lib.conv(h, p[f"{block}.conv1.weight"], stride, 1), f"{block}.norm1"))
        f = norm(lib.conv(f, p[f"{block}.conv2.weight"], 1, 1), f"{block}.norm2")
        shortcut = f"{block}.shortcut.weight"
        h = lib.relu(f + (lib.conv(h, p[shortcut], stride, 0) if shortcut in p else h))
    return h.mean(axis=(2, 3))


HEAD = {
    "layers.1.weight": (128, 64),
    "layers.1.bias": (128,),
    "layers.2.weight": (128,),
    "layers.2.bias": (128,),
    "layers.4.weight": (64, 128),
    "layers.4.bias": (64,),
}


def head(lib: Library, p: Parameters, x: Any) -> Any:
    """MLP(64, 128, 64, batch_norm=True) of techniques.models."""
    h = x @ p["layers.1.weight"].T + p["layers.1.bias"]
    h = lib.relu(lib.batch_norm(h, p["layers.2.weight"], p["layers.2.bias"]))
    return h @ p["layers.4.weight"].T + p["layers.4.bias"]


def nt_xent(lib: Library, z1: Any, z2: Any, temperature: float = 0.5) -> Any:
    """techniques.contrastive.nt_xent."""
    z = lib.concatenate([z1, z2])
    u = z / (z * z).sum(axis=1, keepdims=True) ** 0.5
    rows = np.arange(len(u))
    similarities = u @ u.T / temperature - 1e4 * np.eye(len(u), dtype=np.float32)
    return lib.cross_entropy(similarities, np.roll(rows, len(z1)))


# -- jobs ------------------------------------------------------------------------------------------------


class AdamW:
    """The optimizer, since neither library has one."""

    def __init__(self, parameters: Parameters, lr: float = 1e-3, decay: float = 1e-2) -> None:
        self.parameters, self.lr, self.decay, self.step_count = parameters, lr, decay, 0
        self.m, self.v = ({k: np.zeros_like(p) for k, p in parameters.items()} for _ in range(2))

    def step(self, gradients: Parameters) -> None:
        """Write into the parameters."""
        self.step_count += 1
        rate, root = self.lr / (1 - 0.9**self.step_count), (1 - 0.999**self.step_count) ** 0.5
        for name, p in self.parameters.items():
            g, m, v = gradients[name], self.m[name], self.v[name]
            p *= 1 - self.lr * self.decay
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * m / (np.sqrt(v) / root + 1e-8)


def train(lib: Library, shapes: dict[str, tuple[str, tuple[int, ...]]], loss: Loss) -> Job:
    """The job of a training step; `shapes` holds for each parameter its name in our model, and its shape."""
    parameters = {key: starting_weight(name, shape) for key, (name, shape) in shapes.items()}
    optimizer = AdamW(parameters)

    def step() -> float:
        value, gradients = lib.value_and_gradients(loss, parameters)
        optimizer.step(gradients)
        return float(value)

    return Job(step, lambda value: [value])


def build_lenet(lib: Library, data: Data) -> Job:
    """The workload `lenet`."""
    shapes = {name: (name, shape) for name, shape in LENET.items()}
    return train(lib, shapes, lambda p: lib.cross_entropy(lenet(lib, p, data["x"]), data["labels"]))


def build_resnet(lib: Library, data: Data) -> Job:
    """The workload `resnet`."""
    shapes = {name: (name, shape) for name, shape in backbone_shapes().items()}
    shapes |= {f"head.{name}": (name, shape) for name, shape in HEAD.items()}

    def project(p: Parameters, view: np.ndarray) -> Any:
        of_head = {name: p[f"head.{name}"] for name in HEAD}
        return head(lib, of_head, backbone(lib, p, view))

    return train(lib, shapes, lambda p: nt_xent(lib, project(p, data["view1"]), project(p, data["view2"])))


# The workloads that these libraries have, in place of what a workload builds with layers and modules.
BUILDERS = {"lenet": build_lenet, "resnet": build_resnet}
