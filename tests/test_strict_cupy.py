"""The stand-in for CuPy against what the real one does, and where it is stricter.

ANSWERS, REFUSALS and DISAGREEMENTS are facts: outcomes recorded from CuPy 13.6 and 14.2 beside NumPy 2.4.
"""

import copy
import operator
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from tests.strict_cupy import MODULES, install, uninstall

xp = MODULES["cupy"]


def gpu(values, dtype="f4"):
    return xp.asarray(np.array(values, dtype))


def put(x, index, value):
    x[index] = value
    return x


def at(ufunc, x, index, value):
    ufunc.at(x, index, value)
    return x


class Deferring:
    """An operand that arrays leave the operation to, as a Tensor is."""

    __array_ufunc__ = None


for _name in ("radd", "rsub", "rmul", "rmatmul", "rpow", "rtruediv", "gt", "eq"):
    setattr(Deferring, f"__{_name}__", lambda self, other, name=_name: name)


# -- what CuPy 13 and 14 both answer ---------------------------------------------------------------------

ANSWERS = [
    (lambda: gpu([1, 2, 3]).sum(), "float32 () [6.0]"),
    (lambda: gpu([1, 2, 3])[0], "float32 () [1.0]"),
    (lambda: gpu([1, 2, 3]).mean(), "float32 () [2.0]"),
    (lambda: gpu([1, 2, 3]).argmax(), "int64 () [2]"),
    (lambda: xp.max(gpu([1, 2, 3])), "float32 () [3.0]"),
    (lambda: np.float32(2) * gpu([1, 2]), "float32 (2,) [2.0, 4.0]"),
    (lambda: gpu([1, 2]) * np.float32(2), "float32 (2,) [2.0, 4.0]"),
    (lambda: gpu([1, 2]) * 2.5, "float32 (2,) [2.5, 5.0]"),
    (lambda: gpu([1, 2], "f2") * 2.5, "float16 (2,) [2.5, 5.0]"),
    (lambda: gpu([1, 2], "i4") * 2.5, "float64 (2,) [2.5, 5.0]"),
    (lambda: gpu([1, 2], "f4") + gpu(1.0, "f8"), "float64 (2,) [2.0, 3.0]"),
    (lambda: gpu([1, 2], "f4") * gpu([2], "i4"), "float64 (2,) [2.0, 4.0]"),
    (lambda: gpu([1, 2], "f2") * gpu([2], "i4"), "float64 (2,) [2.0, 4.0]"),
    (lambda: gpu([1, 2], "i4") / 2, "float64 (2,) [0.5, 1.0]"),
    (lambda: gpu([True, False], "?") + 1, "int64 (2,) [2, 1]"),
    (lambda: gpu([True, False], "?").sum(), "int64 () [1]"),
    (lambda: gpu([1, 2], "f2").sum(), "float16 () [3.0]"),
    (lambda: gpu([1, 2], "i4").mean(), "float64 () [1.5]"),
    (lambda: gpu([1, 2], "f4") ** 2, "float32 (2,) [1.0, 4.0]"),
    (lambda: gpu([1, 2], "f4") ** -1, "float32 (2,) [1.0, 0.5]"),
    (lambda: gpu([1, 2], "f4") // 2, "float32 (2,) [0.0, 1.0]"),
    (lambda: gpu([-3.5], "f4") % 2, "float32 (1,) [0.5]"),
    (lambda: xp.where(gpu([1, 0], "?"), 1, gpu([5, 6])), "float32 (2,) [1.0, 6.0]"),
    (lambda: xp.where(gpu([1, 0], "?"), 1.0, 0.0), "float64 (2,) [1.0, 0.0]"),
    (lambda: xp.where(gpu([1, 0], "f4"), gpu([1, 2]), 0), "float32 (2,) [1.0, 0.0]"),
    (lambda: xp.maximum(0, gpu([1, -2])), "float32 (2,) [1.0, 0.0]"),
    (lambda: xp.clip(gpu([1, -2]), None, 0.5), "float32 (2,) [0.5, -2.0]"),
    (lambda: gpu([1, -2]).clip(min=0), "float32 (2,) [1.0, 0.0]"),
    (lambda: xp.clip(gpu([1, -2]), -np.inf, 0), "float32 (2,) [0.0, -2.0]"),
    (lambda: xp.exp(gpu([1, 2], "i4")), "float64 (2,) [2.718281828459045, 7.38905609893065]"),
    (lambda: xp.sqrt(2), "float64 () [1.4142135623730951]"),
    (lambda: xp.sqrt(gpu([-1.0])), "float32 (1,) [nan]"),
    (lambda: xp.log(gpu([0.0])), "float32 (1,) [-inf]"),
    (lambda: xp.exp(gpu([1000.0])), "float32 (1,) [inf]"),
    (lambda: gpu([1.0, -1.0, 0.0]) / 0, "float32 (3,) [inf, -inf, nan]"),
    (lambda: gpu([1, 2], "i4") // 0, "int32 (2,) [0, 0]"),
    (lambda: abs(gpu([-1, 2])), "float32 (2,) [1.0, 2.0]"),
    (lambda: ~gpu([True], "?"), "bool (1,) [False]"),
    (lambda: gpu([1.5]).astype(int), "int64 (1,) [1]"),
    (lambda: xp.array([gpu([1, 2]), gpu([3, 4])]), "float32 (2, 2) [1.0, 2.0, 3.0, 4.0]"),
    (lambda: gpu([1, 2])[np.int64(1)], "float32 () [2.0]"),
    (lambda: gpu([1, 2])[gpu(1, "i8")], "float32 () [2.0]"),
    (lambda: gpu([1, 2])[gpu([1, 0], "i4")], "float32 (2,) [2.0, 1.0]"),
    (lambda: xp.take_along_axis(gpu([[1, 2]]), gpu([[1]], "i8"), 1), "float32 (1, 1) [2.0]"),
    (lambda: xp.sum(gpu([1, 2]), dtype="f8"), "float64 () [3.0]"),
    (lambda: xp.var(gpu([1, 2, 4]), ddof=1), "float32 () [2.3333334922790527]"),
    (lambda: xp.std(gpu([1, 2, 4]), axis=0, keepdims=True), "float32 (1,) [1.247219204902649]"),
    (lambda: gpu([[1, 2], [3, 4]]).max(axis=(0, 1), keepdims=True), "float32 (1, 1) [4.0]"),
    (lambda: xp.argmax(gpu([[1, 2], [3, 4]]), axis=1, keepdims=True), "int64 (2, 1) [1, 1]"),
    (lambda: gpu([1, 1, 0]).argmax(), "int64 () [0]"),
    (lambda: gpu([1, np.nan, 3]).max(), "float32 () [nan]"),
    (lambda: xp.sum(gpu([])), "float32 () [0.0]"),
    (lambda: xp.mean(gpu([])), "float32 () [nan]"),
    (lambda: xp.zeros((0, 3), "f4").max(axis=1), "float32 (0,) []"),
    (
        lambda: xp.zeros((2, 0), "f4") @ xp.zeros((0, 3), "f4"),
        "float32 (2, 3) [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]",
    ),
    (lambda: xp.cumsum(gpu([[1, 2], [3, 4]]), axis=1), "float32 (2, 2) [1.0, 3.0, 3.0, 7.0]"),
    (lambda: xp.add(gpu([1, 2]), 1, out=gpu([0, 0])), "float32 (2,) [2.0, 3.0]"),
    (lambda: xp.add(gpu([1, 2]), 1, dtype="f8"), "float64 (2,) [2.0, 3.0]"),
    (lambda: xp.allclose(gpu([1.0]), gpu([1.0])), "bool () [True]"),
    (lambda: xp.array_equal(gpu([1.0]), gpu([1.0])), "bool () [True]"),
    (lambda: xp.median(gpu([1, 2, 3])), "float32 () [2.0]"),
    (lambda: xp.sort(gpu([3, 1, 2]), kind="stable"), "float32 (3,) [1.0, 2.0, 3.0]"),
    (lambda: xp.argsort(gpu([1, 1, 0])), "int64 (3,) [2, 0, 1]"),
    (lambda: xp.searchsorted(gpu([1, 2, 3]), gpu([2.5])), "int64 (1,) [2]"),
    (lambda: xp.pad(gpu([1, 2]), 1, constant_values=3), "float32 (4,) [3.0, 1.0, 2.0, 3.0]"),
    (lambda: xp.pad(gpu([1, 2]), 1, mode="reflect"), "float32 (4,) [2.0, 1.0, 2.0, 1.0]"),
    (lambda: xp.concatenate((gpu([1]), gpu([2])), axis=0, dtype="f8"), "float64 (2,) [1.0, 2.0]"),
    (lambda: xp.concatenate([gpu([1]), gpu([2], "f8")]), "float64 (2,) [1.0, 2.0]"),
    (lambda: xp.stack([gpu([1]), gpu([2])], axis=1, dtype="f8"), "float64 (1, 2) [1.0, 2.0]"),
    (lambda: xp.repeat(gpu([1, 2]), 2), "float32 (4,) [1.0, 1.0, 2.0, 2.0]"),
    (lambda: xp.tile(gpu([1, 2]), (2, 1)), "float32 (2, 2) [1.0, 2.0, 1.0, 2.0]"),
    (lambda: xp.expand_dims(gpu([1, 2]), (0, 1)), "float32 (1, 1, 2) [1.0, 2.0]"),
    (lambda: gpu([[1, 2], [3, 4]]).T.reshape(-1), "float32 (4,) [1.0, 3.0, 2.0, 4.0]"),
    (lambda: xp.triu(gpu([[1, 2], [3, 4]])), "float32 (2, 2) [1.0, 2.0, 0.0, 4.0]"),
    (lambda: xp.full((2,), 3.0, dtype="f4"), "float32 (2,) [3.0, 3.0]"),
    (lambda: xp.zeros_like(gpu([1, 2]), shape=(3,)), "float32 (3,) [0.0, 0.0, 0.0]"),
    (lambda: xp.arange(0, 1, 0.25, dtype="f4"), "float32 (4,) [0.0, 0.25, 0.5, 0.75]"),
    (lambda: xp.linspace(0, 1, 3), "float64 (3,) [0.0, 0.5, 1.0]"),
    (lambda: xp.asarray(gpu([1, 2]), dtype="f4", order="C"), "float32 (2,) [1.0, 2.0]"),
    (
        lambda: xp.lib.stride_tricks.as_strided(gpu([1, 2, 3]), (2, 2), (4, 4)),
        "float32 (2, 2) [1.0, 2.0, 2.0, 3.0]",
    ),
    (lambda: xp.matmul(gpu([[1, 2]], "f2"), gpu([[1], [2]], "f2")), "float16 (1, 1) [5.0]"),
    (lambda: xp.matmul(gpu([1, 2]), gpu([1, 2])), "float32 () [5.0]"),
    (lambda: xp.matmul(gpu([[1, 2]], "i4"), gpu([[1], [2]], "i4")), "int32 (1, 1) [5]"),
    (lambda: xp.tensordot(gpu([[1, 2]]), gpu([[1, 2]]), axes=([1], [1])), "float32 (1, 1) [5.0]"),
    (lambda: xp.einsum("ij,kj->ik", gpu([[1, 2]]), gpu([[1, 2]]), optimize=True), "float32 (1, 1) [5.0]"),
    (lambda: xp.linalg.norm(gpu([3, 4]), axis=0, keepdims=True), "float32 (1,) [5.0]"),
    (lambda: xp.isfinite(gpu([1, np.nan])), "bool (2,) [True, False]"),
    (lambda: xp.logical_and(gpu([1]), gpu([0])), "bool (1,) [False]"),
    (lambda: operator.iadd(gpu([1, 2]), gpu([1, 2], "f8")), "float32 (2,) [2.0, 4.0]"),
    (lambda: operator.iadd(gpu([1, 2]), 1), "float32 (2,) [2.0, 3.0]"),
    (lambda: put(gpu([1, 2]), 0, 5), "float32 (2,) [5.0, 2.0]"),
    (lambda: put(gpu([1, 2]), 0, np.float64(5)), "float32 (2,) [5.0, 2.0]"),
    (lambda: put(gpu([1, 2]), ..., gpu([7, 8], "f8")), "float32 (2,) [7.0, 8.0]"),
    (lambda: put(gpu([1, 2], "i4"), ..., 1.7), "int32 (2,) [1, 1]"),
    (
        lambda: at(xp.add, gpu([0, 0, 0]), gpu([0, 0, 1], "i8"), gpu([1, 2, 3])),
        "float32 (3,) [3.0, 3.0, 0.0]",
    ),
    (lambda: at(xp.add, gpu([0, 0], "f2"), gpu([0, 0], "i8"), gpu([1, 2], "f2")), "float16 (2,) [3.0, 0.0]"),
    (
        lambda: at(xp.add, gpu([[0, 0]] * 2), (slice(None), gpu([1, 1], "i8")), 1.0),
        "float32 (2, 2) [0.0, 2.0, 0.0, 2.0]",
    ),
    (lambda: at(xp.maximum, gpu([1, 1, 1]), gpu([0, 0, 1], "i8"), 2), "float32 (3,) [2.0, 2.0, 1.0]"),
]


@pytest.mark.parametrize(("expression", "recorded"), ANSWERS)
def test_the_value_dtype_and_shape_are_those_of_cupy(expression, recorded):
    result = expression()
    assert isinstance(result, xp.ndarray)
    assert f"{result.dtype} {result.shape} {result.get().ravel().tolist()}" == recorded


@pytest.mark.parametrize(
    ("operation", "reflected"),
    [
        (operator.mul, "rmul"),
        (operator.add, "radd"),
        (operator.sub, "rsub"),
        (operator.matmul, "rmatmul"),
        (operator.pow, "rpow"),
        (operator.truediv, "rtruediv"),
        (operator.lt, "gt"),
        (operator.eq, "eq"),
    ],
)
def test_operators_leave_the_operation_to_a_class_without_ufuncs(operation, reflected):
    assert operation(gpu([1, 2]), Deferring()) == reflected


# -- what both refuse, and with which error --------------------------------------------------------------

REFUSALS = [
    (lambda: range(gpu([3], "i4").sum()), TypeError),
    (lambda: round(gpu([1.55]).sum(), 1), TypeError),
    (lambda: hash(gpu([1.5]).sum()), TypeError),
    (lambda: [10, 20, 30][gpu([1], "i4").sum()], TypeError),
    (lambda: np.zeros(3)[gpu([1], "i4")], TypeError),
    (lambda: np.asarray(gpu([1, 2])), TypeError),
    (lambda: np.array([gpu([1, 2]), gpu([3, 4])]), TypeError),
    (lambda: xp.asarray([gpu([1.0]).sum(), 2.0]), TypeError),
    (lambda: gpu([1, 2]) * np.array(2.0), TypeError),
    (lambda: np.array(2.0) * gpu([1, 2]), TypeError),
    (lambda: operator.add(gpu([1, 2]), [1, 2]), TypeError),
    (lambda: xp.where(np.array([True, False]), gpu([1, 2]), 0), TypeError),
    (lambda: xp.stack([gpu([1, 2]), np.array([1, 2], "f4")]), TypeError),
    (lambda: xp.exp(np.array([1, 2], "f4")), TypeError),
    (lambda: xp.exp([1, 2]), TypeError),
    (lambda: gpu([[1, 2], [3, 4]]) @ np.ones((2, 2), "f4"), TypeError),
    (lambda: xp.maximum(gpu([1, 2]), np.array([1, 2], "f4")), TypeError),
    (lambda: gpu([1, 2]) == "a", TypeError),
    (lambda: gpu([1, 2]) == np.array([1, 2], "f4"), TypeError),
    (lambda: gpu([1, 2]) == gpu([1, 2, 3]), ValueError),
    (lambda: gpu([1, 2])[gpu([1.0, 0.0])], IndexError),
    (lambda: gpu([1, 2])[5], IndexError),
    (lambda: xp.take(gpu([1, 2]), gpu([5, -7], "i8"), mode="clip"), TypeError),
    (lambda: gpu([1, 2]).sum(where=gpu([True, False], "?")), TypeError),
    (lambda: gpu([1, 2]).max(initial=5), TypeError),
    (lambda: xp.var(gpu([1, 2, 4]), correction=1), TypeError),
    (lambda: xp.max(gpu([]), axis=0), ValueError),
    (lambda: xp.add(gpu([1, 2]), 1, where=gpu([1, 0], "?")), TypeError),
    (lambda: xp.add(gpu([1, 2]), 1, order="C"), TypeError),
    (lambda: xp.exp(gpu([1, 2]), out=gpu([0, 0], "i4")), TypeError),
    (lambda: xp.clip(gpu([1, -2]), min=0, max=1), TypeError),
    (lambda: gpu([1.5]).astype("f8", casting="safe"), TypeError),
    (lambda: xp.einsum("ij,ij->", gpu([[1, 2]]), gpu([[1, 2]]), out=gpu(0.0)), TypeError),
    (lambda: xp.zeros(2, device="cpu"), TypeError),
    (lambda: xp.zeros(2, like=gpu([1])), TypeError),
    (lambda: xp.zeros(gpu(3, "i8")), TypeError),
    (lambda: xp.argsort(gpu([3, 1, 2]), kind="quicksort"), ValueError),
    (lambda: xp.squeeze(gpu([[1, 2], [3, 4]]), axis=0), ValueError),
    (lambda: xp.lib.stride_tricks.as_strided(gpu([1, 2, 3]), (2,), (4,), writeable=False), TypeError),
    (lambda: xp.copyto(gpu([1, 2]), np.array([3, 4], "f4")), ValueError),
    (lambda: xp.copyto(gpu([1, 2], "i4"), gpu([3.5, 4])), TypeError),
    (lambda: xp.array([1, 2.5], dtype=object), ValueError),
    (lambda: xp.array("abc"), ValueError),
    (lambda: gpu([1, 2]).item(1), TypeError),
    (lambda: gpu([1, 2]).item(), ValueError),
    (lambda: gpu([1, 2]).flags.writeable, AttributeError),
    (lambda: gpu([1, 2]).setflags(write=False), AttributeError),
    (lambda: gpu([1, 2]).resize(3), AttributeError),
    (lambda: gpu([1, 2]).to_device, AttributeError),
    (lambda: -gpu([True], "?"), TypeError),
    (lambda: xp.erf, AttributeError),
    (lambda: xp.errstate(divide="ignore"), AttributeError),
    (lambda: xp.vecdot(gpu([1, 2]), gpu([1, 2])), AttributeError),
    (lambda: operator.iadd(gpu([1, 2]), np.array([1, 2], "f4")), TypeError),
    (lambda: operator.iadd(np.zeros(2, "f4"), gpu([1, 2])), TypeError),
    (lambda: operator.iadd(gpu([1, 2], "i4"), 1.5), TypeError),
    (lambda: operator.imul(gpu([1, 2]), gpu([[1, 2], [3, 4]])), ValueError),
    (lambda: operator.iadd(gpu([1, 2]), Deferring()), TypeError),
    (lambda: xp.multiply(gpu([1, 2]), Deferring()), TypeError),
    (lambda: np.multiply(gpu([1, 2]), Deferring()), TypeError),
    (lambda: put(gpu([1, 2]), slice(None), np.array([5, 6], "f4")), ValueError),
    (lambda: put(np.zeros(2), slice(None), gpu([1, 2])), TypeError),
    (lambda: at(xp.multiply, gpu([1, 1]), gpu([0, 0], "i8"), 2), NotImplementedError),
    (lambda: at(xp.subtract, gpu([1, 1]), gpu([0, 0], "i8"), 2), TypeError),
    (lambda: at(xp.add, gpu([0, 0], "i2"), gpu([0, 0], "i8"), gpu([1, 2], "i2")), TypeError),
]


@pytest.mark.parametrize(("expression", "error"), REFUSALS)
def test_what_cupy_refuses_is_refused_with_its_error(expression, error):
    with pytest.raises(error):
        expression()


# -- what 13 and 14 disagree on: neither answer can be relied on -----------------------------------------

DISAGREEMENTS = [
    (lambda: np.float64(2) * gpu([1, 2]), "np.float64 beside float32"),  # 13: float32, 14: float64
    (lambda: gpu([1, 2]) * np.int64(2), "np.int64 beside float32"),
    (lambda: gpu([1, 2], "f2") * np.float32(2), "np.float32 beside float16"),
    (lambda: xp.where(gpu([1, 0], "?"), gpu([1, 2]), np.float64(0)), "np.float64 beside float32"),
    (lambda: xp.minimum(gpu([1, -2]), np.float64(0)), "np.float64 beside float32"),
    (lambda: gpu([1, 2], "f2") * 1e6, "1000000.0 beside float16"),  # 13: float32, 14: inf
    (lambda: gpu([1, 2], "i4") + 2**40, "out of bounds for int32"),  # 13: int64, 14: OverflowError
    (lambda: gpu([1, 2], "u1") + (-1), "out of bounds for uint8"),
    (lambda: at(xp.add, gpu([0, 0], "i8"), gpu([0, 0], "i8"), gpu([1, 2], "i8")), "got int64"),
    (lambda: xp.repeat(gpu([1, 2]), gpu([1, 2], "i8")), "cannot be interpreted as an integer"),
    (lambda: xp.asarray(gpu([1, 2]), copy=False), "unexpected keyword argument 'copy'"),
    (lambda: xp.reshape(gpu([[1, 2]]), (2,), copy=True), "unexpected keyword argument 'copy'"),
    (lambda: gpu([[1, 2]]).reshape(-1, copy=False), "unexpected keyword argument 'copy'"),
    (lambda: xp.concat([gpu([1]), gpu([2])]), "no attribute 'concat'"),
    (lambda: xp.permute_dims(gpu([[1, 2]]), (1, 0)), "no attribute 'permute_dims'"),
    (lambda: xp.put_along_axis(gpu([[1, 2]]), gpu([[0]], "i8"), 9, 1), "no attribute 'put_along_axis'"),
    (lambda: xp.percentile(gpu([1, 2, 3]), 50), "no attribute 'percentile'"),
    (lambda: xp.meshgrid(gpu([1, 2]), gpu([3, 4])), "no attribute 'meshgrid'"),
    (lambda: xp.trapezoid, "no attribute 'trapezoid'"),
    (lambda: xp.bool, "no attribute 'bool'"),
    (lambda: gpu([[1, 2]]).mT, "no attribute 'mT'"),
]


@pytest.mark.parametrize(("expression", "message"), DISAGREEMENTS)
def test_what_13_and_14_disagree_on_is_refused(expression, message):
    with pytest.raises((TypeError, AttributeError, OverflowError), match=message):
        expression()


# -- what both answer, and the stand-in refuses ----------------------------------------------------------

STRICTER = [
    # NumPy's functions
    (lambda: np.exp(gpu([1, 2])), r"np\.exp: got device array float32 \(2,\); call .* \(xp\.exp\)"),
    (lambda: np.add(gpu([1, 2]), 1), r"np\.add: .*\(xp\.add\)"),
    (lambda: np.add.at(gpu([1, 2]), gpu([0], "i8"), 1), r"np\.add: .*\(xp\.add\)"),
    (lambda: np.stack([gpu([1, 2])]), r"np\.stack: got a device array; call .* \(xp\.stack\)"),
    (lambda: np.zeros_like(gpu([1, 2])), r"\(xp\.zeros_like\)"),
    (lambda: np.shape(gpu([1, 2])), r"\(xp\.shape\)"),
    # copies to the host that nobody asked for
    (lambda: float(gpu(1.5)), r"float\(x\) copies a device array \(\) to the host.*x\.item\(\)"),
    (lambda: int(gpu(3)), r"int\(x\) copies"),
    (lambda: bool(gpu(1)), r"bool\(x\), `if` or `and` copies"),
    (lambda: gpu([1]) and gpu([1]), "`if` or `and` copies"),
    (lambda: f"{gpu(1.5):.3f}", "formatting x copies"),
    (lambda: list(gpu([1, 2])), "iterating over x copies"),
    (lambda: 1.0 in gpu([1, 2]), "`in` copies"),
    (lambda: pickle.dumps(gpu([1, 2])), "pickling x copies"),
    (lambda: operator.eq(gpu([1, 2]), None), "got NoneType"),
    # waits
    (lambda: gpu([1, 2])[True], "bool as an index"),
    (lambda: gpu([1, 2])[gpu([1, 0], "?")], r"mask takes .*cupy\.where\(mask, x, other\)"),
    (lambda: put(gpu([1, 2]), gpu([True, False], "?"), 5), "mask takes"),
    (lambda: gpu([1, 2, 3])[: gpu(2, "i8")], "a slice's bound on the device is waited for"),
    (lambda: xp.where(gpu([1, 0, 2])), r"cupy\.where\(condition\): waits"),
    (lambda: xp.nonzero(gpu([1, 0, 2])), r"cupy\.nonzero: waits .*use cupy\.where"),
    (lambda: xp.unique(gpu([1, 1, 2])), r"cupy\.unique: waits .*use the host"),
    (lambda: xp.repeat(gpu([1, 2]), [1, 2]), "cannot be interpreted as an integer"),
    (lambda: xp.arange(gpu(3, "i8")), r"cupy\.arange\(start\): needs Python numbers"),
    (lambda: gpu([1, 2]).fill(gpu(3.0)), r"x\.fill: waits"),
    # uploads
    (lambda: gpu([1, 2])[[0, 1]], "list as an index is an upload"),
    (lambda: gpu([1, 2])[np.array([0, 1])], r"NumPy array int64 \(2,\) as an index is an upload"),
    (lambda: xp.take(gpu([1, 2]), np.array([0, 1])), "as an index is an upload"),
    (lambda: put(gpu([1, 2]), np.array([True, False]), 5), "as an index is an upload"),
    # traps
    (lambda: gpu([1, 2])[gpu([5, -7], "i8")], "index 5 is out of bounds.*CuPy wraps around in silence"),
    (lambda: put(gpu([1, 2]), gpu([5], "i8"), 9), "CuPy wraps around in silence"),
    (lambda: xp.take(gpu([1, 2]), gpu([5], "i8")), "CuPy wraps around in silence"),
    (lambda: xp.take_along_axis(gpu([[1, 2]]), gpu([[5]], "i8"), 1), "CuPy wraps around in silence"),
    (lambda: at(xp.add, gpu([0, 0]), gpu([5], "i8"), 1.0), "CuPy wraps around in silence"),
    (lambda: put(xp.broadcast_to(gpu([1, 2]), (3, 2)), (0, 0), 9), "share memory.*copy it first"),
    (lambda: operator.iadd(xp.broadcast_to(gpu([1, 2]), (3, 2)), 1), "share memory.*copy it first"),
    (lambda: xp.lib.stride_tricks.as_strided(gpu([1, 2, 3]), (2, 2), (4, 4)).fill(0), "share memory"),
    (lambda: gpu([1, 2]) + 1e-40, "1e-40 beside float32: the device takes what is that small for 0"),
    (lambda: xp.ndarray((2, 3)), r"make arrays with cupy\.empty"),
]


@pytest.mark.parametrize(("expression", "message"), STRICTER)
def test_what_hides_a_copy_a_wait_or_a_trap_is_refused_and_named(expression, message):
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError), match=message):
        expression()


def test_a_parameter_that_cupy_lacks_is_named_with_those_it_has():
    message = (
        r"cupy\.sum: got an unexpected keyword argument 'where'.* take \(a, axis=, dtype=, out=, keepdims=\)"
    )
    with pytest.raises(TypeError, match=message):
        xp.sum(gpu([1, 2]), where=True)


def test_a_host_operand_is_told_to_be_uploaded():
    message = r"cupy\.add: .*got NumPy array float32 \(2,\) \(upload host data with cupy\.asarray"
    with pytest.raises(TypeError, match=message):
        gpu([1, 2]) + np.ones(2, "f4")


def test_an_out_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"cupy\.add: out needs the result's shape \(2,\); got \(3, 2\)"):
        xp.add(gpu([1, 2]), 1, out=xp.zeros((3, 2), "f4"))


def test_nothing_warns_or_raises_on_special_values():
    with np.errstate(all="raise"):
        assert xp.log(gpu([0])).tolist() == [-np.inf]


# -- memory ----------------------------------------------------------------------------------------------


def test_an_upload_and_a_download_share_no_memory():
    host = np.zeros(2)
    x = xp.asarray(host)
    host[0] = 1
    x.get()[1] = 1
    assert x.tolist() == [0, 0]


def test_x0_is_a_view():
    x = gpu([1, 2])
    first = x[0]
    first += 10
    assert x.tolist() == [11, 2]


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[0],
        lambda x: x.T[:, 1:],
        lambda x: xp.broadcast_to(x, (2, 2, 3))[0],
        lambda x: xp.lib.stride_tricks.as_strided(x, (2,), (4,)),
    ],
)
def test_the_base_of_a_view_is_the_array_that_owns_the_memory(view):
    x = xp.ones((2, 3), "f4")
    assert view(x).base is x
    assert view(x.copy() + x).base is not x


def test_an_array_of_its_own_has_no_base():
    x = xp.ones((2, 3))
    assert [y.base for y in (x, x + x, x.copy(), xp.tile(x, 2), x.sum())] == [None] * 5


def test_elementwise_results_are_c_ordered_whatever_came_in():
    x = gpu(np.ones((2, 3))).T
    mask = gpu(np.ones((2, 3)), "?").T
    assert x.flags == mask.flags == (False, True)
    for result in (x + x, xp.exp(x), ~mask, xp.where(mask, x, x), xp.ascontiguousarray(x)):
        assert result.flags.c_contiguous


@pytest.mark.parametrize("make", [lambda: xp.empty((2, 2)), lambda: xp.empty_like(gpu([1, 2], "f2"))])
def test_empty_floats_are_nan(make):
    assert np.isnan(make().get()).all()


def test_an_empty_integer_is_no_index():
    with pytest.raises(IndexError):
        gpu([1, 2])[xp.empty(1, "i8")]


def test_of_two_values_for_one_element_either_may_stay():
    kept = {put(gpu([0]), gpu([0, 0], "i8"), gpu([1, 2])).item() for _ in range(30)}
    assert kept == {1.0, 2.0}


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_assignment_in_any_order_is_assignment_where_nothing_is_named_twice(data):
    n = data.draw(st.integers(1, 5))
    rows = np.array(data.draw(st.permutations(range(n))))
    host, values = np.zeros((n, 3)), np.arange(3.0 * n).reshape(n, 3)
    host[rows] = values
    assert put(xp.zeros((n, 3)), gpu(rows, "i8"), gpu(values)).tolist() == host.tolist()


def test_copies_are_copies():
    x = gpu([1, 2])
    for y in (copy.copy(x), copy.deepcopy(x), x.copy(), x.astype("f4"), xp.array(x)):
        y += 1
    assert x.tolist() == [1, 2]


def test_asarray_of_a_device_array_is_itself():
    x = gpu([1, 2])
    assert xp.asarray(x) is x


def test_set_takes_a_host_array_of_its_shape_and_dtype():
    x = gpu([1, 2])
    x.set(np.array([3, 4], "f4"))
    assert x.tolist() == [3, 4]
    with pytest.raises(TypeError, match=r"x\.set: needs .* float32 \(2,\); got NumPy array float64"):
        x.set(np.array([3.0, 4.0]))


# -- the same as NumPy -----------------------------------------------------------------------------------


@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
@settings(deadline=None, max_examples=50)
def test_operands_broadcast_as_numpys(shapes):
    a, b = (np.arange(np.prod(shape, dtype=int)).reshape(shape) + 1.5 for shape in shapes.input_shapes)
    assert (gpu(a, "f8") / gpu(b, "f8")).tolist() == (a / b).tolist()


@given(array_shapes(max_dims=3, max_side=3), st.data())
@settings(deadline=None, max_examples=50)
def test_reductions_are_numpys_and_never_scalars(shape, data):
    host = np.arange(np.prod(shape, dtype=int), dtype="f8").reshape(shape)
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    result = gpu(host, "f8").sum(axis=axis)
    assert isinstance(result, xp.ndarray)
    assert result.tolist() == host.sum(axis=axis).tolist()


def test_reflected_operators_keep_the_order_of_their_operands():
    x = gpu([1, 2])
    assert [(6 - x).tolist(), (6 / x).tolist(), (2**x).tolist()] == [[5, 4], [6, 3], [2, 4]]


def test_argsort_keeps_the_order_of_equal_elements():
    x = gpu(np.arange(100) % 2)
    assert xp.argsort(x).tolist() == [*range(0, 100, 2), *range(1, 100, 2)]


def test_clip_writes_into_out():
    x = gpu([-2, 0, 2])
    assert xp.clip(x, -1, 1, out=x) is x
    assert x.tolist() == [-1, 0, 1]


# -- generators, devices, modules ------------------------------------------------------------------------


def test_a_seed_gives_the_same_draws_and_not_numpys():
    draws = [xp.random.default_rng(3).standard_normal(4, dtype="float32").tolist() for _ in range(2)]
    assert draws[0] == draws[1] != np.random.default_rng(3).standard_normal(4, dtype="float32").tolist()


def test_integers_stay_below_high():
    drawn = xp.random.default_rng(0).integers(2, 5, size=100)
    assert set(drawn.tolist()) == {2, 3, 4}


@pytest.mark.parametrize("name", ["normal", "choice", "permutation", "shuffle"])
def test_generators_lack_what_cupys_lack(name):
    with pytest.raises(AttributeError, match=rf"cupy\.random\.Generator has no attribute '{name}'"):
        getattr(xp.random.default_rng(0), name)


def test_draws_come_in_float32_and_float64_only():
    with pytest.raises(TypeError, match="float32 or float64 here; got float16"):
        xp.random.default_rng(0).random(2, dtype="float16")


def test_there_is_one_device():
    assert xp.cuda.is_available()
    assert xp.cuda.runtime.getDeviceCount() == 1
    with xp.cuda.Device(0) as device:
        assert gpu([1]).device == device
    with pytest.raises(xp.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"), xp.cuda.Device(1):
        pass


def test_the_array_module_is_that_of_the_arrays():
    assert xp.get_array_module(1, gpu([1])) is xp
    assert xp.get_array_module(np.ones(1)) is np


def test_asnumpy_takes_arrays_of_both_kinds():
    assert xp.asnumpy(gpu([1, 2])).tolist() == xp.asnumpy(np.array([1, 2])).tolist() == [1, 2]


def test_erf_is_that_of_the_normal_distribution():
    erf = MODULES["cupyx.scipy.special"].erf
    np.testing.assert_allclose(erf(gpu([-1, 0, 0.5])).get(), [-0.8427008, 0, 0.5204999], rtol=1e-6)
    with pytest.raises(TypeError, match=r"erf: .* got float16"):
        erf(gpu([1], "f2"))


@pytest.fixture
def without_cupy(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cupy", "cupyx")]:
        monkeypatch.delitem(sys.modules, name)
    yield
    uninstall()


@pytest.mark.usefixtures("without_cupy")
def test_installing_twice_is_installing_once():
    assert install() is install() is sys.modules["cupy"]
    assert sys.modules["cupyx.scipy.special"].erf is MODULES["cupyx.scipy.special"].erf
    uninstall()
    assert "cupy" not in sys.modules


@pytest.mark.usefixtures("without_cupy")
def test_the_real_cupy_is_not_replaced(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", sys)
    with pytest.raises(RuntimeError, match="the real CuPy is loaded already"):
        install()
    uninstall()
    assert sys.modules["cupy"] is sys
