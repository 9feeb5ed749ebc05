"""The walk back: sums of gradients, their memory, gradients of gradients; and the defects of others."""

import gc
import itertools
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tests.small_graphs import Square, leaf, ones
from tinygrad_lite import Function, Tensor

# -- values, and gradients that accumulate -------------------------------------------------------------


def test_a_tensor_used_twice_gets_both_gradients():
    x = leaf(3.0)
    (x * x + x).backward(np.ones(1))
    assert x.grad.item() == 7


def test_gradients_of_two_walks_add_up():
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 8])


def test_accumulation_leaves_the_gradient_that_was_there_as_it_was():
    x = leaf(1.0)
    x.sum().backward()
    before = x.grad
    x.sum().backward()
    assert (before.item(), x.grad.item()) == (1, 2)


def test_a_graph_that_was_retained_gives_the_same_gradient_again():
    x = leaf(2.0)
    y = (x * x * x * x * x).sum()  # interior gradients that were kept would come in twice
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 2 * 5 * 2**4


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_in_which_terms_are_added_does_not_matter(order):
    a, b = leaf(1.0), leaf(1.0)
    terms = [2 * a, a, b]
    first, second, third = (terms[i] for i in order)
    (first + (second + third)).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (3, 1)


def test_a_leaf_itself_can_be_walked_back_from():
    x = leaf(5.0)
    x.backward()
    assert x.grad.tolist() == [1]


def test_what_requires_no_gradient_gets_none():
    x, constant = leaf(1.0), Tensor(np.ones(1))
    (x * constant).sum().backward()
    assert constant.grad is None


@pytest.mark.parametrize("uses", range(1, 9))
def test_a_tensor_used_any_number_of_times_gets_all_its_gradients(uses):
    x = leaf(1.0, 2.0)
    h = x * 1
    total = h * 1
    for k in range(2, uses + 1):
        total = total + h * k
    total.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [uses * (uses + 1) / 2] * 2)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("+-*"), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=20
    )
)
def test_any_graph_of_sums_and_products_gives_the_derivatives_of_forward_mode(steps):
    leaves = [Tensor(np.array(v), requires_grad=True) for v in (0.5, -1.5, 0.75)]
    tensors = list(leaves)
    values = [(leaf.item(), np.eye(3)[i]) for i, leaf in enumerate(leaves)]  # each with its three derivatives
    for symbol, i, j in steps:
        (a, da), (b, db) = values[i % len(values)], values[j % len(values)]
        x, y = tensors[i % len(tensors)], tensors[j % len(tensors)]
        if symbol == "*":
            tensors.append(x * y)
            values.append((a * b, a * db + b * da))
        else:
            tensors.append(x + y if symbol == "+" else x - y)
            values.append((a + b, da + db) if symbol == "+" else (a - b, da - db))
    found = t.grad(tensors[-1], leaves, allow_unused=True)
    np.testing.assert_allclose([0 if g is None else g.item() for g in found], values[-1][1], rtol=1e-12)


# -- nobody shares a gradient's memory -----------------------------------------------------------------


def test_leaves_never_share_the_memory_of_their_gradients():
    x, b1, b2 = ones(3), ones(3), ones(3)
    (x + b1 + b2).sum().backward()
    for g, h in itertools.combinations((x.grad, b1.grad, b2.grad), 2):
        assert not np.shares_memory(g.data, h.data)


def test_the_gradient_of_a_leaf_shares_no_memory_with_the_one_that_was_passed():
    x, gradient = ones(3), np.ones(3)
    (x + 0).backward(gradient)
    gradient[:] = 7
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1])


def test_the_gradient_of_a_leaf_shares_no_memory_with_what_backward_returned_from_its_saves():
    class Half(Function):
        def forward(self, x):
            return x * x / 2

        def backward(self, grad, x):
            return x

    x = leaf(1.0, 2.0)
    Half()(x).sum().backward()
    assert not np.shares_memory(x.grad.data, x.data)


@pytest.mark.parametrize("view", [lambda g: g, lambda g: g[::-1], lambda g: g.reshape(3, 1)[:, 0]])
def test_the_gradient_of_a_leaf_shares_no_memory_with_what_someone_else_holds(view):
    held = []

    class Holding(Function):
        def forward(self, x):
            return x * 2

        def backward(self, grad):
            held.append(view(grad * 2))
            return held[-1]

    x = leaf(1.0, 2.0, 3.0)
    Holding()(x).sum().backward()
    assert not np.shares_memory(x.grad.data, held[0])


def test_a_leaf_takes_over_a_gradient_that_nobody_else_holds():
    addresses = []

    class Telling(Function):
        def forward(self, x):
            return x * 2

        def backward(self, grad):
            g = grad * 2
            addresses.append(g.ctypes.data)
            return g

    x = leaf(1.0, 2.0, 3.0)
    Telling()(x).sum().backward()
    assert addresses == [x.grad.data.ctypes.data]


@pytest.mark.parametrize("spread", [lambda x: x.sum(), lambda x: x.mean(), lambda x: x.expand(4, 3).sum()])
def test_a_gradient_that_was_spread_can_be_written(spread):
    x = ones(3)
    spread(x).backward()
    x.grad.data -= 0.5
    assert x.grad.data.flags.writeable


def test_a_gradient_of_no_dimensions_is_an_array():
    x = Tensor(2.0, requires_grad=True)
    (x * x).backward()
    assert isinstance(x.grad.data, np.ndarray)


# -- walks that cannot start, or not again -------------------------------------------------------------


def test_backward_without_a_graph_is_refused():
    with pytest.raises(RuntimeError, match="backward: this tensor has no graph"):
        Tensor([1.0]).sum().backward()
    with t.no_grad():
        y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="has no graph"):
        y.backward()


def test_several_elements_without_a_gradient_are_refused():
    with pytest.raises(
        RuntimeError, match=r"a tensor of shape \(2,\) needs a gradient of that shape.*sum\(\)"
    ):
        leaf(1.0, 2.0).exp().backward()


def test_a_single_element_of_any_shape_starts_with_one():
    x = ones(1, 1)
    (x * 3).backward()
    assert x.grad.tolist() == [[3]]


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(
        RuntimeError, match=r"the gradient to start with has shape \(3,\); the output has \(2,\)"
    ):
        (ones(2) * 2).backward(np.ones(3))


@pytest.mark.parametrize("gradient", [np.ones(2, "int64"), Tensor([1.0, 1.0]), [1, 1]])
def test_the_gradient_that_a_walk_starts_with_takes_the_outputs_dtype(gradient):
    x = leaf(1.0, 2.0)
    (x * x).backward(gradient)
    assert x.grad.dtype == "float64"


def test_a_second_walk_is_refused_and_names_what_is_gone():
    x = leaf(2.0)
    y = Square()(x)
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"walked before.*<Square>.*retain_graph=True.*before the loop is used"
    ):
        y.backward()


def test_a_tensor_computed_before_the_loop_is_refused_in_the_second_turn():
    w = leaf(2.0)
    scale = w.exp()
    (scale * 3).sum().backward()
    with pytest.raises(RuntimeError, match="<Exp>"):
        (scale * 3).sum().backward()


def test_a_walk_that_failed_does_no_harm_to_the_next():
    class Broken(Square):
        def backward(self, grad, x):
            raise KeyError("planted")

    x = leaf(2.0)
    with pytest.raises(KeyError, match="planted"):
        Broken()(x).backward()
    assert x.grad is None
    assert t.is_grad_enabled()
    Square()(x).backward()
    assert x.grad.item() == 4


# -- gradients of gradients ----------------------------------------------------------------------------


def test_third_derivatives():
    x = leaf(2.0, 3.0)
    y = (x**4).sum()
    for expected in ([32, 108], [48, 108], [48, 72]):
        (g,) = t.grad(y, x, create_graph=True)
        np.testing.assert_allclose(g.numpy(), expected)
        y = g.sum()


def test_derivatives_of_a_saved_output():
    x = leaf(0.5)
    y = x.tanh()
    for _ in range(3):
        (y,) = t.grad(y, x, create_graph=True)
    tanh = np.tanh(0.5)
    assert y.item() == pytest.approx((1 - tanh**2) * (6 * tanh**2 - 2))


def test_backward_with_create_graph_leaves_gradients_that_differentiate():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    (second,) = t.grad(x.grad, x)
    assert (x.grad.item(), second.item()) == (12, 12)


def test_gradients_keep_their_graph_even_under_no_grad():
    x = leaf(2.0)
    for times in (1, 2):
        y = (x**3).sum()
        with t.no_grad():
            y.backward(create_graph=True)
        assert t.grad(x.grad, x, retain_graph=True)[0].item() == 12 * times


@pytest.mark.parametrize("create_graph", [False, True])
def test_operations_are_recorded_within_backward_where_a_graph_is_asked_for(create_graph):
    modes = []

    class Asking(Square):
        def backward(self, grad, x):
            modes.append(t.is_grad_enabled())
            return 2 * grad * x

    Asking()(leaf(2.0)).backward(create_graph=create_graph)
    assert modes == [create_graph]


def test_a_plain_walk_records_nothing():
    x = leaf(2.0)
    (x * x).backward()
    assert not x.grad.requires_grad


@pytest.mark.parametrize(
    "stash",
    [
        lambda x: x * 1,
        lambda x: x.sum(),
        lambda x: [x * 1],
        lambda x: (2, x.max()),
    ],
    ids=["array", "0-d", "list", "tuple"],
)
def test_floats_that_forward_stored_are_refused_under_create_graph(stash):
    class Stashing(Square):
        def forward(self, x):
            self.kept = stash(x)
            return x * x

    x = leaf(2.0)
    assert t.grad(Stashing()(x), x)[0].item() == 4
    with pytest.raises(RuntimeError, match=r"<Stashing>: self\.kept holds floats.*`private`"):
        t.grad(Stashing()(x), x, create_graph=True)


def test_masks_indices_shapes_and_options_may_be_stored():
    class Storing(Square):
        def __init__(self):
            self.option, self.dtype = 2.0, np.dtype("float32")

        def forward(self, x):
            self.mask, self.indices, self.shape = x > 0, np.arange(3), x.shape
            return x * x

    x = leaf(2.0)
    assert t.grad(Storing()(x), x, create_graph=True)[0].item() == 4


@pytest.mark.parametrize("leave", [lambda z: z.data, lambda z: z.numpy()])
def test_a_backward_that_leaves_the_graph_is_refused_under_create_graph(leave):
    class Leaving(Square):
        def backward(self, grad, x):
            return (2 * leave(grad) * leave(x)) if isinstance(grad, Tensor) else 2 * grad * x

    x = leaf(2.0)
    assert t.grad(Leaving()(x), x)[0].item() == 4
    with pytest.raises(RuntimeError, match=r"input 'x' must be a Tensor under create_graph.*got ndarray"):
        t.grad(Leaving()(x), x, create_graph=True)


# -- size, time and memory -----------------------------------------------------------------------------


def test_sharing_costs_no_exponential_time():
    x = leaf(1.0)
    h = x
    for _ in range(22):
        h = h + h
    start = time.perf_counter()
    h.backward()
    assert time.perf_counter() - start < 1
    assert x.grad.item() == 2**22


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain_runs_forward_and_back(length):
    x = leaf(1.0)
    h = x
    for _ in range(length):
        h = h + 1.0
    h.backward()
    assert (h.item(), x.grad.item()) == (length + 1, 1)


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain_is_dropped_without_a_walk(length):
    h = leaf(1.0)
    for _ in range(length):
        h = h * 1.0
    node = weakref.ref(h.grad_fn)
    del h
    assert node() is None


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def step(w, b, x):
    """A training step of a small network, with what the engine offers."""
    h = (x @ w + b).relu()
    loss = ((h * h).mean(0) + h.softmax(1).sum(0).exp()).sum() / t.cat([h, h[:1]]).var()
    loss.backward()
    with t.no_grad():
        for parameter in (w, b):
            parameter -= 0.01 * parameter.grad
            parameter.grad = None


@pytest.mark.usefixtures("without_collector")
def test_ten_training_steps_hold_no_more_memory_than_one(rng):
    w, b, x = (
        Tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((100, 150), (150,), (200, 100))
    )
    x = x.detach()
    step(w, b, x)
    tracemalloc.start()
    step(w, b, x)
    one = tracemalloc.get_traced_memory()[0]
    for _ in range(9):
        step(w, b, x)
    ten = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert (
        ten - one < 100_000
    )  # the weight alone has 120,000 bytes; Python's lists of freed tuples grow a little


@pytest.mark.usefixtures("without_collector")
def test_forward_alone_holds_nothing():
    x = ones(4)
    y = (x.exp() * x).sum()
    nodes = [weakref.ref(y.grad_fn), weakref.ref(y)]
    del y
    assert [node() for node in nodes] == [None, None]


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("options", [{}, {"create_graph": True}, {"retain_graph": True}])
def test_a_graph_is_gone_when_its_output_is(options):
    x = ones(4)
    y = (x.exp() * x.tanh()).sum()
    nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn._link[0][0][1])]
    g = t.grad(y, x, **options)
    del y, g
    assert all(node() is None for node in nodes)


class Watch(Function):
    """x, which notes which of the arrays that others kept are still alive when the walk passes."""

    def __init__(self, watched, alive):
        self.watch = lambda: alive.append([name for name, array in watched.items() if array() is not None])

    def forward(self, x):
        return x * 1

    def backward(self, grad):
        self.watch()
        return grad * 1


def test_saves_are_dropped_as_the_walk_passes():
    watched, alive = {}, []
    x = ones(4)
    h = Watch(watched, alive)(x).exp()
    watched["first"] = weakref.ref(h.data)
    h = Watch(watched, alive)(h * 1).exp()
    watched["second"] = weakref.ref(h.data)
    h = Watch(watched, alive)(h * 1)
    h.backward(np.ones(4))
    del h
    assert alive == [["first", "second"], ["first"], []]
