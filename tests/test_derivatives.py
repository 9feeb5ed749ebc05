"""Derivatives of whole functions, against finite differences, known values, and each other."""

import numpy as np
import pytest

import tinygrad_lite as t
from tinygrad_lite import Tensor


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def curved(x):
    """R³ → R², with a Jacobian that is nowhere zero or symmetric."""
    return t.stack([x[0] * x[1] * x[2].exp(), (x * x).sum() * x[1].sqrt()])


def steep(x):
    """R³ → R, whose Hessian is full."""
    return (x[0] * x[1].exp() + x[2] ** 3 * x[0]) * x.sum()


def two(x, w):
    """(R³, R^{2×3}) → R²."""
    return (w @ x).tanh() * x.sum()


def by_differences(f, x, h=1e-5):
    """∂f/∂x, of shape (*f(x).shape, *x.shape), by central differences."""
    columns = []
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        columns.append((f(Tensor(x + step)).numpy() - f(Tensor(x - step)).numpy()) / (2 * h))
    return np.moveaxis(np.array(columns), 0, -1).reshape(*columns[0].shape, *x.shape)


X = np.array([0.7, 1.3, -0.4])
W = np.array([[0.2, -0.5, 0.3], [0.9, 0.1, -0.7]])
V = np.array([0.3, -1.1, 0.8])


# -- grad ----------------------------------------------------------------------------------------------


def test_grad_gives_one_result_for_each_input_and_leaves_dot_grad_alone():
    x, y = leaf(2.0), leaf(3.0)
    dx, dy = t.grad(x * y * y, [x, y])
    assert (dx.item(), dy.item()) == (9, 12)
    assert (x.grad, y.grad) == (None, None)


def test_a_retained_gradient_is_not_touched_either():
    x = leaf(2.0)
    h = x * 2
    h.retain_grad()
    t.grad(h * h, x)
    assert h.grad is None


def test_gradients_by_computed_tensors():
    x = leaf(2.0)
    h = x * x
    y = h * h * x
    assert [g.item() for g in t.grad(y, [h, x])] == [2 * 4 * 2, 5 * 2**4]


def test_the_gradient_of_a_tensor_by_itself_is_one():
    x = leaf(2.0)
    y = x * x
    assert t.grad(y, y, retain_graph=True)[0].item() == 1
    assert t.grad(x, x)[0].item() == 1
    assert [g.item() for g in t.grad(y, [y, x])] == [1, 4]


def test_gradients_of_several_outputs_add_up():
    x = leaf(2.0)
    h = x * x
    (g,) = t.grad([h, h * x, x], x, [np.array([1.0]), Tensor(np.array([10.0])), None])
    assert g.item() == 4 + 10 * 12 + 1


def test_an_input_named_twice_gets_two_results_of_its_own():
    x = leaf(1.0, 2.0)
    first, second = t.grad((x * x).sum(), [x, x])
    assert first.tolist() == second.tolist() == [2, 4]
    assert not np.shares_memory(first.data, second.data)


def test_results_share_no_memory():
    a, b = leaf(1.0, 2.0), leaf(1.0, 2.0)
    gradient = np.ones(2)
    h = a + b
    results = [g.data for g in t.grad(h + 0, [a, b, h], gradient)]
    for i, g in enumerate(results):
        assert not any(np.shares_memory(g, other) for other in [gradient, *results[:i]])


def test_an_input_that_the_outputs_do_not_depend_on_is_refused_or_none():
    x, y = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="the outputs do not depend on input 1; pass allow_unused=True"):
        t.grad(x * x, [x, y])
    dx, dy = t.grad(x * x, [x, y], allow_unused=True)
    assert (dx.item(), dy) == (4, None)


def test_an_input_computed_from_the_output_is_no_input_of_it():
    x = leaf(2.0)
    y = x * x
    later = y * 3
    assert t.grad(y, [later], allow_unused=True) == (None,)


def test_an_input_without_gradient_is_refused():
    with pytest.raises(RuntimeError, match=r"grad: input 1, of shape \(2,\), does not require a gradient"):
        t.grad(leaf(2.0), [leaf(1.0), Tensor([1.0, 2.0])])


def test_an_output_without_graph_is_refused_by_this_functions_name():
    with pytest.raises(RuntimeError, match="grad: this tensor has no graph"):
        t.grad(Tensor(1.0), leaf(1.0))
    with pytest.raises(RuntimeError, match=r"grad: a tensor of shape \(2,\) needs a gradient"):
        t.grad(leaf(1.0, 2.0), leaf(1.0))


def test_a_number_of_upstream_gradients_other_than_that_of_outputs_is_refused():
    x = leaf(2.0)
    with pytest.raises(ValueError, match="grad: 2 outputs need as many grad_outputs; got 1"):
        t.grad([x, x], x, [1.0])


def test_only_what_leads_to_the_inputs_is_walked():
    class Untouchable(t.Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            raise AssertionError("walked")

    x, y = leaf(2.0), leaf(3.0)
    assert t.grad(Untouchable()(y) * x, x)[0].item() == 3


def test_a_graph_can_be_walked_twice_if_retained():
    x = leaf(2.0)
    y = x.exp()
    first = t.grad(y, x, retain_graph=True)[0].item()
    assert t.grad(y, x)[0].item() == first
    with pytest.raises(RuntimeError, match="walked before"):
        t.grad(y, x)


def test_a_chain_of_gradients_gives_the_third_derivative():
    x = leaf(0.7)
    y = x.sigmoid()
    for _ in range(3):
        (y,) = t.grad(y, x, create_graph=True)
    s = 1 / (1 + np.exp(-0.7))
    assert y.item() == pytest.approx(s * (1 - s) * (1 - 6 * s + 6 * s * s))


def test_a_gradient_can_be_part_of_a_loss():
    x, w = leaf(1.0, 2.0), leaf(3.0)
    (g,) = t.grad((w * x * x).sum(), x, create_graph=True)
    (g * g).sum().backward()  # Σ (2wx)², by w: Σ 8wx²
    assert w.grad.item() == 8 * 3 * 5


# -- vjp, jvp, hvp -------------------------------------------------------------------------------------


def test_vjp_is_the_vector_times_the_jacobian():
    y, row = t.vjp(curved, X, np.array([2.0, -3.0]))
    np.testing.assert_array_equal(y.numpy(), curved(Tensor(X)).numpy())
    np.testing.assert_allclose(row.numpy(), [2, -3] @ by_differences(curved, X), rtol=1e-8)


def test_jvp_is_the_jacobian_times_the_vector():
    y, column = t.jvp(curved, X, V)
    np.testing.assert_array_equal(y.numpy(), curved(Tensor(X)).numpy())
    np.testing.assert_allclose(column.numpy(), by_differences(curved, X) @ V, rtol=1e-8)


def test_vjp_and_jvp_are_adjoint(rng):
    dx, dw, u = rng.standard_normal(3), rng.standard_normal((2, 3)), rng.standard_normal(2)
    _, column = t.jvp(two, (X, W), (dx, dw))
    _, (row_x, row_w) = t.vjp(two, (X, W), u)
    assert (column.numpy() * u).sum() == pytest.approx(
        (row_x.numpy() * dx).sum() + (row_w.numpy() * dw).sum()
    )


def test_hvp_is_the_hessian_times_the_vector():
    y, product = t.hvp(steep, X, V)
    assert y.item() == steep(Tensor(X)).item()
    np.testing.assert_allclose(product.numpy(), t.hessian(steep, X).numpy() @ V, rtol=1e-12)


def test_hvp_of_several_inputs_crosses_them():
    def f(x, y):
        return (x * x * y).sum()

    x, y, v, w = (np.array([a]) for a in (2.0, 3.0, 5.0, 7.0))
    _, (hx, hy) = t.hvp(f, (x, y), (v, w))
    assert (hx.item(), hy.item()) == (2 * 3 * 5 + 2 * 2 * 7, 2 * 2 * 5)


@pytest.mark.parametrize("product", [t.jvp, t.hvp])
@pytest.mark.parametrize(
    ("v", "got"),
    [
        (None, r"\[\]"),
        (np.ones((3, 1)), r"\[\(3, 1\)\]"),
        ([V, V], r"\[\(3,\), \(3,\)\]"),
        (1.0, r"\[\(\)\]"),
    ],
)
def test_a_vector_that_does_not_fit_the_inputs_is_refused(product, v, got):
    name = product.__name__
    with pytest.raises(ValueError, match=rf"{name}: v needs the shapes of the inputs, \[\(3,\)\]; got {got}"):
        product(steep, X, v)


def test_vectors_of_single_elements_may_be_left_out():
    x = np.array([[2.0]])
    assert t.vjp(lambda x: x * x, x)[1].tolist() == [[4]]
    assert t.jvp(lambda x: x * x, x)[1].tolist() == [[4]]
    assert t.hvp(lambda x: x**3, x)[1].tolist() == [[12]]


def test_vjp_of_several_elements_needs_a_vector():
    with pytest.raises(RuntimeError, match="needs a gradient of that shape"):
        t.vjp(curved, X)


def test_no_dependence_gives_zeros():
    def constant(x):
        return Tensor(np.ones(2))

    def first(x, y):
        return x * 2

    assert t.vjp(constant, X, np.ones(2))[1].tolist() == [0, 0, 0]
    assert t.jvp(constant, X, V)[1].tolist() == [0, 0]
    assert t.jacobian(constant, X).tolist() == [[0, 0, 0]] * 2
    assert t.hvp(lambda x: x.sum(), X, V)[1].tolist() == [0, 0, 0]
    assert t.hessian(lambda x: x.sum(), X).tolist() == [[0, 0, 0]] * 3
    assert t.vjp(first, (X, V), np.ones(3))[1][1].tolist() == [0, 0, 0]
    assert t.jvp(first, (X, V), (X, V))[1].tolist() == (2 * X).tolist()


def test_zeros_are_zeros_also_where_inputs_and_outputs_are_infinite():
    infinite = np.array([np.inf, np.nan])
    assert t.vjp(lambda x, y: y * 2, (infinite, X), V)[1][0].tolist() == [0, 0]
    assert t.jacobian(lambda x: x * 2, infinite).tolist() == [[2, 0], [0, 2]]
    assert t.jvp(lambda x: x * 2, infinite, np.ones(2))[1].tolist() == [2, 2]


# -- jacobian and hessian ------------------------------------------------------------------------------


def test_the_jacobian_has_the_shape_of_output_and_input():
    j = t.jacobian(lambda w: w @ Tensor(X), W)
    assert j.shape == (2, 2, 3)
    np.testing.assert_array_equal(j.numpy(), np.einsum("ij,k->ijk", np.eye(2), X))


def test_the_jacobian_agrees_with_differences():
    np.testing.assert_allclose(t.jacobian(curved, X).numpy(), by_differences(curved, X), rtol=1e-8)


def test_the_jacobian_does_not_depend_on_the_outputs_layout_in_memory():
    x = np.arange(6.0).reshape(2, 3)
    expected = np.einsum("jk,il->ijkl", np.eye(2), np.eye(3))
    np.testing.assert_array_equal(t.jacobian(lambda a: a.T * 1, x).numpy(), expected)


def test_several_inputs_give_several_jacobians():
    jx, jw = t.jacobian(two, (X, W))
    assert (jx.shape, jw.shape) == ((2, 3), (2, 2, 3))
    np.testing.assert_allclose(jx.numpy(), by_differences(lambda x: two(x, Tensor(W)), X), rtol=1e-7)
    np.testing.assert_allclose(jw.numpy(), by_differences(lambda w: two(Tensor(X), w), W), rtol=1e-7)


def test_the_jacobian_of_no_outputs_is_empty():
    assert t.jacobian(lambda x: x[:0], X).shape == (0, 3)


def test_the_hessian_agrees_with_differences_of_gradients_and_is_symmetric():
    h = t.hessian(steep, X).numpy()
    np.testing.assert_allclose(h, by_differences(lambda x: t.vjp(steep, x)[1], X), rtol=1e-7)
    np.testing.assert_allclose(h, h.T, rtol=1e-12)


def test_the_hessian_of_a_matrix_has_its_shape_twice():
    h = t.hessian(lambda w: (w**3).sum(), W)
    assert h.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(h.numpy().reshape(6, 6), np.diag(6 * W.ravel()))


def test_the_hessian_of_several_outputs_is_refused():
    with pytest.raises(RuntimeError, match="needs a gradient of that shape"):
        t.hessian(curved, X)


# -- graphs of results, and surroundings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("derivative", "value"),
    [
        (lambda x: t.vjp(lambda z: (z**3).sum(), x, create_graph=True)[1], [6, 12]),
        (lambda x: t.jvp(lambda z: z**3, x, np.ones(2), create_graph=True)[1], [6, 12]),
        (lambda x: t.hvp(lambda z: (z**3).sum(), x, np.ones(2), create_graph=True)[1], [6, 6]),
        (lambda x: t.jacobian(lambda z: z**3, x, create_graph=True), [6, 12]),
        (lambda x: t.hessian(lambda z: (z**3).sum(), x, create_graph=True), [6, 6]),
    ],
    ids=["vjp", "jvp", "hvp", "jacobian", "hessian"],
)
def test_results_differentiate_under_create_graph(derivative, value):
    x = leaf(1.0, 2.0)
    np.testing.assert_allclose(t.grad(derivative(x).sum(), x)[0].numpy(), value)


def test_inputs_without_gradient_are_differentiated_under_create_graph_too():
    assert t.vjp(lambda x: (x * x).sum(), Tensor(X), create_graph=True)[1].tolist() == (2 * X).tolist()
    assert t.jacobian(lambda x: x * x, X, create_graph=True).tolist() == np.diag(2 * X).tolist()


@pytest.mark.parametrize("create_graph", [False, True])
def test_only_the_argument_counts_and_not_the_tensor_that_it_was_made_from(create_graph):
    x = leaf(3.0)
    _, g = t.vjp(lambda z: z * x, x, create_graph=create_graph)
    assert g.item() == 3


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_output_has_a_graph_only_if_one_was_asked_for(create_graph):
    x = leaf(1.0, 2.0)
    for derivative in (t.vjp, t.jvp, t.hvp):
        v = () if derivative is t.vjp else (np.ones(2),)
        y, _ = derivative(lambda x: (x * x).sum(), x, *v, create_graph=create_graph)
        assert y.requires_grad == create_graph


def test_derivatives_are_taken_under_no_grad_too():
    with t.no_grad():
        assert t.jvp(steep, X, V)[1].item() == pytest.approx(t.vjp(steep, X)[1].numpy() @ V)
        assert t.hessian(lambda x: (x * x).sum(), X).tolist() == np.diag([2, 2, 2]).tolist()
        assert not t.is_grad_enabled()


def test_the_inputs_and_their_gradients_are_left_alone():
    x = leaf(*X)
    for derivative in (t.vjp, t.jvp, t.hvp):
        derivative(steep, x, *(() if derivative is t.vjp else (V,)))
    t.hessian(steep, x)
    assert x.grad is None
    assert x.is_leaf


def test_float32_stays_float32():
    x, v = X.astype("float32"), V.astype("float32")
    results = [t.jvp(curved, x, v)[1], t.jacobian(curved, x), t.hvp(steep, x, v)[1], t.hessian(steep, x)]
    assert [r.dtype for r in results] == ["float32"] * 4


def test_a_write_into_what_another_branch_needs_is_allowed():
    x, w = leaf(1.0), leaf(2.0)
    y = (x * x).sum() + (w * w).sum()
    with t.no_grad():
        w += 1
    assert t.grad(y, x)[0].item() == 2
