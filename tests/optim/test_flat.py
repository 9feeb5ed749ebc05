"""Parameters that are updated together, or in blocks: as if each had been updated by itself."""

import copy
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from tinygrad_lite import Tensor, set_num_threads, threads
from tinygrad_lite.optim import SGD, Adam, AdamW, Optimizer, flat

KINDS = [
    lambda params: SGD(params, lr=0.1, weight_decay=0.1),
    lambda params: SGD(params, lr=0.1, momentum=0.9, dampening=0.3),
    lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    lambda params: Adam(params, lr=0.1, eps=1e-3, weight_decay=0.1),
    lambda params: AdamW(params, lr=0.1, eps=1e-3),  # the default is 0 in float16
]
LAYOUTS = {
    "by rows": lambda x: x.copy(),
    "by columns": lambda x: x.copy(order="F"),
    "outermost last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 0, -1)), -1, 0),
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "with gaps": lambda x: np.repeat(x[..., None], 2, axis=-1)[..., 0],
}
SHAPES = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def in_layout(name, x):
    return LAYOUTS[name](x) if x.ndim else x.copy()


@contextmanager
def limits(small, block, num_threads=1):
    """Join parameters of up to `small` elements; update the others in blocks, shared by threads."""
    set_num_threads(num_threads)
    with (
        mock.patch.object(flat, "SMALL", small),
        mock.patch.object(flat, "BLOCK", block),
        mock.patch.object(flat, "COST", 1e9),
    ):
        yield
    set_num_threads(1)


def parameters(arrays):
    return [Tensor(x, requires_grad=True) for x in arrays]


def leaf(*values):
    return Tensor(np.array(values, dtype="float32"), requires_grad=True)


def give(params, *gradients):
    for p, g in zip(params, gradients, strict=True):
        p.grad = None if g is None else Tensor(np.array(g, dtype=p.dtype))


class Counting(AdamW):
    """Counts its updates."""

    calls = 0

    def update(self, *args, **options):
        self.calls += 1
        super().update(*args, **options)


# -- the same as one by one ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(KINDS),
    st.lists(
        st.tuples(
            array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), *[st.sampled_from([*LAYOUTS])] * 2
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["float16", "float32", "float64"]),
    st.sampled_from([(0, 5, 1), (0, 5, 3), (12, 7, 3), (1000, 7, 1)]),
    st.integers(0, 99),
)
def test_parameters_take_bit_for_bit_the_steps_that_each_takes_in_an_optimizer_of_its_own(
    kind, drawn, dtype, limited, seed
):
    rng = np.random.default_rng(seed)
    starts = [rng.standard_normal(shape).astype(dtype) for shape, *_ in drawn]
    together = parameters([in_layout(name, x) for x, (_, name, _) in zip(starts, drawn, strict=True)])
    apart = parameters([x.copy() for x in starts])
    optimizer, own = kind(together), [kind([p]) for p in apart]
    for step in range(4):
        for p, q, (shape, _, layout) in zip(together, apart, drawn, strict=True):
            g = rng.standard_normal(shape).astype(dtype)
            missing = rng.random() < 0.3 and step > 0
            p.grad = None if missing else Tensor(in_layout(layout, g))
            q.grad = None if missing else Tensor(g)
        with limits(*limited):
            optimizer.step()
        with limits(0, 1 << 30):
            for each in own:
                each.step()
    for p, q, each in zip(together, apart, own, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), strict=True)
        assert optimizer.state.get(p, {}).keys() == each.state.get(q, {}).keys()
        for name, value in each.state.get(q, {}).items():
            np.testing.assert_array_equal(optimizer.state[p][name], value)


def test_many_small_parameters_are_updated_by_one_call():
    params = [leaf(*range(1 + i % 5)) for i in range(50)]
    optimizer = Counting(params)
    for _ in range(3):
        give(params, *[np.ones(p.shape) for p in params])
        optimizer.step()
    assert optimizer.calls == 3


def test_a_parameter_with_steps_of_its_own_behind_it_is_updated_by_a_call_of_its_own():
    params = [leaf(1.0), leaf(2.0), leaf(3.0)]
    optimizer = Counting(params)
    for gradients in [(1, None, 1), (1, 1, 1), (1, 1, 1)]:
        give(params, *[g if g is None else [g] for g in gradients])
        optimizer.step()
    assert optimizer.calls == 1 + 2 + 2
    assert [optimizer.state[p]["step"] for p in params] == [3, 2, 3]


def test_groups_with_options_of_their_own_are_not_mixed():
    slow, fast = leaf(1.0), leaf(1.0)
    optimizer = SGD([{"params": [slow], "lr": 0.25}, {"params": [fast], "lr": 0.5}])
    give([slow, fast], [1.0], [1.0])
    optimizer.step()
    assert (slow.item(), fast.item()) == (0.75, 0.5)


def test_a_group_that_comes_later_takes_steps_from_then_on():
    first, second = leaf(1.0), leaf(1.0)
    optimizer = SGD([first], lr=0.25)
    for _ in range(2):
        give([first, second], [1.0], [1.0])
        optimizer.step()
        if len(optimizer.param_groups) == 1:
            optimizer.add_param_group({"params": [second]})
    assert (first.item(), second.item()) == (0.5, 0.75)


def test_a_large_parameter_is_updated_in_blocks_and_its_steps_are_counted_once():
    p = leaf(*range(10))
    optimizer = Counting([p])
    with limits(small=4, block=4):
        for _ in range(3):
            give([p], np.ones(10))
            optimizer.step()
    assert optimizer.calls == 1 + 3 + 3  # the first step makes the state, whole
    assert optimizer.state[p]["step"] == 3


def test_threads_share_a_large_parameter(monkeypatch):
    p, runs = leaf(*range(12)), []
    optimizer = Adam([p])
    in_runs = threads.in_runs
    monkeypatch.setattr(flat, "in_runs", lambda *args: runs.append(in_runs(*args)) or runs[-1])
    with limits(small=4, block=2, num_threads=3):
        for _ in range(2):
            give([p], np.ones(12))
            optimizer.step()
    assert [len(run) for run in runs] == [3]


# -- parameters stay ordinary tensors ----------------------------------------------------------------------


def test_a_parameter_keeps_its_array_and_who_shares_it_sees_the_steps():
    array = np.ones(2, dtype="float32")
    p, q = Tensor(array, requires_grad=True), leaf(1.0)
    view, detached = p.numpy(), p.detach()
    optimizer = SGD([p, q], lr=0.5)
    give([p, q], [1.0, 2.0], [1.0])
    optimizer.step()
    assert p.data is array
    assert array.tolist() == view.tolist() == detached.tolist() == [0.5, 0.0]


@pytest.mark.parametrize("small", [0, 1], ids=["by itself", "joined"])
def test_data_that_is_replaced_between_steps_is_what_the_next_step_updates(small):
    p, q = leaf(1.0), leaf(1.0)
    optimizer = SGD([p, q], lr=0.5)
    give([p, q], [1.0], [1.0])
    with limits(small, block=1):
        optimizer.step()
        old, p.data = p.data, np.array([10.0], dtype="float32")
        optimizer.step()
    assert (old.item(), p.item(), q.item()) == (0.5, 9.5, 0.0)


@pytest.mark.parametrize(("before", "after"), [("float32", "float64"), ("float64", "float32")])
def test_parameters_that_are_given_another_dtype_go_on_in_it(before, after):
    params = parameters([np.array(1.0, before), np.array(1.0, before)])
    optimizer = Adam(params, lr=0.1)
    for dtype in (before, after):
        for p in params:
            p.data = p.data.astype(dtype)
        give(params, 1.0, 2.0)
        optimizer.step()
    for p in params:
        np.testing.assert_allclose(p.numpy(), 0.8, rtol=1e-6)
        assert p.dtype == optimizer.state[p]["exp_avg"].dtype == after


def test_two_parameters_in_one_memory_are_both_updated():
    memory = np.array([1.0, 2.0, 3.0], dtype="float32")
    p, q, r = parameters([memory, memory[1:], memory[::2]])
    optimizer = SGD([p, q, r], lr=1.0)
    give([p, q, r], [10.0, 10.0, 10.0], [100.0, 100.0], [1000.0, 1000.0])
    optimizer.step()
    assert memory.tolist() == [1 - 1010.0, 2 - 110.0, 3 - 1110.0]


def test_a_frozen_parameter_stays_and_goes_on_from_its_state_when_thawed():
    p, q = leaf(1.0), leaf(1.0)
    optimizer = SGD([p, q], lr=1.0, momentum=0.5)
    for gradients in [([1.0], [1.0]), ([1.0], None), ([1.0], [1.0])]:
        give([p, q], *gradients)
        optimizer.step()
    assert p.item() == 1 - 1 - 1.5 - 1.75
    assert q.item() == 1 - 1 - 1.5


def test_no_gradient_that_does_not_fit_leaves_anything_changed():
    p, q = leaf(1.0), leaf(1.0)
    optimizer = Adam([{"params": [p]}, {"params": [q]}])
    p.grad, q.grad = Tensor([1.0]), Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=r"Adam: \.grad must be a Tensor of shape \(1,\), .*; got \(2,\)"):
        optimizer.step()
    assert p.item() == 1.0
    assert not optimizer.state


def test_each_parameter_counts_its_writes():
    params = [leaf(1.0), leaf(2.0)]
    losses = [p * p for p in params]
    give(params, [1.0], [1.0])
    SGD(params).step()
    for loss in losses:
        with pytest.raises(RuntimeError, match="was written in place"):
            loss.backward()


# -- what is kept ----------------------------------------------------------------------------------------


def test_what_is_kept_for_a_parameter_has_its_shape():
    params = [leaf(1.0, 2.0), Tensor(np.ones((2, 3), dtype="float32").T, requires_grad=True)]
    optimizer = Adam(params, betas=(0.5, 0.5))
    give(params, [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    optimizer.step()
    assert optimizer.state[params[0]]["exp_avg"].tolist() == [0.5, 1.0]
    assert optimizer.state[params[1]]["exp_avg"].tolist() == [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]


@pytest.mark.parametrize(
    "reset",
    [
        lambda optimizer, p: optimizer.state.pop(p),
        lambda optimizer, p: optimizer.state.update({p: {}}),
        lambda optimizer, p: optimizer.state[p].update(momentum_buffer=np.zeros(1, dtype="float32")),
        lambda optimizer, p: optimizer.state[p]["momentum_buffer"].fill(0),
    ],
    ids=["taken out", "emptied", "replaced", "overwritten"],
)
@pytest.mark.parametrize("small", [0, 1], ids=["by itself", "joined"])
def test_what_is_kept_may_be_reset_for_one_of_several(reset, small):
    p, q = leaf(0.0), leaf(0.0)
    optimizer = SGD([p, q], lr=1.0, momentum=0.5)
    give([p, q], [1.0], [1.0])
    with limits(small, block=1):
        optimizer.step()
        reset(optimizer, p)
        optimizer.step()
    assert (p.item(), q.item()) == (-1 - 1, -1 - 1.5)


@pytest.mark.parametrize("small", [0, 6], ids=["in blocks", "joined"])
def test_a_state_goes_on_that_lies_in_memory_in_another_order_than_its_parameter(small):
    rng = np.random.default_rng(0)
    by_rows, by_columns = rng.standard_normal((2, 3)), np.asfortranarray(np.ones((2, 3)))
    p, q = parameters([np.ones((2, 3)), by_columns])
    optimizers = Adam([p]), Adam([q])
    give([p, q], by_rows, by_rows)
    with limits(small, block=4):
        for optimizer in optimizers:
            optimizer.step()
        optimizers[1].load_state_dict(optimizers[0].state_dict())
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_array_equal(p.numpy(), q.numpy())
    np.testing.assert_array_equal(*[o.state[x]["exp_avg"] for o, x in zip(optimizers, (p, q), strict=True)])


def test_a_number_of_steps_that_is_set_holds():
    p, q = leaf(0.0), leaf(0.0)
    optimizer = Adam([p, q])
    give([p, q], [1.0], [1.0])
    optimizer.step()
    optimizer.state[p]["step"] = 7
    optimizer.step()
    assert [optimizer.state[x]["step"] for x in (p, q)] == [8, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_model_and_optimizer_goes_on_by_itself(kind):
    params = [leaf(1.0, 2.0), leaf(3.0)]
    optimizer = kind(params)
    give(params, [1.0, -1.0], [2.0])
    optimizer.step()
    before = [p.tolist() for p in params]
    other_params, other = copy.deepcopy((params, optimizer))
    other.step()
    assert [p.tolist() for p in params] == before
    optimizer.step()
    assert [p.tolist() for p in other_params] == [p.tolist() for p in params] != before


def test_an_update_that_looks_at_whole_parameters_gets_them_one_by_one():
    class Normalized(Optimizer):
        def update(self, p, g, state, lr):
            p -= lr * g / np.linalg.norm(g)

    params = [leaf(0.0, 0.0), leaf(0.0)]
    give(params, [3.0, 4.0], [5.0])
    Normalized(params, lr=1.0).step()
    np.testing.assert_allclose([*params[0].tolist(), params[1].item()], [-0.6, -0.8, -1.0], rtol=1e-6)
