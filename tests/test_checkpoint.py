"""Checkpoints: states come back bit for bit, a failed write leaves the old one, foreign files are refused."""

import json
import os
import pickle
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from tests import strict_cupy
from tinygrad_lite import Tensor
from tinygrad_lite.checkpoint import DTYPES, MARKER, CheckpointError, load, save


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.safetensors"


def back(path, state):
    save(path, state)
    return load(path)


def same(a, b):
    """Whether two states are equal bit for bit, types and the order of keys included."""
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and (a.dtype, a.shape) == (b.dtype, b.shape)
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


# -- round trips -----------------------------------------------------------------------------------------

ARRAYS = arrays(
    scalar_dtypes().filter(lambda dtype: dtype.name in DTYPES.split() and dtype.isnative),
    array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
NUMBERS = st.none() | st.booleans() | st.integers() | st.floats()
KEYS = st.text() | st.sampled_from(["a", "a.b", "b", "0", "a.0", "__metadata__", "~"])
STATES = st.dictionaries(
    KEYS,
    st.recursive(
        ARRAYS | NUMBERS | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(state=STATES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_bit_for_bit(path, state):
    assert same(state, back(path, state))


@pytest.mark.parametrize("dtype", DTYPES.split())
def test_a_dtype_comes_back(path, dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    assert same({"x": x}, back(path, {"x": x}))


@pytest.mark.parametrize(
    "x",
    [np.array(2.5, "f4"), np.zeros((0, 3), "f2"), np.array([np.nan, -0.0, np.inf]), np.array(True)],
    ids=["0-d", "empty", "special values", "0-d bool"],
)
def test_an_array_comes_back(path, x):
    assert same({"x": x}, back(path, {"x": x}))


@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[::-1], lambda x: x[:, ::2], lambda x: np.broadcast_to(x[0], (3, 4))],
    ids=["transposed", "reversed", "every second", "broadcast"],
)
def test_a_view_comes_back_as_what_it_shows(path, view):
    x = view(np.arange(12.0).reshape(3, 4))
    assert same({"x": x.copy(order="C")}, back(path, {"x": x}))


def test_big_endian_numbers_keep_their_values(path):
    x = back(path, {"x": np.array([1.5, 2.5], ">f4")})["x"]
    assert x.tolist() == [1.5, 2.5]


def test_keys_with_dots_stay_apart_from_nested_ones(path):
    state = {"a": {"b": np.zeros(1)}, "a.b": np.ones(2), "l": [np.zeros(3), [np.ones(4)]], "l.0": np.zeros(5)}
    assert same(state, back(path, state))


def test_tensors_come_back_as_arrays(path):
    assert same({"w": np.ones(2, "f4")}, back(path, {"w": Tensor([1.0, 1.0], requires_grad=True)}))


def test_tuples_come_back_as_lists(path):
    assert back(path, {"betas": (0.9, 0.999)}) == {"betas": [0.9, 0.999]}


def test_numpy_scalars_come_back_as_0_d_arrays_of_their_dtype(path):
    assert same({"lr": np.array(0.1, "f2")}, back(path, {"lr": np.float16(0.1)}))


def test_arrays_on_the_gpu_come_back_as_numpy_arrays(path, monkeypatch):
    for name, module in strict_cupy.MODULES.items():
        monkeypatch.setitem(sys.modules, name, module)
    x = sys.modules["cupy"].asarray(np.arange(3.0))
    assert same({"x": np.arange(3.0), "t": [np.arange(3.0)]}, back(path, {"x": x, "t": [Tensor(x)]}))


def test_loaded_arrays_are_free_to_be_written_to(path):
    save(path, {"x": np.zeros(2)})
    load(path)["x"][:] = 1
    assert load(path)["x"].tolist() == [0, 0]


def test_other_programs_see_the_arrays_under_dotted_names(path):
    save(path, {"model": {"0.weight": np.ones(2), "b": [np.zeros(1)]}, "step": 3})
    assert sorted(safetensors.numpy.load_file(path)) == ["model.0.weight", "model.b.0"]


def test_folders_are_made(tmp_path):
    assert back(tmp_path / "a" / "b" / "c.safetensors", {"x": 1}) == {"x": 1}


# -- what cannot be saved --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([1], r"save: needs a dict; got list"),
        ({"a": {"b": {1, 2}}}, r"save: a\.b is of type set; a state holds dicts, lists, numbers"),
        ({"a": [object()]}, r"save: a\.0 is of type object"),
        ({"a": {0: 1}}, r"save: a has the key 0; keys need to be text"),
        ({0: 1}, r"save: the state has the key 0"),
        ({"z": np.ones(2, "complex128")}, r"save: z has dtype complex128; a checkpoint holds bool int8"),
        ({"z": np.array([None])}, r"save: z has dtype object"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_refused_by_its_place(path, state, message):
    with pytest.raises(TypeError, match=message):
        save(path, state)
    assert not path.exists()


# -- writing aside ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(path, monkeypatch, stage, error):
    def fail(*_):
        raise error

    save(path, {"x": 1})
    monkeypatch.setattr(os, stage, fail)
    with pytest.raises(type(error)):
        save(path, {"x": 2})
    assert load(path) == {"x": 1}
    assert os.listdir(path.parent) == [path.name]


def test_the_file_is_on_disk_before_it_gets_its_name(path, monkeypatch):
    events = []
    monkeypatch.setattr(os, "fsync", lambda _: events.append(("fsync", path.exists())))
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda a, b: (events.append(("replace", path.exists())), replace(a, b))
    )
    save(path, {"x": 1})
    assert events == [("fsync", False), ("replace", False)]


# -- what is no checkpoint -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "c.safetensors"
    save(path, {"a": np.arange(5.0), "b": {"c": [1, np.zeros(3, "f4")]}})
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_off_anywhere_is_refused(path, whole, data):
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(
        CheckpointError, match=r"c\.safetensors is (a safetensors file, but cut off|no safetensors)"
    ):
        load(path)


def test_a_cut_off_file_is_called_that(path, whole):
    path.write_bytes(whole[:-1])
    with pytest.raises(
        CheckpointError, match=r"load: .*c\.safetensors is a safetensors file, but cut off or damaged"
    ):
        load(path)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is no safetensors file \(0 bytes\)"),
        (b"\x80\x02", r"is no safetensors file \(2 bytes\)"),
        (b"some words that are no checkpoint", r"is no safetensors file \(33 bytes\)"),
        (pickle.dumps([Trap()] * 9), r"is a pickle, which is never read"),
        (b"PK\x03\x04" + bytes(60), r"is a zip archive"),
        (b"\x93NUMPY\x01\x00" + bytes(60), r"is a NumPy \.npy file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), r"is an HDF5 file"),
        (safetensors.numpy.save({"x": np.ones(2)}), r"is a safetensors file, but no checkpoint"),
        (
            safetensors.numpy.save({"x": np.ones(2)}, {"format": "pt"}),
            r"is a safetensors file, but no checkpoint",
        ),
    ],
    ids=["empty", "short", "text", "pickle", "zip", "npy", "hdf5", "no metadata", "another format"],
)
def test_a_foreign_file_is_refused_by_what_it_is(path, content, message):
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=f"load: .*{message}.*; needed is a whole file that .*save wrote"
    ):
        load(path)


def test_a_missing_file_is_refused(path):
    with pytest.raises(CheckpointError, match=r"load: .*c\.safetensors does not exist; needed is"):
        load(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder; needed is"):
        load(tmp_path)


def test_a_newer_version_is_refused(path, whole):
    path.write_bytes(whole.replace(rb"\"version\": 1", rb"\"version\": 7"))
    with pytest.raises(CheckpointError, match="is of version 7, where this program reads version 1"):
        load(path)


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[" * 100_000,
        "[]",
        json.dumps({"version": 1, "places": {}}),
        json.dumps({"version": 1, "values": {}, "places": []}),
        json.dumps({"version": 1, "values": {}, "places": {"x": ["nowhere", "x"]}}),
        json.dumps({"version": 1, "values": {}, "places": {"x": []}}),
        json.dumps({"version": 1, "values": {}, "places": {"y": ["x"]}}),
    ],
    ids=lambda text: text[:70],
)
def test_metadata_that_make_no_sense_are_refused(path, broken):
    path.write_bytes(safetensors.numpy.save({"x": np.ones(2)}, {MARKER: broken}))
    with pytest.raises(
        CheckpointError, match=r"is (a damaged checkpoint|a safetensors file, but cut off or damaged)"
    ):
        load(path)


def test_the_same_state_makes_the_same_file(path, whole):
    for _ in range(9):
        save(path, load(path) if path.exists() else {"a": np.arange(5.0), "b": {"c": [1, np.zeros(3, "f4")]}})
        assert path.read_bytes() == whole
