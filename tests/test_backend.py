"""Where arrays live: dtypes, shapes, devices, threads, random draws."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lite as t
from tests import house
from tinygrad_lite import Tensor, backend

few = settings(max_examples=50, deadline=None)

# -- arrays --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number", "kind"),
    [(np.float32(2), 2, float), (np.int64(2), 2, int), (np.bool_(True), True, bool), (2.5, 2.5, float)],
)
def test_numpy_scalars_become_python_numbers(value, number, kind):
    assert backend.python_number(value) == number
    assert type(backend.python_number(value)) is kind


def test_other_values_stay_what_they_are():
    array = np.ones(2)
    assert backend.python_number(array) is array
    assert backend.python_number(None) is None


@pytest.mark.parametrize("value", [np.ones(2), np.float32(1), [1, np.ones(2)], (1, [np.ones(0, "float16")])])
def test_floats_are_found_wherever_they_are_held(value):
    assert backend.holds_floats(value)


@pytest.mark.parametrize(
    "value", [1.0, np.arange(2), np.ones(2, bool), np.int8(1), [1.0, 2], "float", None, np.float32]
)
def test_python_floats_integers_and_masks_are_no_floats_held(value):
    assert not backend.holds_floats(value)


@few
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0))
def test_a_shape_broadcasts_to_another_where_numpy_says_so(shapes):
    for shape in shapes.input_shapes:
        assert backend.broadcasts_to(shape, shapes.result_shape)
    a, b = shapes.input_shapes
    assert backend.broadcasts_to(a, b) == (shapes.result_shape == b)


@pytest.mark.parametrize(
    ("shape", "target"), [((3,), (2,)), ((2, 3), (3, 2)), ((2, 3), (3,)), ((1,), ()), ((2,), (1,))]
)
def test_a_shape_that_does_not_broadcast_is_told(shape, target):
    assert not backend.broadcasts_to(shape, target)


# -- devices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parsed"), [("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:12", ("cuda", 12))]
)
def test_device_names_are_parsed(text, parsed):
    assert backend.parse_device(text) == parsed


@pytest.mark.parametrize("text", ["gpu", "cpu:0", "cuda:x", "cuda:-1", "", None, 0])
def test_another_device_name_is_refused(text):
    with pytest.raises(ValueError, match="device: expected 'cpu', 'cuda' or 'cuda:1'; got"):
        backend.parse_device(text)


def test_without_cupy_a_gpu_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(backend, "_cuda", {})
    monkeypatch.setitem(sys.modules, "cupy", None)
    for ask in (lambda: Tensor([1.0], device="cuda"), lambda: Tensor([1.0]).to("cuda:0")):
        with pytest.raises(
            RuntimeError, match=r"device 'cuda.*' cannot be used\. CuPy is not installed: pip install"
        ):
            ask()


def test_a_gpu_that_does_not_work_is_refused_with_its_own_words(monkeypatch, cuda):
    def broken(*_args, **_options):
        raise RuntimeError("cudaErrorNoDevice")

    monkeypatch.setattr(sys.modules["cupy"], "ones", broken)
    with pytest.raises(RuntimeError, match="CuPy is installed but cannot use a GPU: cudaErrorNoDevice"):
        Tensor([1.0], device=cuda)


def test_importing_the_framework_does_not_import_cupy():
    script = "import sys, tinygrad_lite; print('cupy' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=house.ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


def test_a_tensor_moves_there_and_back(cuda):
    x = Tensor([1.0, 2.0])
    y = x.to(cuda)
    assert (y.device, y.tolist()) == ("cuda:0", [1, 2])
    assert y.to("cuda:0") is y
    assert x.to("cpu") is x
    assert type(y.to("cpu").data) is np.ndarray
    assert "device='cuda:0'" in repr(y)


def test_gradients_move_back_to_second_order(cuda):
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x.to(cuda) ** 3).sum()
    (g,) = t.grad(y, x, create_graph=True)
    assert (g.device, g.tolist()) == ("cpu", [3, 12])
    assert t.grad(g.sum(), x)[0].tolist() == [6, 12]
    assert repr(x.to(cuda).grad_fn) == "<Move>"


def test_tensors_on_different_devices_do_not_meet(cuda):
    with pytest.raises(
        TypeError, match=r"\(2,\) on cpu, \(2,\) on cuda:0; move one of them with \.to\(device\)"
    ):
        Tensor([1.0, 2.0]) + Tensor([1.0, 2.0], device=cuda)


def test_numpy_gives_a_copy_from_the_gpu_that_cannot_be_written(cuda):
    view = Tensor([1.0, 2.0], device=cuda).numpy()
    assert type(view) is np.ndarray
    assert not view.flags.writeable


# -- random draws --------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_draws():
    a, b = (backend.keyed_rng(1, "noise", 2).standard_normal(5) for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("key", [(2, "noise", 2), (1, "order", 2), (1, "noise", 3)])
def test_another_key_gives_other_draws(key):
    assert not np.array_equal(
        backend.keyed_rng(1, "noise", 2).standard_normal(5), backend.keyed_rng(*key).standard_normal(5)
    )


def test_draws_are_the_same_in_every_process():
    script = dedent("""
        from tinygrad_lite.backend import keyed_rng
        print(keyed_rng(7, "noise", 3).integers(10**9))
    """)
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=house.ROOT, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == backend.keyed_rng(7, "noise", 3).integers(10**9)


def test_manual_seed_sets_the_ambient_draws():
    t.manual_seed(3)
    first = backend.ambient_rng().standard_normal(5)
    going_on = backend.ambient_rng().standard_normal(5)
    t.manual_seed(3)
    np.testing.assert_array_equal(backend.ambient_rng().standard_normal(5), first)
    assert not np.array_equal(first, going_on)


@few
@given(st.integers(0, 2**63), st.text(max_size=8), st.integers(0, 2**40))
def test_any_seed_purpose_and_step_make_a_generator(seed, purpose, step):
    assert 0 <= backend.keyed_rng(seed, purpose, step).random() < 1


def test_the_gpu_draws_from_a_stream_of_its_own(cuda):
    Tensor([1.0], device=cuda)
    xp = sys.modules["cupy"]
    t.manual_seed(3)
    first = backend.to_numpy(backend.ambient_rng(xp).random(5))
    t.manual_seed(3)
    np.testing.assert_array_equal(backend.to_numpy(backend.ambient_rng(xp).random(5)), first)
