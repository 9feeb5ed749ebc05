"""ops/attention.py: known values, second implementation, masks, messages."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite.nn.functional import scaled_dot_product_attention


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def attention(q, k, v, mask=None, **options):
    mask = None if mask is None else t.Tensor(mask)
    return scaled_dot_product_attention(t.Tensor(q), t.Tensor(k), t.Tensor(v), mask, **options).numpy()


def attention_by_loops(q, k, v, added, scale):
    """For each query the weights of the keys, one by one."""
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        logits = [scale * math.fsum(query * key) + added[i, j] for j, key in enumerate(k)]
        if max(logits) > -math.inf:
            weights = [math.exp(s - max(logits)) for s in logits]
            out[i] = sum(w / math.fsum(weights) * value for w, value in zip(weights, v, strict=True))
    return out


@settings(deadline=None, max_examples=40)
@given(
    batch=st.lists(st.integers(1, 2), max_size=2),
    L=st.integers(1, 4),
    S=st.integers(1, 4),
    E=st.integers(1, 4),
    D=st.integers(1, 4),
    kind=st.sampled_from(["none", "causal", "booleans", "floats"]),
)
def test_attention_is_what_loops_over_queries_and_keys_give(batch, L, S, E, D, kind):
    q, k, v = draws(*batch, L, E), draws(*batch, S, E, seed=1), draws(*batch, S, D, seed=2)
    options, added = {}, np.zeros((L, S))
    if kind == "causal":
        options["is_causal"] = True
        added[np.triu_indices(L, 1, S)] = -math.inf
    elif kind == "booleans":
        options["mask"] = draws(L, S, seed=3) > 0
        added[~options["mask"]] = -math.inf
    elif kind == "floats":
        options["mask"] = added = draws(L, S, seed=3)
    flat = [x.reshape(-1, *x.shape[-2:]) for x in (q, k, v)]
    expected = [attention_by_loops(*x, added, 1 / math.sqrt(E)) for x in zip(*flat, strict=True)]
    np.testing.assert_allclose(
        attention(q, k, v, **options), np.reshape(expected, (*batch, L, D)), atol=1e-12
    )


def test_equal_keys_give_the_mean_of_the_values():
    v = draws(5, 2)
    out = attention(draws(3, 4), np.ones((5, 4)), v)
    np.testing.assert_allclose(out, np.tile(v.mean(0), (3, 1)), rtol=1e-12)


def test_a_key_that_fits_far_better_gives_its_value_alone():
    q, k, v = np.array([[100.0, 0.0]]), np.eye(2), draws(2, 3)
    np.testing.assert_allclose(attention(q, k, v), v[:1], rtol=1e-12)


def test_the_order_of_keys_and_values_does_not_matter():
    q, k, v, order = draws(3, 4), draws(5, 4, seed=1), draws(5, 2, seed=2), [3, 0, 4, 1, 2]
    np.testing.assert_allclose(attention(q, k[order], v[order]), attention(q, k, v), rtol=1e-12)


def test_a_scale_of_0_makes_all_weights_equal():
    v = draws(5, 2)
    out = attention(draws(3, 4), draws(5, 4), v, scale=0.0)
    np.testing.assert_allclose(out, np.tile(v.mean(0), (3, 1)), rtol=1e-12)


def test_under_a_causal_mask_the_first_query_gets_the_first_value():
    v = draws(5, 2)
    np.testing.assert_allclose(attention(draws(5, 4), draws(5, 4), v, is_causal=True)[0], v[0], rtol=1e-12)


def test_under_a_causal_mask_no_gradient_comes_from_the_future():
    k = t.Tensor(draws(5, 4), requires_grad=True)
    out = scaled_dot_product_attention(t.Tensor(draws(5, 4)), k, t.Tensor(draws(5, 2)), is_causal=True)
    (g,) = t.grad(out[:3].sum(), k)
    assert not g.numpy()[3:].any()
    assert g.numpy()[:3].any()


@pytest.mark.parametrize("closed", [False, -math.inf])
def test_a_query_without_an_open_key_gets_zeros_and_gives_no_gradient(closed):
    mask = np.full((2, 3), True if closed is False else 0.0)
    mask[1] = closed
    q, k, v = (t.Tensor(draws(*s).astype("float32"), requires_grad=True) for s in ((2, 4), (3, 4), (3, 2)))
    out = scaled_dot_product_attention(q, k, v, t.Tensor(mask))
    assert not out.numpy()[1].any()
    for g in t.grad(out[1].sum(), (q, k, v)):
        assert not g.numpy().any()


def test_minus_infinity_closes_as_false_does():
    q, k, v, mask = draws(3, 4), draws(5, 4, seed=1), draws(5, 2, seed=2), draws(3, 5, seed=3) > -0.5
    by_floats = attention(q, k, v, np.where(mask, 0.0, -np.inf))
    np.testing.assert_allclose(by_floats, attention(q, k, v, mask), rtol=1e-12)


def test_a_closed_key_does_not_matter_at_all():
    q, k, v, mask = draws(3, 4), draws(5, 4, seed=1), draws(5, 2, seed=2), np.array([True] * 4 + [False])
    out = attention(q, k, v, mask)
    k[4], v[4] = 1e3, 1e3
    np.testing.assert_array_equal(attention(q, k, v, mask), out)


@pytest.mark.parametrize(("mask", "expected"), [([True, False], 1), ([False, False], 0)])
def test_closed_keys_with_large_logits_do_not_overflow_in_float16(mask, expected):
    q = np.full((2, 4), 100, "float16")
    out = attention(q, -q, np.ones((2, 3), "float16"), np.array(mask))
    np.testing.assert_array_equal(out, np.full((2, 3), expected))


def test_dropout_keeps_the_mean():
    t.manual_seed(0)
    q, k, v = draws(4000, 2, 4), draws(4000, 3, 4) * 0, np.ones((4000, 3, 2))
    out = attention(q, k, v, dropout_p=0.4)
    assert out.mean() == pytest.approx(1, abs=0.02)
    assert set(np.round(np.unique(out) * 3 * 0.6)) == {0, 1, 2, 3}


def test_dropout_of_everything_leaves_zeros():
    assert not attention(draws(3, 4), draws(5, 4), draws(5, 2), dropout_p=1.0).any()


# -- messages ----------------------------------------------------------------------------------------------


def zeros(*shape):
    return t.Tensor(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    ("q", "k", "v"),
    [
        ((3, 4), (5, 3), (5, 2)),
        ((3, 4), (5, 4), (6, 2)),
        ((2, 3, 4), (1, 5, 4), (1, 5, 2)),
        ((2, 3, 4), (2, 5, 4), (1, 5, 2)),
        ((4,), (5, 4), (5, 2)),
    ],
)
def test_shapes_that_do_not_fit_are_all_shown(q, k, v):
    shown = ", ".join(str(s) for s in (q, k, v)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        ValueError, match=rf"scaled_dot_product_attention: needs query \(…, L, E\).*; got {shown}"
    ):
        scaled_dot_product_attention(zeros(*q), zeros(*k), zeros(*v))


QKV = (zeros(2, 3, 4), zeros(2, 5, 4), zeros(2, 5, 2))
MESSAGES = [
    (
        {"attn_mask": zeros(5, 3)},
        ValueError,
        r"attn_mask needs a shape that broadcasts to \(2, 3, 5\); got \(5, 3\)",
    ),
    ({"attn_mask": zeros()}, ValueError, r"attn_mask needs a shape that broadcasts to \(2, 3, 5\); got \(\)"),
    (
        {"attn_mask": zeros(3, 5), "is_causal": True},
        ValueError,
        "takes attn_mask or is_causal=True, not both",
    ),
    ({"dropout_p": 1.5}, ValueError, "dropout_p is a probability, from 0 to 1; got 1.5"),
    (
        {"attn_mask": t.Tensor(np.ones((3, 5), "int64"))},
        TypeError,
        "attn_mask is made of booleans or floats; got dtype int64",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), MESSAGES)
def test_what_cannot_be_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=f"scaled_dot_product_attention: {message}"):
        scaled_dot_product_attention(*QKV, **options)


@pytest.mark.parametrize(("L", "S", "E"), [(2, 0, 4), (2, 3, 0)])
def test_no_keys_are_refused_and_keys_of_no_length(L, S, E):
    with pytest.raises(ValueError, match=rf"needs at least one key, of length .*; got key \({S}, {E}\)"):
        scaled_dot_product_attention(np.zeros((L, E)), np.zeros((S, E)), np.zeros((S, 5)))


def test_a_query_of_another_dtype_is_refused():
    q, kv = np.zeros((2, 4)), np.zeros((3, 4), dtype="float32")
    with pytest.raises(TypeError, match="query float64, key float32, value float32"):
        scaled_dot_product_attention(q, kv, kv)
