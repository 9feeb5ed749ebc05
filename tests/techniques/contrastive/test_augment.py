"""Random views: against a loop over pixels, and on maps whose result is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from techniques.contrastive.augment import augment

STILL = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "shear": 0.0, "contrast": 0.0, "noise": 0.0}


class AtTheBound:
    """A generator whose every uniform draw is its upper bound, so that a range names a value."""

    def uniform(self, low, high, size):
        return np.full(size, high, dtype=np.float64)

    def standard_normal(self, size, dtype):
        return np.ones(size, dtype=dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pictures(rng):
    return rng.uniform(-1, 1, (5, 2, 6, 8)).astype(np.float32)


def at_bound(x, **changes):
    return augment(x, AtTheBound(), **{**STILL, **changes})


def shown(x, row, column):
    """The value of one channel (H, W) at a fractional position, as a tent over all pixels; −1 outside."""
    total = -1.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total += max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * (float(x[i, j]) + 1)
    return total


def by_loops(x, angle, zoom, slant, shift):
    """The affine map of the docstring, pixel by pixel."""
    height, width = x.shape
    view = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            row = i - (height - 1) / 2 - shift * height
            column = j - (width - 1) / 2 - shift * width
            row, column = row + slant * column, column
            row, column = (
                math.cos(angle) * row - math.sin(angle) * column,
                math.sin(angle) * row + math.cos(angle) * column,
            )
            view[i, j] = shown(x, row / zoom + (height - 1) / 2, column / zoom + (width - 1) / 2)
    return view


def test_a_view_without_any_change_is_the_picture(pictures, rng):
    np.testing.assert_allclose(augment(pictures, rng, **STILL), pictures, atol=1e-6)


def test_a_view_is_float32_of_the_same_shape(pictures, rng):
    for x in (pictures, pictures.astype(np.float64)):
        view = augment(x, rng)
        assert view.shape == x.shape
        assert view.dtype == np.float32


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 3), st.floats(0, 0.9), st.floats(0, 1), st.floats(0, 0.5))
def test_the_affine_map_agrees_with_a_loop_over_pixels(angle, scale, shear, shift):
    x = np.random.default_rng(1).uniform(-1, 1, (1, 1, 5, 6)).astype(np.float32)
    view = at_bound(x, rotation=angle, scale=scale, shear=shear, shift=shift)
    np.testing.assert_allclose(view[0, 0], by_loops(x[0, 0], angle, 1 + scale, shear, shift), atol=1e-5)


def test_a_quarter_turn_moves_every_pixel_to_its_place(rng):
    x = rng.uniform(-1, 1, (2, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(at_bound(x, rotation=math.pi / 2), np.rot90(x, -1, (2, 3)), atol=1e-5)


def test_a_shift_by_an_eighth_moves_by_one_pixel_and_brings_in_background(rng):
    x = rng.uniform(-1, 1, (1, 1, 8, 8)).astype(np.float32)
    view = at_bound(x, shift=1 / 8)
    np.testing.assert_allclose(view[..., 1:, 1:], x[..., :-1, :-1], atol=1e-6)
    assert (view[..., 0, :] == -1).all()
    assert (view[..., :, 0] == -1).all()


def test_contrast_scales_the_ink_and_leaves_the_paper():
    x = np.array([-1.0, 0.0, 1.0, -1.0], np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(at_bound(x, contrast=0.5).ravel(), [-1, 0.5, 2, -1])


def test_noise_has_the_deviation_that_was_asked_for(rng):
    x = np.full((50, 1, 16, 16), -1, np.float32)
    noise = augment(x, rng, **{**STILL, "noise": 0.3}) - x
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.01)


def test_what_comes_in_from_outside_is_the_background(rng):
    x = np.full((20, 1, 8, 8), 0.25, np.float32)
    view = augment(x, rng, noise=0, background=0.25)
    np.testing.assert_allclose(view, 0.25)


@pytest.mark.parametrize("change", STILL)
def test_each_picture_gets_its_own_draw_of_every_change(change, rng):
    x = np.tile(rng.uniform(-1, 1, (1, 1, 8, 8)), (2, 1, 1, 1))
    first, second = augment(x, rng, **{**STILL, change: 0.5})
    assert np.abs(first - second).max() > 0.05


def test_the_channels_of_a_picture_move_together(rng):
    x = np.repeat(rng.uniform(-1, 1, (3, 1, 8, 8)), 2, axis=1)
    view = augment(x, rng, noise=0)
    assert np.array_equal(view[:, 0], view[:, 1])


def test_views_are_a_function_of_the_generator(pictures):
    first, again, other = (augment(pictures, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_pictures_given_are_left_alone(pictures, rng):
    before = pictures.copy()
    augment(pictures, rng)
    assert np.array_equal(pictures, before)


def test_two_views_of_the_same_data_run_as_the_text_has_them(pictures, rng):
    view1, view2 = augment(pictures, rng), augment(pictures, rng)
    assert not np.array_equal(view1, view2)


def test_pictures_without_a_channel_dim_are_refused(rng):
    with pytest.raises(ValueError, match=r"augment: x needs shape \(N, C, H, W\); got \(8, 8\)"):
        augment(np.zeros((8, 8)), rng)
