"""Initializers: they write random draws, or constants, into a tensor and return it.

They draw from the ambient generator, so `manual_seed` fixes what they give. All write in place, and record
nothing.
"""

from __future__ import annotations

import math

from tinygrad_lite.backend import Array, ambient_rng, array_module, float32, float64
from tinygrad_lite.tensor import Tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    return _written(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return _written(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return _written(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """U(a, b): uniform draws from [a, b)."""
    return _written(tensor, a + (b - a) * ambient_rng(array_module(tensor.data)).random(*_drawn_as(tensor)))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """N(mean, std²): normal draws."""
    rng = ambient_rng(array_module(tensor.data))
    return _written(tensor, mean + std * rng.standard_normal(*_drawn_as(tensor)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """U(−a, a) with a = gain·√(6/(fan_in + fan_out)): Glorot & Bengio 2010, "Understanding the difficulty …".

    Raises:
        ValueError: for fewer than two dimensions, or no elements.
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor).values()))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """N(0, s²) with s = gain·√(2/(fan_in + fan_out)): Glorot & Bengio 2010.

    Raises:
        ValueError: for fewer than two dimensions, or no elements.
    """
    return normal_(tensor, std=gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor).values())))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """U(−b, b) with b = gain·√(3/fan): He et al. 2015, arXiv:1502.01852.

    Args:
        tensor: a weight (out, in, …kernel).
        a: the slope below 0 of a leaky ReLU that follows: 0 for ReLU.
        mode: "fan_in" keeps the variance of the forward pass, "fan_out" that of the backward pass.
        nonlinearity: what follows; it decides the gain, see `calculate_gain`.

    Raises:
        ValueError: for another mode or nonlinearity, fewer than two dimensions, or no elements.
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """N(0, s²) with s = gain/√fan: He et al. 2015, arXiv:1502.01852. See `kaiming_uniform_`."""
    return normal_(tensor, std=_kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def uniform_by_fan_in_(weight: Tensor, bias: Tensor | None) -> None:
    """U(−k, k) with k = 1/√fan_in, for a weight and its bias: how torch's layers, and these, begin.

    Raises:
        ValueError: for a weight of fewer than two dimensions, or of no elements.
    """
    kaiming_uniform_(weight, a=math.sqrt(5))  # gain √(1/3), and so √3·gain/√fan_in = k
    if bias is not None:
        k = 1 / math.sqrt(math.prod(weight.shape[1:]))
        uniform_(bias, -k, k)


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """By how much a layer's weights grow so that what follows the layer leaves the variance as it was.

    1 for "linear" and "sigmoid", 5/3 for "tanh", √2 for "relu", √(2/(1 + param²)) for "leaky_relu".

    Raises:
        ValueError: for any other.
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + param * param)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: knows {', '.join(gains)}; got {nonlinearity!r}")
    return gains[nonlinearity]


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = _fans(name, tensor)
    if mode not in fans:
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out'; got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])


def _fans(name: str, tensor: Tensor) -> dict[str, int]:
    """How many inputs one output of a weight (out, in, …kernel) has, and how many outputs one input."""
    if tensor.ndim < 2 or not tensor.numel():
        raise ValueError(f"{name}: needs a weight (out, in, …kernel) that is not empty; got {tensor.shape}")
    kernel = math.prod(tensor.shape[2:])
    return {"fan_in": tensor.shape[1] * kernel, "fan_out": tensor.shape[0] * kernel}


def _drawn_as(tensor: Tensor) -> tuple[tuple[int, ...], str]:
    """The shape and dtype to draw in: generators know float32 and float64."""
    return tensor.shape, (float64 if tensor.dtype == float64 else float32).name


def _written(tensor: Tensor, values: Array | float) -> Tensor:
    tensor.data[...] = values
    tensor.bump_version()
    return tensor
