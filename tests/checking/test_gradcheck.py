"""The gradient check: it finds planted mistakes, passes what is right, refuses the rest, and says why."""

import numpy as np
import pytest

import tinygrad_lite as t
from tinygrad_lite import Function, Tensor
from tinygrad_lite.checking import GradcheckError, gradcheck, gradgradcheck
from tinygrad_lite.checking.compare import compare
from tinygrad_lite.checking.estimate import along, elements
from tinygrad_lite.ops.reduce import sum as total

A = np.random.default_rng(1).standard_normal((3, 5))
B = np.random.default_rng(2).standard_normal((5, 2))


def planted(forward, backward, **members):
    """A function made of a Function with these methods."""
    cls = type("Planted", (Function,), {"forward": forward, "backward": backward, **members})
    return lambda *inputs: cls()(*inputs)


def square(backward):
    """x², whose backward is to be proved wrong."""
    return planted(lambda self, x: x * x, backward)


# -- mistakes that it must find ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backward",
    [
        lambda self, grad, x: -2 * grad * x,
        lambda self, grad, x: grad * x,
        lambda self, grad, x: 2 * grad,
        lambda self, grad, x: 0 * grad * x,
        lambda self, grad, x: 2 * x + 0 * grad,
        lambda self, grad, x: 2 * grad * x + 1e-5 * grad,
        lambda self, grad, x: 2 * grad * x * (x > 0),
        lambda self, grad, x: 2 * total(grad) * x,
        lambda self, grad, x: grad * x * float("nan"),
    ],
    ids=["sign", "factor 2", "x lost", "zeros", "grad lost", "a little", "half of it", "grad summed", "nan"],
)
def test_a_wrong_gradient_is_found(backward):
    with pytest.raises(GradcheckError, match="is wrong at"):
        gradcheck(square(backward), A)


def test_a_matrix_that_was_not_transposed_back_is_found():
    wrong = planted(
        lambda self, a, b: a @ b,
        lambda self, grad, a, b: (grad @ t.reshape(b, (2, 3)), t.transpose(a, 0, 1) @ grad),
    )
    report = gradcheck(wrong, [A[:, :3], B[:3]], raise_exception=False)
    assert [c.ok for c in report.comparisons] == [False, True]


def test_dimensions_permuted_the_wrong_way_back_are_found():
    wrong = planted(
        lambda self, x: x.transpose(1, 2, 0), lambda self, grad: t.permute(grad, (1, 2, 0))
    )  # its own inverse only if read carelessly: all lengths are equal
    with pytest.raises(GradcheckError, match="is wrong at"):
        gradcheck(wrong, np.random.default_rng(0).standard_normal((3, 3, 3)))


def test_a_sum_over_a_broadcast_axis_that_takes_one_row_is_found():
    wrong = planted(lambda self, a, b: a + b, lambda self, grad: (grad, grad[0]))
    with pytest.raises(
        GradcheckError, match=r"the gradient of input 1, shape \(5,\), is wrong at 5 of 5 elements"
    ):
        gradcheck(wrong, [A, A[0]])


def test_a_mean_over_a_broadcast_axis_instead_of_the_sum_is_found():
    wrong = planted(lambda self, a, b: a + b, lambda self, grad: (grad, total(grad, 0) / 3), broadcasts=True)
    assert [c.ok for c in gradcheck(wrong, [A, A[0]], raise_exception=False).comparisons] == [True, False]


def test_a_softmax_that_returns_zeros_is_found_by_the_random_upstream_gradient():
    def softmax(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    wrong = planted(softmax, lambda self, grad: 0 * grad)
    x = Tensor(A, requires_grad=True)
    np.testing.assert_allclose(
        t.grad(t.softmax(x, -1).sum(), x)[0].numpy(), 0, atol=1e-15
    )  # so a sum shows nothing
    with pytest.raises(GradcheckError, match="is wrong at 15 of 15 elements"):
        gradcheck(wrong, A)


def test_a_gradient_that_skips_a_second_use_is_found():
    def detached(x):
        return x * x.detach()

    with pytest.raises(GradcheckError, match="is wrong at"):
        gradcheck(detached, A)


def test_a_cut_graph_of_one_of_several_inputs_is_found():
    report = gradcheck(lambda a, b: a * b.detach(), [A, A], raise_exception=False)
    assert [c.ok for c in report.comparisons] == [True, False]


def test_a_wrong_second_derivative_is_found_where_the_first_is_right():
    norm = planted(
        lambda self, x: np.sqrt((x * x).sum()),
        lambda self, grad, x, output: (
            grad * x / Tensor(output.numpy() if isinstance(output, Tensor) else output)
            if isinstance(grad, Tensor)
            else grad * x / output
        ),
    )
    assert gradcheck(norm, A)
    with pytest.raises(GradcheckError, match=r"gradient of .*: the gradient of input 0"):
        gradgradcheck(norm, A)


# -- what is right, it passes --------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("function", [lambda x: x * x * x, lambda x: 1 / (1 + x * x)])
def test_right_gradients_pass_at_any_scale_of_inputs(function, scale):
    assert gradcheck(function, A * scale)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_right_gradients_pass_at_any_scale_of_outputs(scale):
    assert gradcheck(lambda x: x.exp() * scale, A)
    assert gradgradcheck(lambda x: x.exp() * scale, A)


def test_several_outputs_and_inputs_are_checked_together():
    report = gradcheck(lambda a, b: (a @ b, a.sum(), (b * b).sum(0)), [A, B])
    assert [c.name for c in report.comparisons] == ["input 0", "input 1"]
    assert gradgradcheck(lambda a, b: (a @ b, (b**3).sum(0)), [A, B])


def test_an_input_that_does_not_matter_has_gradient_zero():
    assert gradcheck(lambda a, b: a * a, [A, A])
    assert gradgradcheck(lambda a, b: a * a, [A, A])


def test_linear_functions_have_a_gradient_of_the_gradient():
    assert gradgradcheck(lambda x: 3 * x, A)


def test_integers_and_masks_are_passed_as_they_are():
    labels = np.array([4, 0, 2])
    assert gradcheck(lambda x, i: t.gather(x, 1, t.unsqueeze(i, 1)), [A, labels])


def test_tensors_and_float32_are_checked_in_float64():
    report = gradcheck(lambda x: x * x, Tensor(A.astype("float32")))
    assert report.comparisons[0].numeric.dtype == "float64"


def test_only_the_inputs_asked_for_are_checked():
    wrong = planted(lambda self, a, b: a * b, lambda self, grad, a, b: (grad * b, grad * 0))
    assert gradcheck(wrong, [A, A], wrt=[0])
    assert not gradcheck(wrong, [A, A], wrt=[1], raise_exception=False)


def test_empty_inputs_pass():
    assert gradcheck(lambda x: x * 2, np.zeros((0, 3)))


def test_the_check_works_under_no_grad_and_leaves_the_inputs_alone():
    x = Tensor(A.copy(), requires_grad=True)
    with t.no_grad():
        assert gradcheck(lambda x: x.exp(), x)
    assert x.grad is None
    np.testing.assert_array_equal(x.numpy(), A)


def test_the_same_seed_gives_the_same_report():
    reports = [gradcheck(lambda x: x.detach() * x, A, raise_exception=False, seed=s) for s in (3, 3, 4)]
    assert str(reports[0]) == str(reports[1]) != str(reports[2])


# -- random directions ---------------------------------------------------------------------------------


def one_wrong_of(size, error):
    """x², with an error in one element of the gradient."""
    at = np.zeros(size)
    at[size // 3] = error
    return square(lambda self, grad, x: 2 * grad * x + grad * at)


def test_large_inputs_are_checked_along_three_directions():
    (comparison,) = gradcheck(lambda x: x * x, np.ones(2001)).comparisons
    assert comparison.along_directions
    assert comparison.numeric.shape == (3,)
    (comparison,) = gradcheck(lambda x: x * x, np.ones(2000)).comparisons
    assert not comparison.along_directions


def test_directions_find_one_wrong_element_of_five_thousand():
    x = np.random.default_rng(0).standard_normal(5000)
    for seed in range(5):
        report = gradcheck(one_wrong_of(5000, 1e-2), x, seed=seed, raise_exception=False)
        assert not report
    with pytest.raises(GradcheckError, match="is wrong at 3 of 3 random directions"):
        gradcheck(one_wrong_of(5000, 1e-2), x)


def test_the_number_of_directions_can_be_chosen():
    (comparison,) = gradcheck(lambda x: x * x, A, directions=7).comparisons
    assert comparison.numeric.shape == (7,)


# -- what cannot be checked, it refuses ----------------------------------------------------------------


def test_a_function_that_draws_at_random_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="noisy: two calls gave different outputs; fix the seed"):
        gradcheck(lambda x: x * rng.random(), A, title="noisy")


def test_a_function_with_another_number_of_outputs_the_second_time_is_refused():
    calls = []

    def growing(x):
        calls.append(x)
        return tuple(calls)

    with pytest.raises(GradcheckError, match="two calls gave different outputs"):
        gradcheck(growing, A)


def test_a_function_that_writes_into_its_input_is_refused():
    def writing(x):
        with t.no_grad():
            x += 1
        return x * x

    with pytest.raises(GradcheckError, match="writing: input 0 was changed in place by the function"):
        gradcheck(writing, A)


def test_outputs_without_gradient_are_refused():
    with pytest.raises(
        GradcheckError, match="cut: no output requires a gradient; is the graph cut somewhere"
    ):
        gradcheck(lambda x: x.detach() * 2, A, title="cut")
    with pytest.raises(GradcheckError, match="no output requires a gradient"):
        gradgradcheck(lambda x: x.detach() * 2, A)


def test_inputs_without_floats_are_refused():
    with pytest.raises(GradcheckError, match="none of the inputs is a float array"):
        gradcheck(lambda x: x, np.arange(3))


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
@pytest.mark.parametrize("wrt", [(2,), (0, -1), (1,)])
def test_positions_that_are_no_float_input_are_refused(check, wrt):
    with pytest.raises(ValueError, match=r"wrt must be positions of float inputs, of \[0\]; got \("):
        check(lambda x, i: x[i], [A, np.array([0, 1])], wrt=wrt)


def test_outputs_that_are_not_float64_are_refused():
    with pytest.raises(
        GradcheckError, match="single: differences need float64 all the way; the output is float32"
    ):
        gradcheck(lambda x: x.to("float32"), A, title="single")


# -- what it says --------------------------------------------------------------------------------------


def test_the_message_shows_the_worst_elements_first():
    at = np.zeros((3, 5))
    at[1, 2], at[0, 4], at[2, 0] = 1.0, 10.0, 0.1
    wrong = square(lambda self, grad, x: 2 * grad * x + at)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, A, title="wrong")
    first, header, *rows = str(caught.value).splitlines()
    assert first == "wrong: the gradient of input 0, shape (3, 5), is wrong at 3 of 15 elements"
    assert header.split() == ["index", "analytic", "numeric", "allowed", "error"]
    assert [row[: row.index(")") + 1].strip() for row in rows] == ["(0, 4)", "(1, 2)", "(2, 0)"]
    analytic, numeric = map(float, rows[0].split(")")[1].split()[:2])
    assert analytic - numeric == pytest.approx(10, rel=1e-6)


def test_at_most_five_elements_of_each_wrong_input_are_shown():
    wrong = planted(lambda self, a, b: a + b, lambda self, grad: (0 * grad, 2 * grad))
    lines = str(gradcheck(wrong, [A, A], raise_exception=False)).splitlines()
    assert [line.split(",")[0] for line in lines if "wrong" in line] == [
        f"<lambda>: the gradient of input {i}" for i in (0, 1)
    ]
    assert len(lines) == 2 * (2 + 5)


def test_a_report_of_right_gradients_is_true_and_says_how_much_was_checked():
    report = gradcheck(lambda a, b: a @ b, [A, B], title="product")
    assert report
    assert report.ok
    assert str(report) == "product: 2 gradients are right, 25 numbers checked"
    assert str(gradcheck(lambda x: 3 * x, A, title="one")) == "one: 1 gradient is right, 15 numbers checked"


# -- its steps -----------------------------------------------------------------------------------------


def test_estimates_of_smooth_functions_are_good_to_ten_digits():
    x = np.array([0.3, -1.2, 2.0])
    estimate = elements(lambda xs: float(np.exp(xs[0]).sum() + np.sin(xs[0]).prod()), [x], 0)
    others = np.array([np.sin(np.delete(x, i)).prod() for i in range(3)])
    np.testing.assert_allclose(estimate, np.exp(x) + np.cos(x) * others, rtol=1e-10)


def test_an_estimate_along_a_direction_is_a_sum_over_elements():
    x, d = np.array([0.3, -1.2]), np.array([2.0, -30.0])
    assert along(lambda xs: float((xs[0] ** 3).sum()), [x], 0, d) == pytest.approx(
        (3 * x * x * d).sum(), rel=1e-10
    )


def test_only_the_input_named_is_moved():
    x, y = np.array([2.0]), np.array([5.0])
    assert along(lambda xs: float(xs[0][0] * xs[1][0]), [x, y], 1, np.ones(1)) == pytest.approx(2)


def test_the_error_allowed_grows_with_the_gradient():
    c = compare("x", (3,), np.array([1.0, 100.0, 0.0]), np.array([1.0, 100.0, 1e-7]), atol=1e-8, rtol=1e-6)
    np.testing.assert_allclose(c.allowed, [2e-6, 1.01e-4, 1e-6], rtol=1e-6)
    assert c.ok


@pytest.mark.parametrize(
    ("analytic", "numeric"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.nan, np.nan)]
)
def test_nan_and_infinity_are_wrong_and_worst(analytic, numeric):
    c = compare("x", (2,), np.array([9.0, analytic]), np.array([1.0, numeric]), atol=1e-8, rtol=1e-6)
    assert c.worst() == [(1,), (0,)]
