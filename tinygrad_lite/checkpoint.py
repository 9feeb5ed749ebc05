"""Checkpoints: a nested dict of arrays and plain values as one safetensors file.

The arrays are the file's tensors, under dotted names (`model.0.weight`) that any safetensors program shows.
Its metadata holds the rest as JSON, with null where an array was, and each array's place as a list of keys,
so that keys may hold dots. Nothing is pickled: reading a stranger's file runs none of its code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tinygrad_lite.backend import is_array, to_numpy
from tinygrad_lite.tensor import Tensor

MARKER, VERSION = "tinygrad_lite checkpoint", 1  # in the metadata: what marks a file as one of ours
DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"

Place: TypeAlias = tuple[str | int, ...]  # the keys and list indices that lead to a value


class CheckpointError(ValueError):
    """A file that is no whole checkpoint, as `save` writes them."""


# -- writing ---------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write `state` to the file `path`, from which `load` reads it back bit for bit.

    The file is written beside its place, flushed to disk and renamed: whatever happens, `path` holds the old
    checkpoint or the new one, whole. Equal states make equal files. Missing folders are made.

    Args:
        path: the file; by custom its name ends in .safetensors.
        state: dicts with text keys, lists, numbers, text, True, False, None, arrays and Tensors, nested.
            Tuples come back as lists; Tensors, arrays on the GPU and NumPy scalars as NumPy arrays.

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
    places = _named(arrays)
    # Under a single key, as safetensors writes several in an order that changes from one time to the next.
    metadata = {MARKER: json.dumps({"version": VERSION, "values": values, "places": places})}
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
        if strays := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"save: {_dotted(place)} has the key {strays[0]!r}; keys need to be text")
        return {key: _without_arrays(item, (*place, key), arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, (*place, i), arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"save: {_dotted(place)} is of type {type(value).__name__}; a state holds dicts, lists, numbers, "
        "text, True, False, None, arrays and Tensors"
    )


def _dense(value: Any, place: Place) -> np.ndarray:
    """A NumPy array in C order: safetensors copies the memory as it lies."""
    array = np.asarray(to_numpy(value), order="C")  # ascontiguousarray makes 0-d arrays 1-d
    if array.dtype.name not in DTYPES.split():
        raise TypeError(f"save: {_dotted(place)} has dtype {array.dtype}; a checkpoint holds {DTYPES}")
    return array


def _named(places: Iterable[Place]) -> dict[str, Place]:
    """A name for each place: its keys joined by dots, with ~ after a name that is taken."""
    names: dict[str, Place] = {}
    for place in places:
        name = _dotted(place)
        while name in names or name == "__metadata__":  # which the format keeps to itself
            name += "~"
        names[name] = place
    return names


def _dotted(place: Place) -> str:
    return ".".join(map(str, place)) if place else "the state"


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

NEEDED = "needed is a whole file that tinygrad_lite.checkpoint.save wrote"
FIRST_BYTES = {
    b"PK": "a zip archive, as torch's and NumPy's .npz files are",
    b"\x80": "a pickle, which is never read",
    b"\x93NUMPY": "a NumPy .npy file",
    b"\x89HDF": "an HDF5 file",
}


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state that `save` wrote to the file `path`; its arrays are NumPy's, and free to be written to.

    Raises:
        CheckpointError: for a file that is missing, cut off, another program's or a newer version's; the text
            says which.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"load: {path} {'is a folder' if path.is_dir() else 'does not exist'}; {NEEDED}"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            return _read(file.metadata() or {}, file.get_tensor)
    except SafetensorError:
        problem = _look_of(path)
    except CheckpointError as error:
        problem = str(error)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        problem = f"a damaged checkpoint ({error!r})"
    raise CheckpointError(f"load: {path} is {problem}; {NEEDED}")


def _read(metadata: dict[str, str], array_named: Callable[[str], np.ndarray]) -> dict[str, Any]:
    """The values of a checkpoint, with the arrays put back in their places."""
    if MARKER not in metadata:
        raise CheckpointError("a safetensors file, but no checkpoint")
    content = json.loads(metadata[MARKER])
    if content["version"] != VERSION:
        raise CheckpointError(f"of version {content['version']}, where this program reads version {VERSION}")
    for name, (*way, last) in content["places"].items():
        owner = content["values"]
        for key in way:
            owner = owner[key]
        owner[last] = array_named(name)
    return content["values"]


def _look_of(path: Path) -> str:
    """What a file seems to be that safetensors refuses."""
    with path.open("rb") as file:
        start = file.read(9)
    size = path.stat().st_size
    if start[8:] == b"{":  # 8 bytes give the length of the header, which is JSON
        return f"a safetensors file, but cut off or damaged ({size} bytes)"
    looks = [look for first, look in FIRST_BYTES.items() if size > 8 and start.startswith(first)]
    return looks[0] if looks else f"no safetensors file ({size} bytes)"
