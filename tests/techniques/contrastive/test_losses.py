"""NT-Xent: known values, a second implementation, invariances, special points, messages.

Its gradient is checked to second order by tests/checking, on the cases in tests/techniques/cases.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from techniques.contrastive.losses import EPS, nt_xent
from tinygrad_lite import Tensor, grad


@pytest.fixture
def views(rng):
    """Two views of five samples, in float64: each (5, 3)."""
    return rng.standard_normal((2, 5, 3))


def value(z1, z2, temperature=0.5):
    return nt_xent(Tensor(z1), Tensor(z2), temperature).item()


def gradients(z1, z2, temperature=0.5):
    z1, z2 = (Tensor(z, requires_grad=True) for z in (z1, z2))
    return tuple(g.numpy() for g in grad(nt_xent(z1, z2, temperature), [z1, z2]))


def by_algorithm_1(z1, z2, temperature):
    """Chen et al. 2020, algorithm 1, number by number: views interleaved, every pair counted both ways."""
    z = [list(map(float, row)) for pair in zip(z1, z2, strict=True) for row in pair]

    def similarity(a, b):
        inner = math.fsum(p * q for p, q in zip(a, b, strict=True))
        return inner / (math.hypot(*a) * math.hypot(*b)) / temperature

    def loss_of_pair(i, j):
        others = math.fsum(math.exp(similarity(z[i], z[k])) for k in range(len(z)) if k != i)
        return -math.log(math.exp(similarity(z[i], z[j])) / others)

    pairs = [(2 * k, 2 * k + 1) for k in range(len(z1))]
    return sum(loss_of_pair(i, j) + loss_of_pair(j, i) for i, j in pairs) / len(z)


# -- known values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_equal_rows_give_the_log_of_the_number_of_candidates(n):
    assert value(np.ones((n, 4)), np.ones((n, 4))) == pytest.approx(math.log(2 * n - 1), abs=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_orthogonal_samples_of_equal_views_compete_at_cosine_0(n, temperature):
    expected = math.log(1 + (2 * n - 2) * math.exp(-1 / temperature))
    assert value(np.eye(n), np.eye(n), temperature) == pytest.approx(expected, abs=1e-12)


def test_opposite_views_of_orthogonal_samples_are_as_far_as_can_be():
    expected = math.log(1 + 2 * math.exp(1 / 0.5))  # two candidates at cosine 0 against one at −1
    assert value(np.eye(2), -np.eye(2)) == pytest.approx(expected)


def test_one_sample_alone_has_no_rival_so_loss_and_gradient_are_0(rng):
    z1, z2 = rng.standard_normal((2, 1, 3))
    assert value(z1, z2) == 0
    for g in gradients(z1, z2):
        np.testing.assert_allclose(g, 0, atol=1e-15)


def test_a_temperature_of_numpy_leaves_float32_as_it_is(views):
    z1, z2 = (Tensor(z.astype("float32"), requires_grad=True) for z in views)
    loss = nt_xent(z1, z2, np.float64(0.5))
    loss.backward()
    assert loss.dtype == z1.grad.dtype == "float32"


def test_the_default_temperature_is_one_half(views):
    assert nt_xent(*map(Tensor, views)).item() == value(*views, temperature=0.5)


# -- a second implementation ---------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.05, 3), st.integers(0, 99))
def test_agrees_with_algorithm_1(n, d, temperature, seed):
    z1, z2 = np.random.default_rng(seed).standard_normal((2, n, d))
    expected = by_algorithm_1(z1, z2, temperature)
    assert value(z1, z2, temperature) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_random_rows_lie_above_equal_ones_by_the_variance_of_their_cosines(rng):
    n, d, temperature = 256, 64, 0.5
    loss = value(*rng.standard_normal((2, n, d)), temperature)
    assert loss == pytest.approx(math.log(2 * n - 1) + 1 / (2 * d * temperature**2), abs=0.01)


# -- invariances ---------------------------------------------------------------------------------------


def test_swapping_the_views_keeps_the_value_and_swaps_the_gradients(views):
    z1, z2 = views
    assert value(z2, z1) == pytest.approx(value(z1, z2))
    g1, g2 = gradients(z1, z2)
    np.testing.assert_allclose(gradients(z2, z1), [g2, g1], atol=1e-15)


def test_permuting_the_samples_keeps_the_value_and_permutes_the_gradients(views):
    order = np.array([3, 0, 4, 2, 1])
    assert value(*views[:, order]) == pytest.approx(value(*views))
    np.testing.assert_allclose(gradients(*views[:, order]), np.array(gradients(*views))[:, order], atol=1e-15)


def test_pairing_a_sample_with_the_view_of_another_changes_the_value(views):
    z1, z2 = views
    assert value(z1, np.roll(z2, 1, axis=0)) != pytest.approx(value(z1, z2))


def test_the_length_of_a_row_does_not_matter_and_divides_its_gradient(views, rng):
    lengths = rng.uniform(0.1, 9, (2, 5, 1))
    assert value(*(views * lengths)) == pytest.approx(value(*views))
    np.testing.assert_allclose(gradients(*(views * lengths)), np.array(gradients(*views)) / lengths)


def test_the_gradient_of_a_row_is_at_right_angles_to_it(views):
    np.testing.assert_allclose((np.array(gradients(*views)) * views).sum(axis=-1), 0, atol=1e-15)


def test_a_rotation_of_all_rows_keeps_the_value_and_rotates_the_gradients(views, rng):
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    assert value(*(views @ rotation)) == pytest.approx(value(*views))
    np.testing.assert_allclose(
        gradients(*(views @ rotation)), np.array(gradients(*views)) @ rotation, atol=1e-15
    )


def test_the_sum_of_outer_products_of_gradient_and_row_is_symmetric(views):
    outer = np.einsum("vni,vnj->ij", np.array(gradients(*views)), views)  # no rotation changes the value
    np.testing.assert_allclose(outer, outer.T, atol=1e-15)
    assert np.abs(outer).max() > 1e-3


def test_a_step_against_the_gradient_brings_partners_nearer(views):
    def cosines(z1, z2):
        lengths = np.linalg.norm(z1, axis=1) * np.linalg.norm(z2, axis=1)
        return (z1 * z2).sum(axis=1) / lengths

    moved = views - 0.1 * np.array(gradients(*views))
    assert value(*moved) < value(*views)
    assert cosines(*moved).mean() > cosines(*views).mean()


# -- numbers that are hard -----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.01, 0.03, 0.1])
def test_float32_is_near_float64_at_low_temperatures(rng, temperature):
    z1 = rng.standard_normal((64, 16))
    z2 = z1 + rng.standard_normal((64, 16))
    single = [z.astype(np.float32) for z in (z1, z2)]
    assert value(*single, temperature) == pytest.approx(value(z1, z2, temperature), rel=1e-4)
    for g32, g64 in zip(gradients(*single, temperature), gradients(z1, z2, temperature), strict=True):
        assert g32.dtype == np.float32
        assert np.abs(g32 - g64).max() < 1e-4 * np.abs(g64).max()


def test_at_a_very_low_temperature_nothing_overflows(rng):
    z1, z2 = rng.standard_normal((2, 8, 4)).astype(np.float32)
    assert value(z1, z2, 1e-3) == pytest.approx(value(z1.astype(float), z2.astype(float), 1e-3), rel=1e-4)
    assert all(np.isfinite(g).all() for g in gradients(z1, z2, 1e-3))


@pytest.mark.parametrize("create_graph", [False, True], ids=["fused", "plain"])
def test_a_row_without_direction_gets_no_gradient_and_the_others_get_theirs(views, create_graph):
    views[0, 2], views[1, 4] = 0, EPS / 2
    z1, z2 = (Tensor(z, requires_grad=True) for z in views)
    g1, g2 = grad(nt_xent(z1, z2), [z1, z2], create_graph=create_graph)
    assert (g1.numpy()[2] == 0).all()
    assert (g2.numpy()[4] == 0).all()
    norms = np.linalg.norm(np.stack([g1.numpy(), g2.numpy()]), axis=-1)
    assert np.isfinite(norms).all()
    assert (norms > 0).sum() == 8


def test_the_gradient_is_the_same_however_often_it_is_asked_for(views):
    z1, z2 = (Tensor(z, requires_grad=True) for z in views)
    loss = nt_xent(z1, z2)
    loss.backward(retain_graph=True)
    once = z1.grad.numpy().copy()
    loss.backward()
    np.testing.assert_allclose(z1.grad.numpy(), 2 * once)


# -- messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape1", "shape2", "got"),
    [
        ((4, 3), (3, 3), r"\(4, 3\) and \(3, 3\)"),
        ((4, 3), (4, 2), r"\(4, 3\) and \(4, 2\)"),
        ((3,), (3,), r"\(3,\) and \(3,\)"),
        ((0, 3), (0, 3), r"\(0, 3\) and \(0, 3\)"),
    ],
)
def test_views_that_do_not_match_are_refused_with_both_shapes(shape1, shape2, got):
    with pytest.raises(
        ValueError, match=rf"nt_xent: needs two views \(N, d\) of the same N samples; got {got}"
    ):
        nt_xent(Tensor(np.zeros(shape1)), Tensor(np.zeros(shape2)))


@pytest.mark.parametrize("temperature", [0.0, -0.1, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(views, temperature):
    with pytest.raises(ValueError, match=f"nt_xent: temperature must be positive; got {temperature}"):
        value(*views, temperature)
