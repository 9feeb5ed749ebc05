"""Checkpoints: a nested dict of arrays and plain values as one safetensors file.

The arrays are the file's tensors, under dotted names (`model.0.weight`) that any safetensors program shows. Its
metadata holds the rest as JSON, with null where an array was, and the place of each array as a list of keys,
so that keys may hold dots. Nothing is pickled: reading a file from a stranger runs none of its code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tinygrad_lite.backend import is_array, to_numpy
from tinygrad_lite.tensor import Tensor

FORMAT, VERSION = "tinygrad_lite checkpoint", "1"
DTYPES = (
    "bool",
    *(f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)

Place: TypeAlias = tuple[str | int, ...]  # the keys and list indices that lead to a value


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint, as `save` writes them."""


# -- writing ---------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write `state` to the file `path`, which `load` reads back bit for bit.

    The file is written beside its place, flushed to disk and renamed: whatever happens, `path` holds the old
    checkpoint or the new one, whole. Missing folders are made.

    Args:
        path: the file; by custom its name ends in .safetensors.
        state: dicts with text keys, lists, numbers, text, True, False, None, arrays and Tensors, nested at will.
            Tuples come back as lists, and Tensors, arrays on the GPU and NumPy scalars as NumPy arrays.

    Raises:
        TypeError: for any other value, key or dtype; the text names its place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(f"{folder}/x.safetensors", {"step": 3, "model": {"0.bias": np.zeros(2)}})
        ...     load(f"{folder}/x.safetensors")
        {'step': 3, 'model': {'0.bias': array([0., 0.])}}
    """
    if not isinstance(state, dict):
        raise TypeError(f"save: needs a dict; got {type(state).__name__}")
    arrays: dict[Place, np.ndarray] = {}
    values = _without_arrays(state, (), arrays)
    places = _names(arrays)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "values": json.dumps(values),
        "places": json.dumps(places),
    }
    tensors = {name: arrays[place] for name, place in places.items()}
    _write(Path(path), safetensors.numpy.save(tensors, metadata))


def _without_arrays(value: Any, place: Place, arrays: dict[Place, np.ndarray]) -> Any:
    """`value` with None for every array in it; the arrays go into `arrays`, by place."""
    if isinstance(value, Tensor):
        value = value.data
    if is_array(value) or isinstance(value, np.generic):
        arrays[place] = _dense(value, place)
        return None
    if isinstance(value, dict):
        strays = [key for key in value if not isinstance(key, str)]
        if strays:
            raise TypeError(f"save: {_said(place)} has the key {strays[0]!r}; keys need to be text")
        return {key: _without_arrays(item, (*place, key), arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, (*place, i), arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"save: {_said(place)} is of type {type(value).__name__}; a state holds dicts, lists, numbers, text, "
        "True, False, None, arrays and Tensors"
    )


def _dense(value: Any, place: Place) -> np.ndarray:
    """A NumPy array in C order, as safetensors reads its memory; ascontiguousarray would lose the 0-d shape."""
    array = np.asarray(to_numpy(value), order="C")
    if array.dtype.name not in DTYPES:
        raise TypeError(
            f"save: {_said(place)} has dtype {array.dtype}; a checkpoint holds {', '.join(DTYPES)}"
        )
    return array


def _said(place: Place) -> str:
    return ".".join(map(str, place)) or "the state"


def _names(places: Any) -> dict[str, Place]:
    """A name for each place: its keys joined by dots, with ~ after a name that is taken."""
    names: dict[str, Place] = {}
    for place in places:
        name = ".".join(map(str, place))
        while name in names or name == "__metadata__":  # the format keeps that one to itself
            name += "~"
        names[name] = place
    return names


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


# -- reading ---------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state that `save` wrote to the file `path`, with NumPy arrays of its own.

    Raises:
        CheckpointError: for a file that is missing, cut off, damaged, of another program or a newer version; the
            text says which.
    """
    path = Path(path)
    if not path.is_file():
        problem = "is a folder: name the checkpoint in it" if path.is_dir() else "does not exist"
        raise CheckpointError(f"load: {path} {problem}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            return _with_arrays(metadata, file.get_tensor)
    except SafetensorError:
        raise CheckpointError(f"load: {path} is {_described(path)}; {_RIGHT}") from None
    except (KeyError, IndexError, TypeError, RecursionError, json.JSONDecodeError) as error:
        raise CheckpointError(f"load: {path} is a damaged checkpoint ({error!r}); {_RIGHT}") from None


_RIGHT = "needed is a whole file that tinygrad_lite.checkpoint.save wrote"
_FIRST_BYTES = {
    b"PK": "a zip archive, as torch and .npz files are",
    b"\x93NUMPY": "an .npy file",
    b"\x89HDF": "an HDF5 file",
    b"\x80": "a pickle, which is never read",
}


def _check_format(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"load: {path} is a safetensors file, but of another program; {_RIGHT}")
    version = metadata.get("version")
    if version != VERSION:
        raise CheckpointError(
            f"load: {path} is a checkpoint of version {version}; this tinygrad_lite reads version {VERSION}"
        )


def _with_arrays(metadata: dict[str, str], array_named: Callable[[str], np.ndarray]) -> dict[str, Any]:
    """The values of a checkpoint with its arrays put back in their places."""
    state = json.loads(metadata["values"])
    for name, (*way, last) in json.loads(metadata["places"]).items():
        owner = state
        for key in way:
            owner = owner[key]
        owner[last] = array_named(name)
    return state


def _described(path: Path) -> str:
    """What a file that safetensors refuses seems to be."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # after the length of the header, in 8 bytes, comes the header, in JSON
        return f"a safetensors file that is cut off or damaged ({path.stat().st_size} bytes are left)"
    known = [what for first, what in _FIRST_BYTES.items() if start.startswith(first) and len(start) == 9]
    return known[0] if known else f"no safetensors file ({path.stat().st_size} bytes)"
