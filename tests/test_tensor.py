"""Tensor: what it takes and shows, how it leaves the framework, what may be written; and the grad modes."""

import copy
import operator
import threading

import numpy as np
import pytest

import tinygrad_lite as t
from tinygrad_lite import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# -- what it takes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"),
        ([1.0, 2], "float32"),
        ([], "float32"),
        (3, "int64"),
        ([[1, 2], [3, 4]], "int64"),
        ([True, False], "bool"),
        (np.float64(1.5), "float64"),
        (np.ones(2), "float64"),
        (np.ones(2, "float16"), "float16"),
        (np.ones(2, "uint8"), "uint8"),
        (np.array(1.5), "float64"),
    ],
)
def test_arrays_keep_their_dtype_and_python_floats_become_float32(data, dtype):
    assert Tensor(data).dtype == dtype


def test_a_dtype_that_is_asked_for_is_given():
    assert Tensor([1, 2], dtype="float64").dtype == "float64"


def test_a_python_float_is_not_rounded_on_its_way_to_float64():
    assert Tensor([0.1], dtype="float64").item() == 0.1
    assert Tensor(0.1, dtype="float64").item() == 0.1


def test_the_memory_of_an_array_is_shared():
    array = np.zeros(2)
    assert Tensor(array).data is array


def test_a_list_of_tensors_becomes_one_tensor():
    assert Tensor([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])]).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("data", [[[1, 2], [3]], ["a"], [None], 1j, [2**70], object()])
def test_what_is_no_rectangle_of_real_numbers_is_refused(data):
    with pytest.raises(
        TypeError, match=r"tensor: needs (a rectangular list of numbers|real numbers or booleans)"
    ):
        Tensor(data)


def test_a_tensor_of_a_tensor_is_refused_with_what_to_write(x):
    with pytest.raises(TypeError, match=r"use detach\(\)"):
        Tensor(x)


@pytest.mark.parametrize("data", [3, [True], np.ones(2, "uint8")])
def test_integers_and_booleans_take_no_gradient(data):
    with pytest.raises(TypeError, match="only floats have gradients; this tensor is"):
        Tensor(data, requires_grad=True)


def test_a_computed_integer_tensor_requires_no_gradient(x):
    assert not x.to("int64").requires_grad
    assert not (x > 1).requires_grad


def test_a_computed_tensor_cannot_stop_requiring_a_gradient(x):
    with pytest.raises(RuntimeError, match=r"use detach\(\)"):
        (x * 2).requires_grad = False


def test_requires_grad_can_be_set_and_taken_back():
    x = Tensor([1.0]).requires_grad_()
    assert x.requires_grad
    assert not x.requires_grad_(False).requires_grad


# -- what it shows -------------------------------------------------------------------------------------


def test_it_shows_what_its_array_is():
    x = Tensor(np.zeros((2, 3), "float16"))
    assert (x.shape, x.ndim, x.dtype, x.device, x.numel()) == ((2, 3), 2, "float16", "cpu", 6)


def test_leaves_are_what_no_operation_recorded(x):
    assert x.is_leaf
    assert x.grad_fn is None
    assert not (x * 2).is_leaf
    assert repr((x * 2).grad_fn) == "<Scale>"
    assert (Tensor([1.0]) * 2).is_leaf


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (Tensor(3), "tensor(3)"),
        (Tensor([True]), "tensor([ True])"),
        (Tensor(np.ones(1)), "tensor([1.], dtype=float64)"),
        (Tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (Tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<Scale>)"),
        (Tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
    ],
)
def test_its_repr_shows_values_and_what_is_special(tensor, text):
    assert repr(tensor) == text


def test_a_scalar_formats_as_its_number():
    assert f"{Tensor(0.123456):.3f}" == "0.123"


def test_several_elements_take_no_format():
    with pytest.raises(TypeError, match="format string"):
        f"{Tensor([1.0, 2.0]):.3f}"


def test_a_tensor_as_a_key_is_itself(x):
    assert {x: "found"}[x] == "found"
    assert Tensor([1.0, 2.0, 3.0]) not in {x: 1}


# -- how it leaves the framework -----------------------------------------------------------------------


def test_numpy_gives_a_view_that_cannot_be_written(x):
    view = x.numpy()
    assert np.shares_memory(view, x.data)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 9
    assert x.data.flags.writeable


def test_asarray_of_a_tensor_that_requires_a_gradient_is_refused(x):
    with pytest.raises(TypeError, match=r"would lose its graph; call \.numpy\(\)"):
        np.asarray(x)


def test_asarray_of_a_tensor_without_gradient_gives_its_values(x):
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 2, 3])
    assert np.asarray(x.detach(), dtype="float64").dtype == "float64"


@pytest.mark.parametrize(
    "function", [np.exp, np.negative, lambda x: np.add(x, 1), lambda x: np.add(np.ones(3), x)]
)
def test_numpy_functions_refuse_a_tensor(function, x):
    with pytest.raises(TypeError, match="does not support ufuncs"):
        function(x)


def test_item_float_int_bool_and_tolist_give_python_values():
    x = Tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x), x.tolist()) == (2.5, 2.5, 2, True, [[2.5]])
    assert type(x.item()) is float
    assert type(Tensor(3).item()) is int


@pytest.mark.parametrize(("data", "shape"), [([1.0, 2.0], r"\(2,\)"), ([], r"\(0,\)")])
def test_item_wants_one_element(data, shape):
    with pytest.raises(ValueError, match=f"item: needs one element; got shape {shape}"):
        Tensor(data).item()


def test_the_truth_of_several_elements_is_refused(x):
    with pytest.raises(
        ValueError, match=r"a tensor of shape \(3,\) is neither true nor false; ask \.numpy\(\)"
    ):
        bool(x > 1)


def test_its_length_is_that_of_the_first_dim():
    assert len(Tensor(np.zeros((2, 5)))) == 2
    with pytest.raises(TypeError, match="0-d tensor has no length"):
        len(Tensor(1.0))


def test_iteration_gives_rows_with_their_graph(x):
    _, second, third = x
    (second * third).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 3, 2])
    with pytest.raises(TypeError, match="0-d"):
        list(Tensor(1.0))


def test_a_deep_copy_shares_nothing(x):
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert not np.shares_memory(y.data, x.data)


# -- its graph -----------------------------------------------------------------------------------------


def test_detach_shares_memory_and_drops_the_graph(x):
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    assert np.shares_memory(x.detach().data, x.data)


def test_retain_grad_gives_a_computed_tensor_its_gradient(x):
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward()
    np.testing.assert_array_equal(h.grad.numpy(), [4, 8, 12])


def test_a_retained_gradient_accumulates(x):
    h = x * 2
    h.retain_grad()
    y = (h * h).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(h.grad.numpy(), [8, 16, 24])


def test_a_retained_gradient_shares_no_memory(x):
    h = x + 0
    h.retain_grad()
    (h + 0).sum().backward()
    h.grad.data *= 7
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1])


def test_the_output_itself_can_retain_its_gradient(x):
    y = x.sum()
    y.retain_grad()
    y.backward()
    assert y.grad.item() == 1


def test_a_retained_tensor_that_was_dropped_is_not_missed(x):
    h = x * 2
    h.retain_grad()
    y = (h * h).sum()
    del h
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [8, 16, 24])


def test_retain_grad_of_what_gets_no_gradient_is_refused():
    with pytest.raises(RuntimeError, match="retain_grad: this tensor requires no gradient"):
        Tensor([1.0]).retain_grad()


# -- writing in place ----------------------------------------------------------------------------------


def test_item_assignment_is_refused_with_what_to_write(x):
    for tensor in (x, x * 2, Tensor([1.0])):
        with pytest.raises(
            TypeError, match=r"where\(mask, v, x\) or scatter_add.*or assign under no_grad\(\)"
        ):
            tensor[0] = 5


@pytest.mark.parametrize("key", [0, slice(0, 1), [0], Tensor([0]), Tensor([True, False, False])])
def test_item_assignment_writes_under_no_grad(x, key):
    with t.no_grad():
        x[key] = Tensor(5.0)
    assert x.tolist() == [5, 2, 3]


def test_adding_in_place_rebinds_a_computed_tensor(x):
    h = before = x * 2
    h += x
    (h * 1).sum().backward()
    assert h is not before
    assert before.tolist() == [2, 4, 6]
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3, 3])


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (operator.iadd, [3, 4, 5]),
        (operator.isub, [-1, 0, 1]),
        (operator.imul, [2, 4, 6]),
        (operator.itruediv, [0.5, 1, 1.5]),
    ],
)
@pytest.mark.parametrize("two", [2, Tensor(2.0)])
def test_operators_write_in_place_under_no_grad(x, write, value, two):
    data = x.data
    with t.no_grad():
        assert write(x, two) is x
    assert x.data is data
    assert x.tolist() == value


@pytest.mark.parametrize(
    ("write", "symbol"),
    [(operator.iadd, r"\+"), (operator.isub, "-"), (operator.imul, r"\*"), (operator.itruediv, "/")],
)
def test_writing_into_a_leaf_by_an_operator_is_refused_with_what_to_write(x, write, symbol):
    with pytest.raises(RuntimeError, match=f"x {symbol}= y: x is a leaf.*Write z = x {symbol} y"):
        write(x, 1)


def test_adding_in_place_to_a_constant_keeps_the_other_graph(x):
    total = Tensor([0.0, 0.0, 0.0])
    total += x
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1])


# -- grad modes ----------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_puts_the_mode_back(x):
    with t.no_grad():
        assert not (x * 2).requires_grad
        assert not t.is_grad_enabled()
    assert (x * 2).requires_grad


def test_grad_modes_nest(x):
    with t.no_grad():
        with t.enable_grad():
            assert (x * 2).requires_grad
            with t.no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad


def test_the_mode_is_put_back_after_an_error():
    with pytest.raises(KeyError), t.no_grad():
        raise KeyError
    assert t.is_grad_enabled()


def test_grad_modes_decorate_with_and_without_parentheses(x):
    @t.no_grad()
    def with_parentheses(x):
        """Doubles."""
        return x * 2

    @t.no_grad
    def without(x, factor=2):
        return x * factor

    @t.enable_grad()
    def recorded(x):
        return x * 2

    assert not with_parentheses(x).requires_grad
    assert not without(x, factor=3).requires_grad
    with t.no_grad():
        assert recorded(x).requires_grad
    assert (with_parentheses.__name__, with_parentheses.__doc__) == ("with_parentheses", "Doubles.")
    assert t.is_grad_enabled()


def test_a_decorated_function_may_call_itself():
    @t.no_grad
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    assert depth(3) == 3
    assert t.is_grad_enabled()


def test_a_generator_is_not_decorated():
    def numbers():
        yield 1

    with pytest.raises(
        TypeError, match=r"no_grad: cannot decorate a generator; write `with no_grad\(\):` in numbers"
    ):
        t.no_grad()(numbers)
    with pytest.raises(TypeError, match="enable_grad: cannot decorate a generator"):
        t.enable_grad(numbers)


def test_the_mode_of_one_thread_does_not_bind_another():
    seen = {}
    with t.no_grad():
        thread = threading.Thread(target=lambda: seen.update(mode=t.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == {"mode": True}


def test_items_are_written_at_indices_that_are_tensors_on_the_gpu_too(cuda):
    x = Tensor(np.zeros((2, 3)), device=cuda)
    with t.no_grad():
        x[0, Tensor([1, 2], device=cuda)] = 5
        x[Tensor([1], device=cuda)] = 7
    assert x.tolist() == [[0, 5, 5], [7, 7, 7]]


def test_one_no_grad_object_may_be_nested_in_itself():
    context = t.no_grad()
    with context, context:
        pass
    assert t.is_grad_enabled()
