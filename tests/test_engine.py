"""Function: operands, what is kept, what is refused, writes in place."""

import operator

import numpy as np
import pytest

import tinygrad_lite as t
from tests.small_graphs import Square, leaf, ones
from tinygrad_lite import Function, Tensor
from tinygrad_lite.ops.activation import relu
from tinygrad_lite.ops.elementwise import exp

# -- edges: the graph survives every mixture of operands -----------------------------------------------

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("operate", [*OPERATORS, operator.matmul])
def test_an_array_on_either_side_keeps_the_graph(operate):
    for operands in ((np.full((2, 2), 2.0), ones(2, 2)), (ones(2, 2), np.full((2, 2), 2.0))):
        y = operate(*operands)
        assert isinstance(y, Tensor)
        y.sum().backward()
        (x,) = (x for x in operands if isinstance(x, Tensor))
        assert x.grad is not None


NUMBERS = [2, 2.0, True, np.float32(2), np.float64(2), np.int64(2), np.bool_(True)]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("operate", OPERATORS)
def test_a_number_on_either_side_keeps_the_graph_and_float32(operate, number):
    for swap in (False, True):
        x = leaf(1.5, 2.5, dtype="float32")
        y = operate(number, x) if swap else operate(x, number)
        y.sum().backward()
        assert (type(y), y.dtype, x.grad.dtype) == (Tensor, "float32", "float32")


@pytest.mark.parametrize("operate", OPERATORS)
def test_a_float32_tensor_of_no_dimensions_keeps_float32(operate):
    x, scalar = leaf(1.5, 2.5, dtype="float32"), Tensor(2.0, requires_grad=True)
    for y in (operate(x, scalar), operate(scalar, x), operate(scalar, scalar), operate(scalar, 3.0)):
        y.sum().backward()
        assert (y.dtype, scalar.grad.dtype) == ("float32", "float32")


@pytest.mark.parametrize("operate", OPERATORS)
@pytest.mark.parametrize("other", [2, 2.0, np.float32(2), Tensor(2.0), Tensor([2])], ids=str)
def test_float64_stays_float64(operate, other):
    x = leaf(1.5, 2.5)
    y = operate(x, other)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float64", "float64")


@pytest.mark.parametrize("operate", [*OPERATORS, t.maximum, t.minimum])
def test_gradients_of_mixed_dtypes_come_back_in_their_inputs_dtypes(operate):
    single, double = leaf(1.5, 2.5, dtype="float32"), leaf(2.0, 1.0)
    y = operate(single, double)
    y.sum().backward()
    assert (y.dtype, single.grad.dtype, double.grad.dtype) == ("float64", "float32", "float64")


def test_an_integer_tensor_among_the_inputs_gets_no_gradient():
    x, n = leaf(1.5, dtype="float32"), Tensor([2])
    (x * n.to("float32")).sum().backward()
    assert x.grad.item() == 2


@pytest.mark.parametrize("other", [[1.0, 2.0], "a", {}, object()])
def test_an_operand_of_another_kind_is_refused_by_the_ops_name(other):
    with pytest.raises(TypeError, match="<Add>: an input must be a tensor, an array or a number; got"):
        ones(2) + other


def test_shapes_that_do_not_broadcast_are_refused():
    with pytest.raises(ValueError, match="could not be broadcast"):
        ones(2) + ones(3)


def test_shapes_that_do_not_broadcast_are_refused_by_the_ops_name_and_theirs():
    message = r"^<Mul>: shapes \(2, 3\) and \(2,\) could not be broadcast together: .* equal, or 1"
    with pytest.raises(ValueError, match=message):
        ones(2, 3) * ones(2)
    with pytest.raises(ValueError, match=r"^lt: shapes \(2,\) and \(3,\) could not be broadcast together"):
        t.lt(ones(2), ones(3))


def test_an_op_without_tensors_gives_an_array():
    assert type(exp(np.ones(2))) is np.ndarray
    assert type(relu(np.ones(2)) + 1) is np.ndarray


# -- a user's Function ---------------------------------------------------------------------------------


def test_a_users_function_runs_and_differentiates():
    x = leaf(1.0, 2.0)
    Square()(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


@pytest.mark.parametrize("method", ["backward", "backward_fused"])
def test_a_save_that_forward_does_not_have_is_refused_when_the_class_is_made(method):
    members = {
        "forward": lambda self, a, b: a * b,
        "backward": lambda self, grad, a, b: (grad * b, grad * a),
        method: lambda self, grad, a, c: (grad * c, grad * a),
    }
    with pytest.raises(
        TypeError, match=rf"Mul\.{method}: 'c' is neither 'output' nor an input of forward \(a, b\)"
    ):
        type("Mul", (Function,), members)


def planted(gradients, forward=lambda self, a, b: a + b, **members):
    """A + B whose backward returns what `gradients` makes of the incoming gradient."""
    members = {"forward": forward, "backward": lambda self, grad: gradients(grad), **members}
    return type("Planted", (Function,), members)()


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        (
            lambda g: (g, g[:1]),
            r"input 'b' has shape \(1, 3\) and dtype float64; the input has shape \(2, 3\)",
        ),
        (lambda g: (g.sum(), g), r"input 'a' has shape \(\).*the input has shape \(2, 3\)"),
        (lambda g: (g, g[None]), r"input 'b' has shape \(1, 2, 3\)"),
        (lambda g: (g.T, g), r"input 'a' has shape \(3, 2\)"),
        (lambda g: (g, g.astype("float32")), "input 'b' has shape .* dtype float32; .* dtype float64"),
        (lambda g: (g, None), "input 'b' must be an array; got NoneType"),
        (lambda g: (0, g), "input 'a' must be an array; got int"),
        (lambda g: (g, [1.0] * 6), "input 'b' must be an array; got list"),
        (lambda g: (g, Tensor(g)), "input 'b' must be an array; got Tensor"),
        (lambda g: g, "returned 1 gradients; forward had 2 inputs"),
        (lambda g: (g, g, g), "returned 3 gradients; forward had 2 inputs"),
    ],
)
def test_a_wrong_gradient_is_never_repaired_but_refused_by_op_and_input(gradients, message):
    with pytest.raises(RuntimeError, match=r"<Planted>\.backward: .*" + message):
        planted(gradients)(ones(2, 3), ones(2, 3)).sum().backward()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("shape", [(3, 2), (2,), (6,), (2, 1)])
def test_an_op_that_broadcasts_is_not_repaired_either(shape, create_graph):
    op = planted(
        lambda g: (t.reshape(t.sum(g) + t.mul(t.sum(g), np.zeros(shape)), shape), g), broadcasts=True
    )
    with pytest.raises(RuntimeError, match="gradient of input 'a' has shape"):
        op(ones(2, 3), ones(2, 3)).sum().backward(create_graph=create_graph)


def test_inputs_of_a_star_are_named_by_number():
    op = planted(lambda g: (g, g[:1]), forward=lambda self, *tensors: tensors[0] + tensors[1])
    with pytest.raises(RuntimeError, match="gradient of input 1 has shape"):
        op(ones(2), ones(2)).sum().backward()


def test_gradients_of_unwanted_inputs_may_be_none():
    x = ones(2)
    planted(lambda g: (g, None))(x, np.ones(2)).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_backward_is_told_which_gradients_are_wanted():
    told = []

    class Tell(Function):
        def forward(self, a, b, c):
            return a + b

        def backward(self, grad):
            told.append(self.needs_input_grad)
            return grad, None, None

    Tell()(ones(2), Tensor(np.ones(2)), None).sum().backward()
    assert told == [(True, False, False)]


@pytest.mark.parametrize(("output", "kind"), [((1, 2), "tuple"), (3.0, "float"), (None, "NoneType")])
def test_a_forward_that_returns_no_array_is_refused(output, kind):
    op = planted(lambda g: g, forward=lambda self, x: output)
    with pytest.raises(TypeError, match=f"<Planted>.forward: must return one array; got {kind}"):
        op(ones(2))


def test_one_object_is_one_node():
    op = Square()
    op(ones(2))
    with pytest.raises(RuntimeError, match="<Square>: already the node of an earlier call"):
        op(ones(2))


def saved_by(y):
    return y.grad_fn._link[1]


def test_just_what_backward_names_is_kept():
    x = ones(2)
    y = x.exp()
    kept = [saved_by(z) for z in (y, x + 1, x * 2, x.log(), x * y)]
    for found, expected in zip(kept, ([y], [], [], [x], [x, y]), strict=True):
        assert [id(array) for array in found] == [id(tensor.data) for tensor in expected]


def test_private_arrays_without_a_fused_backward_are_refused_when_the_class_is_made():
    with pytest.raises(TypeError, match="Kept: private lists e, which backward_fused alone may read"):

        class Kept(Square):
            private = ("e",)


class Fused(Square):
    """x², whose fused backward says that it ran, and reads what forward kept."""

    private = ("doubled",)

    def forward(self, x):
        self.doubled = 2 * x
        return x * x

    def backward(self, grad, x):
        return 2 * grad * x

    def backward_fused(self, grad):
        return grad * self.doubled + 1000


def test_the_fused_backward_runs_in_the_plain_walk_only():
    x = leaf(3.0)
    y = Fused()(x)
    assert t.grad(y, x, retain_graph=True)[0].item() == 1006
    (first,) = t.grad(y, x, create_graph=True)
    assert first.item() == 6
    assert t.grad(first, x)[0].item() == 2


def test_without_fused_backward_only_the_saves_of_backward_are_kept():
    class Plain(Square):
        def backward_fused(self, grad):
            return grad

    assert len(saved_by(Plain()(ones(1)))) == 1


def test_a_function_without_backward_is_refused_when_its_class_is_made():
    with pytest.raises(TypeError, match=r"Half: has forward but no backward\(self, grad, \.\.\.\)"):

        class Half(Function):
            def forward(self, x):
                return x


def test_a_static_forward_with_ctx_is_refused_when_its_class_is_made():
    with pytest.raises(
        TypeError, match=r"Torch\.forward: is a method here: forward\(self, x\), without .* ctx"
    ):

        class Torch(Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, grad):
                return grad


# -- writing in place between forward and backward -----------------------------------------------------


def test_a_write_before_the_walk_is_refused_by_op_input_and_versions():
    w, x = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = (x * w).sum()
    with t.no_grad():
        w -= 0.1 * w
    message = r"<Mul>\.backward: its input 'b', of shape \(2,\), was written"
    with pytest.raises(RuntimeError, match=message):
        y.backward()


def test_a_write_into_a_saved_output_is_refused():
    x = leaf(1.0)
    y = x.exp()
    with t.no_grad():
        y *= 2
    with pytest.raises(RuntimeError, match=r"<Exp>\.backward: its output"):
        y.backward()


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_item_written_is_noticed_too(create_graph):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with t.no_grad():
        x[0] = 5
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward(create_graph=create_graph)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.reshape(3, 2),
        lambda x: x.T,
        lambda x: x[0],
        lambda x: x[:, 1:].T[0],
        lambda x: x.detach(),
        lambda x: x.detach().flatten().unsqueeze(0),
    ],
)
def test_a_write_through_a_view_counts_for_its_base(view):
    x = ones(2, 3)
    y = (x * x).sum()
    with t.no_grad():
        v = view(x)
        v += 1
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


class Second(Function):
    """b itself, or a view of it."""

    def __init__(self, view):
        self.view = view

    def forward(self, a, b):
        return self.view(b)

    def backward(self, grad):
        return None, grad


@pytest.mark.parametrize("view", [lambda b: b, lambda b: b[:]])
def test_a_write_into_an_output_that_is_a_later_input_counts_for_that(view):
    x = ones(2)
    y = (x * x).sum()
    v = Second(view)(ones(2), x.detach())
    with t.no_grad():
        v += 1
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_a_write_into_a_view_of_a_plain_array_is_no_write_into_others():
    x = ones(2)
    y = (x * np.full(2, 3.0)).sum()
    v = Second(lambda b: b[:])(ones(2), np.ones(2))
    with t.no_grad():
        v += 1
    y.backward()
    assert x.grad.tolist() == [3, 3]


def test_a_write_into_the_base_counts_for_its_view():
    x = ones(2, 3)
    y = (x[0] ** 3).sum()
    with t.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match=r"<PowNumber>\.backward: its input 'x'"):
        y.backward()


@pytest.mark.parametrize("written", ["the computed one", "the constant"])
def test_a_write_between_the_first_walk_and_that_of_its_graph_is_refused(written):
    w, c = leaf(1.0, 2.0), Tensor([3.0, 4.0])
    y = 2 * w
    (g,) = t.grad((y**3 + (w * c).exp()).sum(), w, create_graph=True)
    with t.no_grad():
        if written == "the constant":
            c += 1
        else:
            y += 1
    with pytest.raises(RuntimeError, match="written in place"):
        g.sum().backward()


def test_a_write_into_what_no_backward_needs_is_allowed():
    x = leaf(1.0)
    y = (x + 1).exp() * 2
    with t.no_grad():
        x += 1
    y.backward()
    assert x.grad.item() == pytest.approx(2 * np.exp(2))


def test_a_write_into_a_copy_is_allowed():
    x = ones(2, 2)
    y = (x * x).sum()
    with t.no_grad():
        copy = x.detach() * 1
        copy += 1
        other = x.T.reshape(-1)  # not contiguous, and so no view
        other += 1
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((2, 2), 2))


def test_a_write_after_the_walk_is_allowed():
    w = leaf(1.0)
    for _ in range(3):
        (w * w).backward()
        with t.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    assert w.item() == pytest.approx(0.8**3)


def test_data_that_was_replaced_is_refused_where_the_graph_of_a_gradient_needs_it():
    x = leaf(2.0)
    y = x * x
    x.data = np.array([5.0])
    with pytest.raises(
        RuntimeError, match=r"<Mul>\.backward: the tensor of its input 'a' was given other data"
    ):
        t.grad(y, x, create_graph=True)
