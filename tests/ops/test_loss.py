"""ops/loss.py: known values, invariances, second implementations, special points, messages."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite.nn.functional import cross_entropy, kl_div, mse_loss

K = 5
IGNORED = -100


def draws(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def labels(*shape, seed=0):
    return np.random.default_rng(seed).integers(K, size=shape)


def probabilities(*shape, seed=0):
    e = np.exp(draws(*shape, seed=seed))
    return e / e.sum(1, keepdims=True)


def zeros(*shape):
    return t.Tensor(np.zeros(shape, "float32"))


def gradient(loss, x):
    (g,) = t.grad(loss, x)
    return g.numpy()


# -- mse_loss ----------------------------------------------------------------------------------------------


def test_mse_of_two_and_one_apart_is_two_and_a_half():
    assert mse_loss(t.Tensor([1.0, 2.0]), t.Tensor([3.0, 1.0])).item() == pytest.approx(2.5)


@pytest.mark.parametrize(("reduction", "value"), [("mean", 2.5), ("sum", 5.0)])
def test_mse_is_reduced_to_the_mean_or_the_sum(reduction, value):
    assert mse_loss(t.Tensor([1.0, 2.0]), t.Tensor([3.0, 1.0]), reduction=reduction).item() == pytest.approx(
        value
    )


def test_mse_without_reduction_is_each_square():
    squares = mse_loss(t.Tensor([1.0, 2.0]), t.Tensor([3.0, 1.0]), reduction="none")
    np.testing.assert_allclose(squares.numpy(), [4, 1])


def test_mse_pulls_prediction_and_target_towards_each_other():
    x, y = t.Tensor([1.0, 2.0], requires_grad=True), t.Tensor([3.0, 1.0], requires_grad=True)
    gx, gy = t.grad(mse_loss(x, y), (x, y))
    np.testing.assert_allclose(gx.numpy(), [-2, 1])
    np.testing.assert_allclose(gy.numpy(), [2, -1])


# -- kl_div ------------------------------------------------------------------------------------------------


def kl_by_loops(p, q):
    """Σ q·log(q/p) of each row, one by one."""
    return [
        sum(b * math.log(b / a) for a, b in zip(pr, qr, strict=True) if b > 0)
        for pr, qr in zip(p, q, strict=True)
    ]


def test_a_distribution_has_no_divergence_from_itself():
    q = probabilities(3, K)
    assert kl_div(t.Tensor(np.log(q)), t.Tensor(q), reduction="sum").item() == pytest.approx(0, abs=1e-12)


def test_a_certain_target_costs_the_logarithm_of_its_probability():
    x = t.Tensor(np.log([[0.25, 0.75]]))
    assert kl_div(x, t.Tensor(np.array([[1.0, 0.0]])), reduction="batchmean").item() == pytest.approx(
        math.log(4)
    )


def test_what_is_never_predicted_costs_nothing_where_it_never_happens():
    x = t.Tensor(np.array([[0.0, -math.inf]]))
    assert kl_div(x, t.Tensor(np.array([[1.0, 0.0]])), reduction="sum").item() == 0


def test_batchmean_is_the_divergence_averaged_over_rows():
    p, q = probabilities(4, K), probabilities(4, K, seed=1)
    value = kl_div(t.Tensor(np.log(p)), t.Tensor(q), reduction="batchmean").item()
    assert value == pytest.approx(sum(kl_by_loops(p, q)) / 4)


def test_mean_is_smaller_than_batchmean_by_the_number_of_classes():
    x, q = t.Tensor(np.log(probabilities(4, K))), t.Tensor(probabilities(4, K, seed=1))
    assert kl_div(x, q, "mean").item() * K == pytest.approx(kl_div(x, q, "batchmean").item())


def test_logarithms_of_the_target_give_the_same_as_the_target():
    x, q = t.Tensor(np.log(probabilities(4, K))), probabilities(4, K, seed=1)
    for reduction in ("none", "mean", "batchmean", "sum"):
        by_logs = kl_div(x, t.Tensor(np.log(q)), reduction, log_target=True)
        np.testing.assert_allclose(by_logs.numpy(), kl_div(x, t.Tensor(q), reduction).numpy(), rtol=1e-12)


def test_kl_div_has_a_gradient_for_the_target_too():
    x, q = t.Tensor(np.log([[0.5, 0.5]])), t.Tensor(np.array([[0.25, 0.75]]), requires_grad=True)
    expected = np.log([[0.25, 0.75]]) + 1 - np.log(0.5)
    np.testing.assert_allclose(gradient(kl_div(x, q, "sum"), q), expected, rtol=1e-12)


def test_the_gradient_for_a_target_of_0_is_finite():
    x, q = t.Tensor(np.log([[0.5, 0.5]])), t.Tensor(np.array([[0.0, 1.0]]), requires_grad=True)
    np.testing.assert_allclose(gradient(kl_div(x, q, "sum"), q), np.full((1, 2), 1 - math.log(0.5)))


# -- cross_entropy: second implementation --------------------------------------------------------------------


def cross_entropy_by_loops(x, targets, weights, smoothing):
    """Costs and weights of samples; a target is a label or a list of probabilities."""
    costs, of_labels = [], []
    for row, target in zip(x, targets, strict=True):
        if np.ndim(target) == 0 and target == IGNORED:
            costs.append(0.0)
            of_labels.append(0.0)
            continue
        top = max(row)
        log_sum = top + math.log(math.fsum(math.exp(v - top) for v in row))
        q = [float(k == target) for k in range(len(row))] if np.ndim(target) == 0 else target
        q = [(1 - smoothing) * v + smoothing / len(row) for v in q]
        costs.append(math.fsum(w * b * (log_sum - v) for w, b, v in zip(weights, q, row, strict=True)))
        of_labels.append(weights[target] if np.ndim(target) == 0 else 1.0)
    return np.array(costs), np.array(of_labels)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 4),
    pixels=st.lists(st.integers(1, 3), max_size=2),
    smoothing=st.sampled_from([0.0, 0.3, 1.0]),
    weighted=st.booleans(),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    ignored=st.booleans(),
)
def test_cross_entropy_of_labels_is_what_loops_give(n, pixels, smoothing, weighted, reduction, ignored):
    x, y = draws(n, K, *pixels), labels(n, *pixels)
    if ignored and y.size > 1:
        y.reshape(-1)[0] = IGNORED
    w = np.exp(draws(K, seed=1)) if weighted else np.ones(K)
    costs, counts = cross_entropy_by_loops(np.moveaxis(x, 1, -1).reshape(-1, K), y.reshape(-1), w, smoothing)
    expected = {"none": costs.reshape(y.shape), "sum": costs.sum(), "mean": costs.sum() / counts.sum()}
    value = cross_entropy(
        t.Tensor(x),
        t.Tensor(y),
        t.Tensor(w) if weighted else None,
        reduction=reduction,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(value.numpy(), expected[reduction], rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 4),
    pixels=st.lists(st.integers(1, 3), max_size=2),
    smoothing=st.sampled_from([0.0, 0.3]),
    reduction=st.sampled_from(["none", "mean", "sum"]),
)
def test_cross_entropy_of_probabilities_is_what_loops_give(n, pixels, smoothing, reduction):
    x, q, w = draws(n, K, *pixels), probabilities(n, K, *pixels), np.exp(draws(K, seed=1))
    rows = (np.moveaxis(a, 1, -1).reshape(-1, K) for a in (x, q))
    costs, _ = cross_entropy_by_loops(*rows, w, smoothing)
    expected = {"none": costs.reshape(n, *pixels), "sum": costs.sum(), "mean": costs.mean()}
    value = cross_entropy(
        t.Tensor(x), t.Tensor(q), t.Tensor(w), reduction=reduction, label_smoothing=smoothing
    )
    np.testing.assert_allclose(value.numpy(), expected[reduction], rtol=1e-10)


# -- cross_entropy: known values and invariances -------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 10])
def test_equal_logits_give_the_logarithm_of_the_number_of_classes(n):
    assert cross_entropy(zeros(3, n), t.Tensor([0, 0, n - 1])).item() == pytest.approx(math.log(n), abs=1e-6)


def test_equal_logits_give_that_whatever_is_smoothed():
    assert cross_entropy(zeros(2, K), t.Tensor([0, 3]), label_smoothing=0.3).item() == pytest.approx(
        math.log(K)
    )


def test_an_offset_of_the_logits_changes_nothing():
    x, y = draws(4, K), t.Tensor(labels(4))
    assert cross_entropy(t.Tensor(x + 700), y).item() == pytest.approx(cross_entropy(t.Tensor(x), y).item())


def test_logits_far_apart_cost_their_difference_and_nothing_overflows():
    x = t.Tensor([[0.0, 1e4], [0.0, 1e4]], requires_grad=True)
    loss = cross_entropy(x, t.Tensor([0, 1]), reduction="none")
    np.testing.assert_array_equal(loss.numpy(), [1e4, 0])
    np.testing.assert_allclose(gradient(loss.sum(), x), [[-1, 1], [0, 0]])


def test_the_gradient_is_the_softmax_minus_the_one_hot_label_over_the_batch():
    x, y = t.Tensor(draws(4, K), requires_grad=True), labels(4)
    e = np.exp(x.numpy())
    expected = (e / e.sum(1, keepdims=True) - np.eye(K)[y]) / 4
    np.testing.assert_allclose(gradient(cross_entropy(x, t.Tensor(y)), x), expected, rtol=1e-12)


def test_one_hot_probabilities_are_labels():
    x, y = t.Tensor(draws(4, K)), labels(4)
    by_label = cross_entropy(x, t.Tensor(y), label_smoothing=0.2).item()
    assert cross_entropy(x, t.Tensor(np.eye(K)[y]), label_smoothing=0.2).item() == pytest.approx(by_label)


def test_equal_weights_change_nothing():
    x, y, w = t.Tensor(draws(4, K)), t.Tensor(labels(4)), t.Tensor(np.full(K, 3.0))
    assert cross_entropy(x, y, w).item() == pytest.approx(cross_entropy(x, y).item())


def test_a_weight_of_2_counts_a_sample_twice():
    x, w = draws(2, K), np.array([1.0, 2, 1, 1, 1])
    twice = t.Tensor(x[[0, 1, 1]])
    weighted = cross_entropy(t.Tensor(x), t.Tensor([0, 1]), t.Tensor(w)).item()
    assert weighted == pytest.approx(cross_entropy(twice, t.Tensor([0, 1, 1])).item())


def test_ignored_labels_are_as_if_their_samples_were_not_there():
    x, y = draws(4, K), np.array([2, IGNORED, 0, IGNORED])
    kept = cross_entropy(t.Tensor(x[[0, 2]]), t.Tensor([2, 0]), label_smoothing=0.2)
    assert cross_entropy(t.Tensor(x), t.Tensor(y), label_smoothing=0.2).item() == pytest.approx(kept.item())


def test_ignored_samples_have_no_gradient():
    x = t.Tensor(draws(2, K), requires_grad=True)
    g = gradient(cross_entropy(x, t.Tensor([1, 3]), ignore_index=3, label_smoothing=0.2), x)
    assert (g[1] == 0).all()
    assert (g[0] != 0).all()


def test_a_label_that_is_ignored_may_lie_among_the_classes():
    x = draws(2, K)
    alone = cross_entropy(t.Tensor(x[:1]), t.Tensor([1])).item()
    assert cross_entropy(t.Tensor(x), t.Tensor([1, 3]), ignore_index=3).item() == pytest.approx(alone)


def test_weights_take_no_gradient():
    w = t.Tensor(np.ones(K), requires_grad=True)
    x = t.Tensor(draws(2, K), requires_grad=True)
    cross_entropy(x, t.Tensor([1, 3]), w).backward()
    assert w.grad is None


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_labels_are_integers_of_any_width(dtype):
    x = t.Tensor(draws(2, K))
    value = cross_entropy(x, t.Tensor(np.array([1, 3], dtype))).item()
    assert value == pytest.approx(cross_entropy(x, t.Tensor([1, 3])).item())


def test_labels_may_be_an_array_without_a_tensor_around_it():
    x = t.Tensor(draws(2, K))
    assert cross_entropy(x, np.array([1, 3])).item() == pytest.approx(
        cross_entropy(x, t.Tensor([1, 3])).item()
    )


# -- messages ------------------------------------------------------------------------------------------------

LOSSES = {
    "mse_loss": lambda **options: mse_loss(zeros(3, K), zeros(3, K), **options),
    "kl_div": lambda **options: kl_div(zeros(3, K), zeros(3, K), **options),
    "cross_entropy": lambda **options: cross_entropy(zeros(3, K), t.Tensor([0, 1, 2]), **options),
}


@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_reduction_is_refused_with_those_there_are(name):
    known = "'none', 'mean', 'batchmean' or 'sum'" if name == "kl_div" else "'none', 'mean' or 'sum'"
    with pytest.raises(ValueError, match=f"{name}: reduction must be {known}; got 'average'"):
        LOSSES[name](reduction="average")


@pytest.mark.parametrize("name", ["mse_loss", "cross_entropy"])
def test_batchmean_is_for_kl_div_alone(name):
    with pytest.raises(ValueError, match=f"{name}: reduction must be .*; got 'batchmean'"):
        LOSSES[name](reduction="batchmean")


SHAPES = r"input and target need the same shape, nothing is broadcast; got input \(3, 1\), target \(3,\)"
MESSAGES = [
    (lambda: mse_loss(zeros(3, 1), zeros(3)), f"mse_loss: {SHAPES}"),
    (lambda: kl_div(zeros(3, 1), zeros(3)), f"kl_div: {SHAPES}"),
    (
        lambda: cross_entropy(zeros(3, 1), zeros(3, 2)),
        r"cross_entropy: .* got input \(3, 1\), target \(3, 2\)",
    ),
    (
        lambda: cross_entropy(zeros(3, K), t.Tensor([[0], [1], [2]])),
        r"cross_entropy: target needs a label for each sample, or probabilities \(floats\) in the shape of "
        r"input; got input \(3, 5\), target \(3, 1\) of int64",
    ),
    (
        lambda: cross_entropy(zeros(K), t.Tensor(1)),
        r"cross_entropy: input needs shape \(N, K\) .* got \(5,\)",
    ),
    (
        lambda: cross_entropy(zeros(3, K), t.Tensor([0, 1, 2]), zeros(3)),
        r"cross_entropy: weight needs shape \(5,\), .* each class of input \(3, 5\); got \(3,\)",
    ),
    (
        lambda: cross_entropy(zeros(3, K), t.Tensor([0, 1, 2]), label_smoothing=1.5),
        r"cross_entropy: label_smoothing must lie from 0 to 1; got 1.5",
    ),
    (
        lambda: cross_entropy(zeros(2, K), t.Tensor([7, 7]), ignore_index=7),
        r"cross_entropy: there is nothing to average: none of the 2 labels counts \(ignore_index is 7\)",
    ),
    (lambda: mse_loss(zeros(0, 3), zeros(0, 3)), "mse_loss: there is nothing to average; .* 0 costs"),
    (
        lambda: kl_div(zeros(0, 3), zeros(0, 3), "batchmean"),
        "kl_div: there is nothing to average; .* 0 costs",
    ),
    (
        lambda: cross_entropy(zeros(0, 3), zeros(0, 3)),
        "cross_entropy: there is nothing to average; .* 0 costs",
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES)
def test_what_does_not_fit_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("loss", [mse_loss, kl_div, cross_entropy])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_a_target_of_another_dtype_gives_the_gradient_that_its_values_give(loss, dtype):
    target = np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]])
    x, y = (t.Tensor(np.log(target[::-1]).astype("float32"), requires_grad=True) for _ in range(2))
    loss(x, target.astype(dtype)).backward()
    loss(y, target.astype("float32")).backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.grad.numpy())


def test_whole_numbers_are_a_target_of_mse_loss():
    x = t.Tensor([1.0, 4.0], requires_grad=True)
    mse_loss(x, [2, 2]).backward()
    assert x.grad.tolist() == [-1, 2]


@pytest.mark.parametrize("loss", [mse_loss, kl_div])
def test_an_input_of_integers_is_refused(loss):
    with pytest.raises(TypeError, match=f"{loss.__name__}: input is made of floats; got dtype int64"):
        loss(t.Tensor([1, 2]), zeros(2))


def test_the_options_of_cross_entropy_come_in_the_order_of_torch():
    x = t.Tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    by_position = cross_entropy(x, [1, 2], None, 2, "none", 0.2)
    by_name = cross_entropy(x, [1, 2], ignore_index=2, reduction="none", label_smoothing=0.2)
    assert by_position.tolist() == by_name.tolist()


@pytest.mark.parametrize("bad", [-1, 5])
def test_a_label_that_is_no_class_is_named(bad):
    with pytest.raises(IndexError, match=f"cross_entropy: index {bad} is out of range; it must lie in 0 … 4"):
        cross_entropy(zeros(3, K), t.Tensor([0, bad, 2]))


def test_labels_that_are_floats_are_refused_as_such():
    with pytest.raises(
        TypeError, match=r"cross_entropy: labels must be integers; got float64 of shape \(3,\)"
    ):
        cross_entropy(zeros(3, 5), np.array([0.0, 1.0, 2.0]))


def test_a_reduction_in_the_place_of_ignore_index_is_refused():
    with pytest.raises(TypeError, match="cross_entropy: ignore_index must be an int; got 'none'"):
        cross_entropy(zeros(3, 5), np.array([0, 1, 2]), None, "none")
