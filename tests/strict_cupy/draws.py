"""cupy.random: generators alone, for nothing here draws from a global one."""

from typing import Any

import numpy as np

from .array import Array, absent, wrap


class Generator:
    """cupy.random.Generator: no normal, choice, permutation or shuffle, and other bits than NumPy's."""

    def __init__(self, seed: int | None = None) -> None:
        self._host = np.random.default_rng(None if seed is None else [seed, 0xC0DA])

    def __getattr__(self, name: str) -> Any:
        raise absent("cupy.random.Generator", name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cupy.random.Generator cannot be pickled; make one from a seed")

    def random(self, size: Any = None, dtype: Any = "float64") -> Array:
        return wrap(np.asarray(self._host.random(size, _one_of(("float32", "float64"), dtype))))

    def standard_normal(self, size: Any = None, dtype: Any = "float64") -> Array:
        return wrap(np.asarray(self._host.standard_normal(size, _one_of(("float32", "float64"), dtype))))

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None, dtype: Any = "float64") -> Array:
        return low + (high - low) * self.random(size, dtype)

    def integers(
        self, low: int, high: Any = None, size: Any = None, dtype: Any = "int64", endpoint: bool = False
    ) -> Array:
        dtype = _one_of(("int32", "int64"), dtype)
        return wrap(np.asarray(self._host.integers(low, high, size, dtype, endpoint)))


def _one_of(names: tuple[str, ...], dtype: Any) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype.name not in names:
        raise TypeError(f"cupy.random.Generator: draws {' or '.join(names)} here; got {dtype}")
    return dtype
