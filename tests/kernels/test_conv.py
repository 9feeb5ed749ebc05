"""Convolution for NumPy: against its plain twin in all its ways, and which way serves which shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_lite import set_num_threads, threads
from tinygrad_lite.kernels import conv as plain
from tinygrad_lite.kernels.cpu import columns, depthwise, products, winograd
from tinygrad_lite.kernels.cpu import conv as cpu
from tinygrad_lite.kernels.windows import Windows, windows_of

some = settings(max_examples=100, deadline=None)

LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "channels-last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, axis=1), 2, axis=3)[:, ::2, :, ::2],
    "channels reversed": lambda x: LAYOUTS["channels-last"](x[:, ::-1])[:, ::-1],
}
layouts = st.sampled_from(sorted(LAYOUTS))


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def convolutions(draw):
    """(x, w, b, g), the windows and the groups of a convolution whose kernel fits."""
    groups, c, o, n = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 6)),
        draw(st.integers(1, 6)),
        draw(st.integers(0, 4)),
    )
    kernel, stride, padding = draw(pairs(1, 5)), draw(pairs(1, 3)), draw(pairs(0, 3))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3), (2, 2)]))
    if draw(st.booleans()):
        stride, padding = (1, 1), "same"
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    least = [
        max(1, r + 1 - 2 * p) for r, p in zip(reach, (0, 0) if padding == "same" else padding, strict=True)
    ]
    size = tuple(low + more for low, more in zip(least, draw(pairs(0, 6)), strict=True))
    windows = windows_of("conv2d", size, kernel, stride, padding, dilation)
    x, w, b, g = arrays(draw(st.integers(0, 99)), n, groups * c, groups * o, windows, groups)
    return (LAYOUTS[draw(layouts)](x), w, b, LAYOUTS[draw(layouts)](g)), windows, groups


def arrays(seed, n, c, o, windows, groups=1, dtype="float64"):
    rng = np.random.default_rng(seed)
    shapes = [(n, c, *windows.size), (o, c // groups, *windows.kernel), (o,), (n, o, *windows.grid)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def everything(kernels, x, w, b, g, windows, groups=1):
    yield kernels.convolve(x, w, b, windows, groups)
    yield kernels.convolve(x, w, None, windows, groups)
    yield kernels.input_gradient(g, w, windows, groups)
    yield kernels.weight_gradient(g, x, windows, groups)
    yield from kernels.gradients(g, x, w, windows, groups)
    yield kernels.bias_gradient(g)


def assert_twins_agree(convolution, windows, groups=1, tolerance=1e-11):
    for fast, slow in zip(
        everything(cpu, *convolution, windows, groups),
        everything(plain, *convolution, windows, groups),
        strict=True,
    ):
        assert fast.dtype == slow.dtype
        assert fast.shape == slow.shape
        scale = max(1, abs(slow).max(initial=0))
        np.testing.assert_allclose(fast, slow, rtol=0, atol=tolerance * scale)


# -- against the plain twin --------------------------------------------------------------------------------


@some
@given(convolutions(), st.sampled_from([1, 3000, 1 << 21]), st.sampled_from([1, 60, 700, 1 << 62]))
def test_the_kernels_agree_with_the_plain_ones_in_blocks_and_products_of_any_size(drawn, block, unpacked):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK_BYTES", block)
        patch.setattr(products, "UNPACKED", unpacked)
        assert_twins_agree(*drawn)


@pytest.mark.parametrize(
    ("c", "o", "options"),
    [
        (1, 6, {"kernel_size": 5, "padding": 2}),  # bands, for dw too
        (6, 16, {"kernel_size": 5}),
        (5, 1, {"kernel_size": 3, "padding": 1}),  # dw from the windows of g
        (8, 5, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (8, 5, {"kernel_size": 3, "stride": 3}),
        (8, 5, {"kernel_size": 1}),
        (8, 5, {"kernel_size": 1, "stride": 2}),  # pixels in no window
        (8, 5, {"kernel_size": 2, "stride": 2}),
        (8, 5, {"kernel_size": 3, "padding": 2, "dilation": 2}),
        (8, 5, {"kernel_size": 3, "stride": 2, "dilation": 2}),
        (24, 24, {"kernel_size": 3, "padding": 1}),  # Winograd, for both gradients
        (48, 40, {"kernel_size": 3, "padding": 1}),  # Winograd
    ],
)
@pytest.mark.parametrize("size", [(8, 8), (7, 6)])
def test_threads_share_the_images(shared, c, o, options, size):
    windows = windows_of("conv2d", size, **options)
    assert_twins_agree(arrays(0, 5, c, o, windows), windows)


def test_threads_share_the_images_of_each_group(shared):
    windows = windows_of("conv2d", (7, 6), 3, padding=1)
    assert_twins_agree(arrays(0, 5, 4, 6, windows, groups=2), windows, 2)
    assert_twins_agree(arrays(0, 5, 4, 4, windows, groups=4), windows, 4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float16", 1e-2)])
@pytest.mark.parametrize(("c", "o", "stride"), [(3, 16, 1), (16, 32, 2), (48, 48, 1)])
def test_short_dtypes_are_kept(dtype, tolerance, c, o, stride):
    windows = windows_of("conv2d", (8, 8), 3, stride, 1)
    assert_twins_agree(arrays(0, 3, c, o, windows, dtype=dtype), windows, tolerance=tolerance)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"padding": 1}])
def test_results_lie_channels_last_and_weights_in_order(layout, options):
    windows = windows_of("conv2d", (5, 6), 3, **options)
    x, w, b, g = arrays(0, 2, 7, 5, windows)
    y, _, dx, dw, *_ = everything(cpu, LAYOUTS[layout](x), w, b, LAYOUTS[layout](g), windows)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dx.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dw.flags.c_contiguous


def test_the_sum_of_many_float16_is_not_taken_in_float16():
    assert cpu.bias_gradient(np.ones((5000, 1, 1, 1), "float16")) == 5000


@pytest.mark.parametrize(("c", "o", "stride", "of_g"), [(7, 5, 1, True), (5, 7, 1, False), (7, 5, 2, False)])
def test_dw_is_made_of_the_windows_of_fewer_channels_where_both_have_as_many(monkeypatch, c, o, stride, of_g):
    seen = []

    class Noted(columns.Columns):
        def prepare(self, x, n):
            seen.append(x.shape[1])
            return super().prepare(x, n)

    monkeypatch.setattr(cpu, "Columns", Noted)
    windows = windows_of("conv2d", (8, 8), 3, stride, 1)
    x, _, _, g = arrays(0, 2, c, o, windows)
    cpu.weight_gradient(g, x, windows, 1)
    assert seen == [o if of_g else c]


@pytest.mark.parametrize(
    ("c", "options"),
    [
        (64, {"kernel_size": 3, "padding": 1}),  # Winograd
        (64, {"kernel_size": 3, "padding": 1, "stride": 2}),
        (12, {"kernel_size": 5}),
    ],
)
@pytest.mark.parametrize(("n", "parts"), [(64, 2), (1, 1)])
def test_large_convolutions_are_shared_and_small_ones_are_not(monkeypatch, c, options, n, parts):
    seen, at_once = [], threads._at_once
    monkeypatch.setattr(threads, "_at_once", lambda jobs, cost: seen.append(len(jobs)) or at_once(jobs, cost))
    set_num_threads(2)
    windows = windows_of("conv2d", (20, 20), **options)
    x, w, b, g = (a.astype("float32") for a in arrays(0, n, c, c, windows))
    for result in (
        lambda: cpu.convolve(x, w, b, windows, 1),
        lambda: cpu.input_gradient(g, w, windows, 1),
        lambda: cpu.weight_gradient(g, x, windows, 1),
    ):
        seen.clear()
        result()
        assert max(seen) == parts
    set_num_threads(1)


# -- which way serves which shape --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("o", "c", "options", "groups", "forward", "by_weights"),
    [
        (64, 64, {"kernel_size": 3, "padding": 1}, 1, winograd, winograd),
        (64, 64, {"kernel_size": 3}, 1, winograd, winograd),
        (16, 16, {"kernel_size": 3, "padding": 1}, 1, None, winograd),
        (24, 24, {"kernel_size": 3, "padding": 1}, 1, None, winograd),
        (23, 64, {"kernel_size": 3, "padding": 1}, 1, None, winograd),
        (15, 64, {"kernel_size": 3, "padding": 1}, 1, None, None),
        (32, 32, {"kernel_size": 3, "padding": 1}, 1, winograd, winograd),
        (16, 64, {"kernel_size": 3, "padding": 1}, 1, None, winograd),
        (32, 3, {"kernel_size": 3, "padding": 1}, 1, None, None),
        (1, 64, {"kernel_size": 3, "padding": 1}, 1, None, None),
        (64, 64, {"kernel_size": 3, "stride": 2, "padding": 1}, 1, None, None),
        (64, 64, {"kernel_size": 3, "padding": 2, "dilation": 2}, 1, None, None),
        (64, 64, {"kernel_size": 5, "padding": 2}, 1, None, None),
        (64, 64, {"kernel_size": 1}, 1, None, None),
        (32, 1, {"kernel_size": 3, "padding": 1}, 32, depthwise, depthwise),
        (64, 1, {"kernel_size": 3, "padding": 1}, 32, None, None),
        (32, 1, {"kernel_size": 3, "stride": 2, "padding": 1}, 32, None, None),
        (64, 64, {"kernel_size": 3, "padding": 1}, 2, None, None),
    ],
)
def test_the_specialist_for_a_shape(o, c, options, groups, forward, by_weights):
    windows = windows_of("conv2d", (8, 8), **options)
    dtype = np.dtype("float32")
    assert cpu.specialist_for(64, (o, c, 3, 3), windows, groups, dtype) is forward
    assert cpu.specialist_for(64, (o, c, 3, 3), windows, groups, dtype, by_weights=True) is by_weights


@pytest.mark.parametrize(("groups", "c"), [(1, 64), (64, 1)])
def test_float16_has_no_specialist(groups, c):
    windows = windows_of("conv2d", (8, 8), 3, padding=1)
    assert cpu.specialist_for(64, (64, c, 3, 3), windows, groups, np.dtype("float16")) is None


# -- windows as matrices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [columns.Columns, columns.Bands])
@pytest.mark.parametrize("images", [0, 1, 3])
def test_the_windows_of_a_block_of_images_fit_the_cache(monkeypatch, layout, images):
    windows = Windows((4, 4), (3, 3), padding=((1, 1), (1, 1)))
    of_an_image = 16 * 9 * 2 if layout is columns.Columns else 4 * 6 * 3 * 2
    monkeypatch.setattr(columns, "BLOCK_BYTES", (images + 0.9) * of_an_image * 8)
    assert layout(windows).longest_block(np.zeros((7, 2, 4, 4))) == max(1, images)


@pytest.mark.parametrize("layout", [columns.Columns, columns.Bands])
def test_a_row_is_a_window_in_the_order_of_the_weights_and_of_the_places(rng, layout):
    windows = Windows((5, 6), (3, 2), (2, 1), ((1, 0), (0, 1)))
    x, w = rng.standard_normal((2, 3, 5, 6)), rng.standard_normal((4, 3, 3, 2))
    way = layout(windows)
    y = way.places(plain.convolve(x, w, None, windows, 1))
    windows_in = way.prepare(x, 1)
    for image in slice(0, 1), slice(1, 2):
        products = windows_in(image) @ way.matrix_of(w)
        np.testing.assert_allclose(products, y[way.rows_of(image)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", [columns.Columns, columns.Bands])
def test_the_weights_of_a_matrix_are_those_that_it_is_made_of(rng, layout):
    w = rng.standard_normal((4, 3, 3, 2))
    way = layout(Windows((5, 6), (3, 2)))
    np.testing.assert_array_equal(way.weights_of(way.matrix_of(w)), w)


def test_windows_in_a_band_overlap_in_memory():
    way = columns.Bands(Windows((4, 8), (3, 3)))
    matrices = way.prepare(LAYOUTS["channels-last"](np.zeros((2, 5, 4, 8), "float32")), 2)(slice(0, 2))
    assert matrices.shape == (6, 4, 45)
    assert matrices.strides[0] == matrices.strides[2] * 15


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("size", [(5, 6), (16, 16), (1, 256)])
@pytest.mark.parametrize("c", [1, 4, 5])
def test_channels_are_brought_together(rng, layout, size, c):
    x = LAYOUTS[layout](rng.standard_normal((2, c, *size)).astype("float32"))
    together = columns.channels_last(x)
    np.testing.assert_array_equal(together, x)
    assert c <= columns.FEW or together.strides[1] == 4


@pytest.mark.parametrize("c", [4, 5])
def test_channels_that_are_few_or_together_are_not_copied(rng, c):
    x = LAYOUTS["channels-last" if c == 5 else "contiguous"](rng.standard_normal((2, c, 16, 16)))
    assert columns.channels_last(x) is x


def test_an_op_that_is_called_again_has_the_same_windows_with_all_that_is_known_of_them():
    windows = windows_of("conv2d", (8, 8), 3, padding=1)
    again = windows_of("conv2d", (8, 8), (3, 3), padding=(1, 1))
    assert again is windows
    for known in ("taps", "phases", "mirrored", "pixels", "first_columns"):
        assert getattr(again, known) is getattr(windows, known)
    assert isinstance(windows.taps, tuple)
    assert isinstance(windows.phases, tuple)


def test_windows_are_described_by_ints_even_where_true_was_one():
    assert repr(windows_of("conv2d", (9, 9), 2, stride=True).stride) == "(1, 1)"


# -- products ----------------------------------------------------------------------------------------------

sizes = st.integers(1, 70)


@some
@given(st.integers(0, 70), sizes, sizes, st.sampled_from([1, 500, 5000, 1 << 62]), st.booleans())
def test_products_in_slices_are_products(rows, k, n, unpacked, stacked):
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(-9, 9, ((2, rows, k) if stacked else (rows, k))) * 1.0,
        rng.integers(-9, 9, (k, n)) * 1.0,
    )
    g = rng.integers(-9, 9, (*a.shape[:-1], n)) * 1.0
    out = np.full((*a.shape[:-2], n, rows), np.nan).swapaxes(-1, -2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "UNPACKED", unpacked)
        products.multiply(a, b, out)
        transposed = products.multiply_transposed(a, g)
    np.testing.assert_array_equal(out, a @ b)
    np.testing.assert_array_equal(transposed, a.reshape(-1, k).T @ g.reshape(-1, n))


def test_products_have_at_most_so_many_multiply_adds(monkeypatch, rng):
    made = []

    def noted(a, b, out):
        made.append(out.shape[-2] * a.shape[-1] * out.shape[-1])
        return np.copyto(out, np.einsum("...ik,...kj->...ij", a, b))

    a, b, out = rng.standard_normal((100, 10)), rng.standard_normal((10, 64)), np.empty((100, 64))
    monkeypatch.setattr(products, "UNPACKED", 6000)
    monkeypatch.setattr(products.np, "matmul", noted)
    products.multiply(a, b, out)
    assert made
    assert max(made) <= 6000
    np.testing.assert_allclose(out, a @ b)


# -- the classes of pixels that are a stride apart ----------------------------------------------------------


@some
@given(pairs(1, 9), pairs(1, 5), pairs(1, 4), pairs(0, 3))
def test_each_pixel_is_in_one_class(size, kernel, stride, padding):
    size = tuple(max(a, k) for a, k in zip(size, kernel, strict=True))
    windows = windows_of("conv2d", size, kernel, stride, padding)
    count = np.zeros(size, int)
    for pixels, _, around in windows.phases:
        count[pixels] += 1
        assert 0 in around.kernel or around.grid == count[pixels].shape
    assert (count == 1).all()


def test_at_stride_1_the_only_class_is_mirrored():
    windows = windows_of("conv2d", (5, 6), (3, 2), padding=(2, 1))
    ((_, _, around),) = windows.phases
    assert around == windows.mirrored


def test_3x3_at_stride_2_is_four_convolutions_by_4_2_2_and_1_taps():
    windows = windows_of("conv2d", (8, 8), 3, 2, 1)
    assert [around.kernel for _, _, around in windows.phases] == [(1, 1), (1, 2), (2, 1), (2, 2)]
