"""Pooling and resizing: against loops, ties and borders, known values, messages."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tests.ops.test_conv import LAYOUTS, close, pairs
from tinygrad_lite.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate, max_pool2d

# -- references ----------------------------------------------------------------------------------------


def windows_by_loops(size, kernel, stride, padding):
    """For each place (i, j) the pixels of its window, row by row, without those on the padding."""
    counts = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True)]
    return {
        (i, j): [
            (r, s)
            for r in range(i * stride[0] - padding[0], i * stride[0] - padding[0] + kernel[0])
            for s in range(j * stride[1] - padding[1], j * stride[1] - padding[1] + kernel[1])
            if 0 <= r < size[0] and 0 <= s < size[1]
        ]
        for i, j in np.ndindex(*counts)
    }


def weights_by_loops(x, kernel, stride, padding, kind):
    """The derivative of each element of the output by each pixel, (n, c, rows, columns, h, w)."""
    windows = windows_by_loops(x.shape[2:], kernel, stride, padding)
    rows, columns = (1 + max(place[axis] for place in windows) for axis in (0, 1))
    weights = np.zeros((*x.shape[:2], rows, columns, *x.shape[2:]))
    for image, channel, i, j in np.ndindex(weights.shape[:4]):
        pixels, weight = windows[i, j], weights[image, channel, i, j]
        if kind == "max":
            weight[max(pixels, key=lambda p: x[(image, channel, *p)])] = (
                1  # Python's max takes the first of equal
            )
        for p in pixels if kind != "max" else ():
            weight[p] = 1 / (math.prod(kernel) if kind == "mean" else len(pixels))
    return weights


@st.composite
def poolings(draw):
    """An input with ties, and the options of a pooling that fits."""
    kernel, stride = draw(pairs(1, 3)), draw(pairs(1, 3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(max(1, k - 2 * p) + draw(st.integers(0, 4)) for k, p in zip(kernel, padding, strict=True))
    n, c = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    return layout(rng.integers(-2, 3, (n, c, *size)).astype("float64")), (kernel, stride, padding)


POOLS = {
    "max": max_pool2d,
    "mean": avg_pool2d,
    "mean of pixels": lambda *args: avg_pool2d(*args, count_include_pad=False),
}

# -- pooling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(POOLS))
@given(pooling=poolings())
@settings(max_examples=40, deadline=None)
def test_value_gradient_and_its_gradient_agree_with_loops(kind, pooling):
    x, options = pooling
    weights = weights_by_loops(x, *options, kind)
    leaf = t.Tensor(x, requires_grad=True)
    y = POOLS[kind](leaf, *options)
    close(y.numpy(), np.einsum("ncijhw,nchw->ncij", weights, x))
    rng = np.random.default_rng(0)
    g, v = (t.Tensor(rng.standard_normal(shape), requires_grad=True) for shape in (y.shape, x.shape))
    (dx,) = t.grad(y, leaf, g, create_graph=True)
    close(dx.numpy(), np.einsum("ncijhw,ncij->nchw", weights, g.numpy()))
    (dg,) = t.grad(dx, g, v)
    close(dg.numpy(), np.einsum("ncijhw,nchw->ncij", weights, v.numpy()))


def gradient(fn, x):
    leaf = t.Tensor(x, requires_grad=True)
    fn(leaf).sum().backward()
    return leaf.grad.numpy()


def test_of_equal_pixels_the_first_gets_the_gradient():
    np.testing.assert_array_equal(
        gradient(lambda x: max_pool2d(x, 2), np.ones((1, 1, 2, 2))), [[[[1, 0], [0, 0]]]]
    )


def test_a_pixel_that_wins_several_windows_gets_the_gradient_of_each():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    assert gradient(lambda x: max_pool2d(x, 2, stride=1), x)[0, 0, 1, 1] == 4


def test_the_padding_never_wins_not_even_against_minus_infinity():
    x = np.full((1, 1, 2, 2), -np.inf)
    assert max_pool2d(t.Tensor(x), 2, padding=1).shape == (1, 1, 2, 2)
    assert (max_pool2d(t.Tensor(x), 2, padding=1).numpy() == -np.inf).all()
    np.testing.assert_array_equal(gradient(lambda x: max_pool2d(x, 2, padding=1), x), np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 1)])
def test_nan_wins_wherever_it_lies(place):
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    x[(0, 0, *place)] = np.nan
    assert math.isnan(max_pool2d(t.Tensor(x), 2).item())
    assert gradient(lambda x: max_pool2d(x, 2), x)[(0, 0, *place)] == 1


def test_a_window_of_more_taps_than_a_byte_counts_finds_its_last():
    x = np.arange(17.0 * 17).reshape(1, 1, 17, 17)
    assert gradient(lambda x: max_pool2d(x, 17), x)[0, 0, 16, 16] == 1


def test_a_pooling_called_twice_looks_at_its_input_each_time():
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    pools = [max_pool2d(t.Tensor(sign * x), 2).item() for sign in (1, -1)]
    assert pools == [4, -1]


def test_the_stride_is_the_kernel_size_by_default(rng):
    x = t.Tensor(rng.standard_normal((2, 3, 6, 7)))
    np.testing.assert_array_equal(max_pool2d(x, (2, 3)).numpy(), max_pool2d(x, (2, 3), (2, 3)).numpy())


def test_the_mean_counts_the_padding_unless_told_otherwise():
    x = t.Tensor(np.ones((1, 1, 2, 2)))
    assert avg_pool2d(x, 2, padding=1).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    assert avg_pool2d(x, 2, padding=1, count_include_pad=False).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


@pytest.mark.parametrize("size", [1, (1, 1), (2, 1), (2, 3), (4, 6)])
def test_adaptive_pooling_takes_means_of_equal_parts(rng, size):
    x = rng.standard_normal((2, 3, 4, 6))
    rows, columns = np.broadcast_to(size, 2)
    parts = x.reshape(2, 3, rows, 4 // rows, columns, 6 // columns)
    close(adaptive_avg_pool2d(t.Tensor(x), size).numpy(), parts.mean(axis=(3, 5)))


@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
@pytest.mark.parametrize("pool", [lambda x: max_pool2d(x, 2), lambda x: interpolate(x, scale_factor=2)])
def test_results_lie_in_memory_as_their_inputs_do(rng, layout, pool):
    x = t.Tensor(LAYOUTS[layout](rng.standard_normal((2, 3, 4, 6))))
    order = (0, 1, 2, 3) if layout == "contiguous" else (0, 2, 3, 1)
    assert pool(x).data.transpose(order).flags.c_contiguous


# -- resizing ------------------------------------------------------------------------------------------


@given(pairs(1, 6), pairs(1, 4), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_by_whole_factors_each_pixel_becomes_a_block(size, factors, n):
    x = np.random.default_rng(0).standard_normal((n, 2, *size))
    expected = np.repeat(np.repeat(x, factors[0], axis=2), factors[1], axis=3)
    larger = (size[0] * factors[0], size[1] * factors[1])
    close(interpolate(t.Tensor(x), scale_factor=factors).numpy(), expected)
    close(interpolate(t.Tensor(x), larger).numpy(), expected)


@given(pairs(1, 9), pairs(1, 12))
@settings(max_examples=60, deadline=None)
def test_to_any_size_pixel_i_is_the_one_at_the_same_part_of_the_way(old, new):
    x = np.random.default_rng(0).standard_normal((2, 2, *old))
    rows = [i * old[0] // new[0] for i in range(new[0])]
    columns = [j * old[1] // new[1] for j in range(new[1])]
    close(interpolate(t.Tensor(x), new).numpy(), x[:, :, rows][:, :, :, columns])


@pytest.mark.parametrize(
    ("n", "scale", "expected"),
    [
        (4, 1.5, [0, 0, 1, 2, 2, 3]),
        (5, 0.6, [0, 1, 3]),
        (3, 2.25, [0, 0, 1, 1, 2, 2]),  # 6.75 pixels are cut to twice 3
        (3, 1.3, [0, 1, 2]),  # 3.9 pixels are cut to 3
        (4, 0.5, [0, 2]),
    ],
)
def test_a_scale_that_is_no_whole_number_picks_the_pixels_that_torch_picks(n, scale, expected):
    x = t.Tensor(np.arange(float(n)).reshape(1, 1, n, 1))
    assert interpolate(x, scale_factor=(scale, 1)).numpy().ravel().tolist() == expected


def test_the_gradient_of_a_pixel_counts_its_copies():
    np.testing.assert_array_equal(
        gradient(lambda x: interpolate(x, (3, 5)), np.ones((1, 1, 2, 2))), [[[[6, 4], [3, 2]]]]
    )


# -- messages ------------------------------------------------------------------------------------------


def image(h=4, w=6):
    return t.Tensor(np.zeros((1, 1, h, w), "float32"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: max_pool2d(t.Tensor(np.zeros((3, 4, 4))), 2),
            r"max_pool2d: input needs shape \(n, c, h, w\), with pixels; got \(3, 4, 4\)",
        ),
        (lambda: avg_pool2d(t.Tensor(np.zeros(4)), 2), r"avg_pool2d: input needs shape .* got \(4,\)"),
        (lambda: interpolate(t.Tensor(np.zeros(4)), 2), r"interpolate: input needs shape .* got \(4,\)"),
        (
            lambda: max_pool2d(image(), 5),
            r"max_pool2d: the kernel spans \(5, 5\) pixels, more than the padded input, \(4, 6\)",
        ),
        (
            lambda: max_pool2d(image(), 2, padding=2),
            "max_pool2d: padding must be at most half of kernel_size; got padding 2, kernel_size 2",
        ),
        (
            lambda: avg_pool2d(image(), (3, 1), padding=1),
            r"avg_pool2d: padding must be .* kernel_size \(3, 1\)",
        ),
        (lambda: max_pool2d(image(), 0), "max_pool2d: kernel_size must be at least 1; got 0"),
        (lambda: max_pool2d(image(), 2, 0), "max_pool2d: stride must be at least 1; got 0"),
        (lambda: avg_pool2d(image(), 2, padding=-1), "avg_pool2d: padding must be at least 0; got -1"),
        (
            lambda: adaptive_avg_pool2d(image(), (2, 4)),
            r"adaptive_avg_pool2d: output_size must divide .* input, \(4, 6\); got \(2, 4\)",
        ),
        (
            lambda: adaptive_avg_pool2d(image(), 0),
            "adaptive_avg_pool2d: output_size must be at least 1; got 0",
        ),
        (
            lambda: interpolate(image(), 2, mode="bilinear"),
            "interpolate: only mode 'nearest' is implemented; got 'bilinear'",
        ),
        (
            lambda: interpolate(image()),
            "interpolate: give either size or scale_factor; got size None, scale_factor None",
        ),
        (
            lambda: interpolate(image(), 2, 2),
            "interpolate: give either size or scale_factor; got size 2, scale_factor 2",
        ),
        (lambda: interpolate(image(), 0), "interpolate: size must be at least 1; got 0"),
        (
            lambda: interpolate(image(), scale_factor=0.2),
            r"interpolate: scale_factor 0.2 leaves no pixel of images \(4, 6\)",
        ),
    ],
)
def test_shapes_and_numbers_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: max_pool2d(image(), 2.0),
            "max_pool2d: kernel_size must be an int or a pair of ints; got 2.0",
        ),
        (
            lambda: adaptive_avg_pool2d(image(), None),
            "adaptive_avg_pool2d: output_size must be an int .* got None",
        ),
        (lambda: interpolate(image(), 2.5), "interpolate: size must be an int or a pair of ints; got 2.5"),
        (
            lambda: interpolate(image(), scale_factor=(1, 2, 2)),
            r"interpolate: scale_factor must be a number or a pair of numbers; got \(1, 2, 2\)",
        ),
        (
            lambda: interpolate(image(), scale_factor="2"),
            "interpolate: scale_factor must be a number or a pair",
        ),
    ],
)
def test_arguments_of_another_type_are_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: max_pool2d(x, 2, padding=1),
        lambda x: avg_pool2d(x, 2, padding=1),
        lambda x: adaptive_avg_pool2d(x, 1),
        lambda x: interpolate(x, 4),
    ],
)
def test_images_without_pixels_are_refused(call):
    with pytest.raises(ValueError, match=r"(2d|interpolate): input needs .* pixels; got \(2, 3, 0, 5\)"):
        call(np.zeros((2, 3, 0, 5)))
