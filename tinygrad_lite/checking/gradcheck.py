"""The gradient check: what `backward` computes, against finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.backend import keyed_rng
from tinygrad_lite.checking import estimate
from tinygrad_lite.checking.compare import Comparison, compare
from tinygrad_lite.checking.report import GradcheckError, Report
from tinygrad_lite.derivatives import grad
from tinygrad_lite.tensor import Tensor, enable_grad

FULL_SIZE = 2000  # inputs with more elements are checked along random directions


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    wrt: Sequence[int] | None = None,
    directions: int | None = None,
    atol: float = 1e-8,
    rtol: float = 1e-6,
    seed: int = 0,
    raise_exception: bool = True,
    title: str | None = None,
) -> Report:
    """Check the gradients of `fn` at `inputs` against central differences in float64.

    The output is multiplied by a random upstream gradient v, so that what is compared is vᵀ·J: every element
    of it, or its products with random Gaussian directions for inputs of more than 2000 elements.

    Args:
        fn: takes Tensors; returns a Tensor or a tuple, of which the ones that require gradients count.
        inputs: an array or Tensor, or several; floats are cast to float64, others left as they are.
        wrt: which inputs to check, by position; all floats by default.
        directions: how many random ones for an input; None: every element, or 3 for large inputs.
        atol: error allowed, times the larger of 1 and the gradient's largest element.
        rtol: error allowed, times the element.
        seed: of the upstream gradient and the directions.
        raise_exception: raise for a wrong gradient; else say so in the report.
        title: how messages call the function; its name by default.

    Returns:
        A report that is true if all gradients are right, and prints as a table of the worst elements.

    Raises:
        GradcheckError: for a wrong gradient; for a function that gives two results for the same inputs,
            changes its inputs, or returns nothing that requires a gradient, or not in float64.
        ValueError: if `wrt` names another position than those of the float inputs.

    Example:
        >>> bool(gradcheck(lambda x: (x * x).sum(), np.array([1.0, 2.0])))
        True
    """
    name = title or str(getattr(fn, "__name__", "fn"))
    arrays, checked = _prepared(name, inputs, wrt)
    before = [x.copy() for x in arrays]
    leaves, outputs = _run(fn, arrays, checked)
    if not outputs:
        raise GradcheckError(f"{name}: no output requires a gradient; is the graph cut somewhere?")
    if any(y.dtype != "float64" for y in outputs):
        dtypes = ", ".join(str(y.dtype) for y in outputs)
        raise GradcheckError(f"{name}: differences need float64 all the way; the output is {dtypes}")
    upstream = [keyed_rng(seed, "upstream", k).standard_normal(y.shape) for k, y in enumerate(outputs)]
    _refuse_noise(name, fn, arrays, checked, outputs, before)

    def f(xs: list[np.ndarray]) -> float:
        return float(
            sum((y.numpy() * v).sum() for y, v in zip(_run(fn, xs, checked)[1], upstream, strict=True))
        )

    analytic = grad(outputs, leaves, upstream, allow_unused=True)
    rng = keyed_rng(seed, "directions")
    comparisons = []
    for i, g in zip(checked, analytic, strict=True):
        a = np.zeros(arrays[i].shape) if g is None else g.numpy()
        comparisons.append(_check_input(f, arrays, i, a, directions, rng, atol, rtol))
    report = Report(name, tuple(comparisons))
    if raise_exception and not report:
        raise GradcheckError(str(report))
    return report


def _prepared(name: str, inputs: Any, wrt: Sequence[int] | None) -> tuple[list[np.ndarray], list[int]]:
    """The inputs as arrays, floats in float64; and the positions of those to check."""
    arrays = [_float64(x) for x in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
    floats = [i for i, x in enumerate(arrays) if x.dtype == "float64"]
    if not floats:
        raise GradcheckError(f"{name}: none of the inputs is a float array; there is no gradient to check")
    if not set(floats if wrt is None else wrt) <= set(floats):
        raise ValueError(f"{name}: wrt must be positions of float inputs, of {floats}; got {wrt}")
    return arrays, floats if wrt is None else list(wrt)


def _float64(x: Any) -> np.ndarray:
    array = np.array(x.numpy() if isinstance(x, Tensor) else x)
    return array.astype("float64") if array.dtype.kind == "f" else array


def _run(fn: Callable, arrays: list[np.ndarray], checked: list[int]) -> tuple[list[Tensor], list[Tensor]]:
    """The leaves made from `arrays`, and the outputs of `fn` that require a gradient."""
    with enable_grad():
        tensors = [Tensor(x, requires_grad=i in checked) for i, x in enumerate(arrays)]
        return [tensors[i] for i in checked], _outputs(fn, tensors)


def _outputs(fn: Callable, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What `fn` returns that requires a gradient."""
    results = fn(*tensors)
    results = results if isinstance(results, (list, tuple)) else [results]
    return [y for y in results if isinstance(y, Tensor) and y.requires_grad]


def _refuse_noise(title: str, fn: Callable, arrays: list, checked: list, outputs: list, before: list) -> None:
    """Raise if `fn` changed its inputs, or gives other outputs the second time."""
    for i, (x, was) in enumerate(zip(arrays, before, strict=True)):
        if not np.array_equal(x, was, equal_nan=x.dtype.kind == "f"):
            raise GradcheckError(f"{title}: input {i} was changed in place by the function")
    again = _run(fn, arrays, checked)[1]
    same = (
        np.array_equal(y.numpy(), z.numpy(), equal_nan=True) for y, z in zip(outputs, again, strict=False)
    )
    if len(again) != len(outputs) or not all(same):
        raise GradcheckError(
            f"{title}: two calls gave different outputs; fix the seed of what is random in it"
        )


def _check_input(
    f: Callable,
    arrays: list,
    i: int,
    analytic: np.ndarray,
    directions: int | None,
    rng: Any,
    atol: float,
    rtol: float,
) -> Comparison:
    """Compare the gradient of input i with its estimate."""
    x = arrays[i]
    if directions is None and x.size <= FULL_SIZE:
        return compare(f"input {i}", x.shape, analytic, estimate.elements(f, arrays, i), atol, rtol)
    ds = [rng.standard_normal(x.shape) for _ in range(directions or 3)]
    numeric = np.array([estimate.along(f, arrays, i, d) for d in ds])
    products = np.array([(analytic * d).sum() for d in ds])
    return compare(f"input {i}", x.shape, products, numeric, atol, rtol, along_directions=True)


def gradgradcheck(
    fn: Callable[..., Any], inputs: Any, *, wrt: Sequence[int] | None = None, **options: Any
) -> Report:
    """Check the gradients of the gradients of `fn`, by its inputs and by the upstream gradient.

    Takes the arguments of `gradcheck`, and raises what it raises. In messages the upstream gradients are the
    inputs that follow those of `fn`.

    Example:
        >>> bool(gradgradcheck(lambda x: (x * x * x).sum(), np.array([1.0, 2.0])))
        True
    """
    name = getattr(fn, "__name__", "fn")
    arrays, checked = _prepared(name, inputs, wrt)
    shapes = [y.shape for y in _run(fn, arrays, checked)[1]]
    upstream = [keyed_rng(1, "upstream", k).standard_normal(shape) for k, shape in enumerate(shapes)]

    def gradients(*tensors: Tensor) -> tuple:
        xs, vs = tensors[: len(arrays)], tensors[len(arrays) :]
        leaves = [xs[i] for i in checked]
        found = grad(_outputs(fn, xs), leaves, vs, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    options.setdefault("title", f"gradient of {name}")
    with_upstream = [*checked, *range(len(arrays), len(arrays) + len(upstream))]
    return gradcheck(gradients, [*arrays, *upstream], wrt=with_upstream, **options)
