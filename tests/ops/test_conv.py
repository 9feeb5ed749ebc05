"""Convolution: against loops, known values, laws, messages."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite.kernels.windows import windows_of
from tinygrad_lite.nn.functional import conv2d

# -- references ----------------------------------------------------------------------------------------


def by_loops(x, w, b, g, stride, padding, dilation, groups):
    """(y, dx, dw, db), one product at a time; `g` is the gradient of y."""
    (height, width), (o, c, kh, kw) = x.shape[2:], w.shape
    if padding == "same":
        padding = [d * (k - 1) // 2 for d, k in zip(dilation, (kh, kw), strict=True)]
    y, dx, dw = np.zeros(g.shape), np.zeros_like(x), np.zeros_like(w)
    for image, out, i, j in np.ndindex(y.shape):
        first = out // (o // groups) * c  # channel of the group
        for channel, a, e in np.ndindex(c, kh, kw):
            r = i * stride[0] - padding[0] + a * dilation[0]
            s = j * stride[1] - padding[1] + e * dilation[1]
            if 0 <= r < height and 0 <= s < width:
                y[image, out, i, j] += w[out, channel, a, e] * x[image, first + channel, r, s]
                dx[image, first + channel, r, s] += w[out, channel, a, e] * g[image, out, i, j]
                dw[out, channel, a, e] += x[image, first + channel, r, s] * g[image, out, i, j]
    return y + b[:, None, None], dx, dw, np.array([g[:, out].sum() for out in range(o)])


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "channels-last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=1), 2, axis=3)[:, ::2, :, ::2],
}


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x, w, b, g) and the options of a convolution whose kernel fits."""
    groups, c, o, n = (draw(st.integers(low, 3)) for low in (1, 1, 1, 0))
    kernel, stride, padding, dilation = (draw(pairs(low, 3)) for low in (1, 1, 0, 1))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if draw(st.booleans()):
        stride, padding, size = (1, 1), "same", draw(pairs(1, 5))
    else:
        size = tuple(
            max(1, r + 1 - 2 * p) + draw(st.integers(0, 4)) for r, p in zip(reach, padding, strict=True)
        )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    windows = windows_of("conv2d", size, kernel, stride, padding, dilation)
    x = layout(rng.standard_normal((n, groups * c, *size)))
    w, b = rng.standard_normal((groups * o, c, *kernel)), rng.standard_normal(groups * o)
    g = layout(rng.standard_normal((n, groups * o, *windows.grid)))
    return (x, w, b, g), (stride, padding, dilation, groups)


def close(a, b):
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


# -- values and gradients ------------------------------------------------------------------------------


@given(convolutions())
@settings(max_examples=60, deadline=None)
def test_value_and_gradients_agree_with_loops(convolution):
    (x, w, b, g), options = convolution
    leaves = [t.Tensor(a, requires_grad=True) for a in (x, w, b)]
    y = conv2d(*leaves, *options)
    found = (y, *t.grad(y, leaves, g))
    for ours, loops in zip(found, by_loops(x, w, b, g, *options), strict=True):
        close(ours.numpy(), loops)


@pytest.mark.parametrize("wanted", [c for k in (1, 2, 3) for c in itertools.combinations(range(3), k)])
def test_a_gradient_does_not_depend_on_which_others_are_asked_for(rng, wanted):
    x, w, b, g = (rng.standard_normal(s) for s in [(2, 3, 4, 5), (2, 3, 3, 3), (2,), (2, 2, 4, 5)])
    tensors = [t.Tensor(a, requires_grad=i in wanted) for i, a in enumerate((x, w, b))]
    found = t.grad(conv2d(*tensors, padding=1), [tensors[i] for i in wanted], g)
    expected = by_loops(x, w, b, g, (1, 1), (1, 1), (1, 1), 1)[1:]
    for i, gradient in zip(wanted, found, strict=True):
        close(gradient.numpy(), expected[i])


def test_the_fourth_derivative_of_a_quartic_is_its_value_along_the_direction_times_24(rng):
    x, v = (t.Tensor(rng.standard_normal((2, 2, 3, 3)), requires_grad=True) for _ in range(2))
    f = (conv2d(x, x, padding=1) ** 2).sum()
    for _ in range(4):
        (derivative,) = t.grad(f, x, create_graph=True)
        f = (derivative * v.detach()).sum()
    expected = 24 * (conv2d(v, v, padding=1).numpy() ** 2).sum()
    assert f.item() == pytest.approx(expected, rel=1e-10)


# -- known values --------------------------------------------------------------------------------------


def test_a_kernel_of_a_single_one_copies_its_channel(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    w = np.zeros((1, 3, 3, 3))
    w[0, 2, 1, 1] = 1
    np.testing.assert_array_equal(conv2d(t.Tensor(x), t.Tensor(w), padding=1).numpy()[:, 0], x[:, 2])


def test_the_kernel_is_not_turned_around():
    x, w = t.Tensor([[[[0.0, 1.0, 0.0]]]]), t.Tensor([[[[3.0, 2.0, 1.0]]]])
    assert conv2d(x, w, padding=(0, 1)).tolist() == [[[[1.0, 2.0, 3.0]]]]


def test_a_kernel_of_ones_counts_the_pixels_under_it():
    x, w = t.Tensor(np.ones((1, 1, 3, 3))), t.Tensor(np.ones((1, 1, 3, 3)))
    expected = [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    assert conv2d(x, w, padding=1).tolist() == [[expected]]


def test_a_1x1_convolution_is_a_product_with_the_channels_of_each_pixel(rng):
    x, w = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((6, 3, 1, 1))
    close(conv2d(t.Tensor(x), t.Tensor(w)).numpy(), np.einsum("nchw,oc->nohw", x, w[..., 0, 0]))


def test_the_bias_is_added_to_each_place_of_its_channel():
    y = conv2d(
        t.Tensor(np.zeros((2, 1, 3, 3))), t.Tensor(np.zeros((2, 1, 2, 2))), t.Tensor(np.array([5.0, 7.0]))
    )
    assert (y.numpy()[:, 0] == 5).all()
    assert (y.numpy()[:, 1] == 7).all()


def test_groups_are_convolutions_side_by_side(rng):
    x, w = rng.standard_normal((2, 6, 4, 5)), rng.standard_normal((4, 3, 3, 3))
    parts = [
        conv2d(t.Tensor(x[:, 3 * i : 3 * i + 3]), t.Tensor(w[2 * i : 2 * i + 2])).numpy() for i in range(2)
    ]
    close(conv2d(t.Tensor(x), t.Tensor(w), groups=2).numpy(), np.concatenate(parts, axis=1))


@pytest.mark.parametrize(("kernel", "dilation"), [((3, 5), 1), ((2, 4), 1), ((3, 2), (2, 3))])
def test_same_keeps_the_size_with_the_odd_zero_after(rng, kernel, dilation):
    x, w = rng.standard_normal((2, 3, 6, 7)), rng.standard_normal((2, 3, *kernel))
    reach = [d * (k - 1) for k, d in zip(kernel, np.broadcast_to(dilation, 2), strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *((r // 2, r - r // 2) for r in reach)])
    same = conv2d(t.Tensor(x), t.Tensor(w), padding="same", dilation=dilation)
    assert same.shape == (2, 2, 6, 7)
    close(same.numpy(), conv2d(t.Tensor(padded), t.Tensor(w), dilation=dilation).numpy())


def test_valid_is_no_padding(rng):
    x, w = t.Tensor(rng.standard_normal((2, 3, 6, 7))), t.Tensor(rng.standard_normal((2, 3, 3, 3)))
    np.testing.assert_array_equal(conv2d(x, w, padding="valid").numpy(), conv2d(x, w).numpy())


# -- memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_results_lie_channels_last_so_that_the_next_convolution_need_not_copy(rng, layout):
    x = t.Tensor(LAYOUTS[layout](rng.standard_normal((2, 3, 4, 5))), requires_grad=True)
    y = conv2d(x, t.Tensor(rng.standard_normal((6, 3, 3, 3))), padding=1)
    y.sum().backward()
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
    assert x.grad.data.transpose(0, 2, 3, 1).flags.c_contiguous


# -- messages ------------------------------------------------------------------------------------------


def zeros(*shape, dtype="float32"):
    return t.Tensor(np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (
            [(8, 3, 28, 28), (16, 4, 3, 3)],
            {},
            r"conv2d: input has 3 channels but weight expects 4 \(weight.shape\[1\] × groups\); "
            r"got input \(8, 3, 28, 28\), weight \(16, 4, 3, 3\)$",
        ),
        (
            [(8, 3, 28, 28), (16, 3, 3, 3)],
            {"groups": 2},
            r"input has 3 channels but weight expects 6 .* weight \(16, 3, 3, 3\), groups 2",
        ),
        (
            [(8, 4, 28, 28), (5, 2, 3, 3)],
            {"groups": 2},
            r"conv2d: 5 outputs do not fall into groups=2 of equal size; got input \(8, 4, 28, 28\)",
        ),
        ([(8, 4, 28, 28), (5, 4, 3, 3)], {"groups": 0}, "do not fall into groups=0"),
        (
            [(3, 28, 28), (16, 3, 3, 3)],
            {},
            r"conv2d: needs input \(n, c, h, w\) and weight \(o, c/groups, kh, kw\); got input \(3, 28, 28\)",
        ),
        ([(8, 3, 28, 28), (3, 3)], {}, r"conv2d: needs input .* weight \(3, 3\)"),
        (
            [(8, 3, 28, 28), (16, 3, 3, 3), (15,)],
            {},
            r"conv2d: bias needs shape \(16,\), one for each output; got \(15,\)",
        ),
        (
            [(8, 3, 2, 5), (16, 3, 5, 3)],
            {"padding": (1, 0)},
            r"conv2d: the kernel spans \(5, 3\) pixels, more than the padded input, \(4, 5\); got input "
            r"\(…, 2, 5\), kernel \(5, 3\), dilation 1, padding \(1, 0\)",
        ),
        ([(8, 3, 5, 5), (16, 3, 3, 3)], {"dilation": 3}, r"the kernel spans \(7, 7\) pixels, .* dilation 3"),
        ([(8, 3, 5, 5), (16, 3, 0, 3)], {}, r"conv2d: kernel_size must be at least 1; got \(0, 3\)"),
        ([(8, 3, 5, 5), (16, 3, 3, 3)], {"stride": 0}, "conv2d: stride must be at least 1; got 0"),
        ([(8, 3, 5, 5), (16, 3, 3, 3)], {"dilation": (1, 0)}, r"dilation must be at least 1; got \(1, 0\)"),
        ([(8, 3, 5, 5), (16, 3, 3, 3)], {"padding": -1}, "conv2d: padding must be at least 0; got -1"),
        (
            [(8, 3, 5, 5), (16, 3, 3, 3)],
            {"padding": "full"},
            "conv2d: padding must be an int, a pair, 'same' or 'valid'; got 'full'",
        ),
        (
            [(8, 3, 5, 5), (16, 3, 3, 3)],
            {"padding": "same", "stride": (1, 2)},
            r"conv2d: padding='same' needs stride 1; got stride \(1, 2\)",
        ),
    ],
)
def test_shapes_and_numbers_that_do_not_fit_are_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        conv2d(*(zeros(*shape) for shape in shapes), **options)


@pytest.mark.parametrize("stride", [1.0, (1, 2, 3), (1, 2.0), None])
def test_a_stride_of_anything_but_ints_is_refused(stride):
    with pytest.raises(TypeError, match="conv2d: stride must be an int or a pair of ints; got"):
        conv2d(zeros(1, 1, 3, 3), zeros(1, 1, 2, 2), stride=stride)


def test_dtypes_that_differ_are_refused():
    with pytest.raises(TypeError, match="conv2d: needs one dtype for all; got input float32, weight float64"):
        conv2d(zeros(1, 1, 3, 3), zeros(1, 1, 2, 2, dtype="float64"))


@pytest.mark.parametrize(("x", "w"), [((2, 3, 5, 5), (0, 3, 1, 1)), ((2, 0, 5, 5), (4, 0, 1, 1))])
def test_a_convolution_without_outputs_or_channels_is_refused(x, w):
    with pytest.raises(ValueError, match="conv2d: needs at least one output and one channel; got input"):
        conv2d(np.zeros(x), np.zeros(w))
