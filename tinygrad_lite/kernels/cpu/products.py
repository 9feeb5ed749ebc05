"""Products of tall matrices with narrow ones for NumPy, in slices that OpenBLAS multiplies where they lie.

OpenBLAS first copies both matrices to where its kernels read them best. Up to a million multiply-adds, and
where the processor has AVX-512, it has other kernels that read matrices in place. A convolution's matrices
are narrow, so that a copied number serves few products, and small products in a stack take, of the time of
one large: 0.76 for (1792, 144) · (144, 16), 0.83 for (784, 288) · (288, 32), 0.88 for (784, 576) · (576, 64);
and, transposed for gradients by weights, 0.8, 0.87 and 0.98 (OpenBLAS 0.3.31, Zen 4).
"""

from __future__ import annotations

import numpy as np


def _reads_in_place() -> bool:
    """Whether NumPy's BLAS has kernels for small matrices on this processor."""
    config = np.show_config(mode="dicts") or {}
    blas = config.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    features = config.get("SIMD Extensions", {}).get("found", [])
    return "openblas" in blas and not {"AVX512_SKX", "X86_V4"}.isdisjoint(features)  # two names for the same


UNPACKED = 1_000_000 if _reads_in_place() else 1 << 62  # multiply-adds in a product, at most
FEWEST_ROWS = 8  # in a product: with fewer these kernels are no faster than a copy
PIECE = 48  # columns of a transposed matrix in a product, at most: 24 to 72 are about the same
THINNEST = 10  # of them at least: for 97 columns, which only 1 divides, one large product takes a third


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Into out: a · b, (…, rows, k), (k, n) → (…, rows, n)."""
    (k, n), rows = b.shape, a.shape[-2]
    most = UNPACKED // max(1, k * n)
    if rows <= most or most < FEWEST_ROWS:
        np.matmul(a, b, out=out)
    else:
        slices = -(-rows // most)
        whole = rows - rows % slices
        np.matmul(_stacked(a[..., :whole, :], slices), b, out=_stacked(out[..., :whole, :], slices))
        if whole < rows:
            np.matmul(a[..., whole:, :], b, out=out[..., whole:, :])


def multiply_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """aᵀ · b, (…, rows, k), (…, rows, n) → (k, n), summed over what stands before rows."""
    (rows, k), n = a.shape[-2:], b.shape[-1]
    piece = max((p for p in range(1, min(k, PIECE) + 1) if k % p == 0), default=0)
    most = UNPACKED // max(1, piece * n)
    if rows * k * n <= UNPACKED or most < FEWEST_ROWS or piece < THINNEST:
        return _sum(a.swapaxes(-1, -2) @ b)
    slices = -(-rows // most)
    whole = rows - rows % slices
    pieces = _stacked(a[..., :whole, :], slices)
    pieces = pieces.reshape(*pieces.shape[:-1], k // piece, piece)
    products = np.moveaxis(pieces, -3, -1) @ _stacked(b[..., :whole, :], slices)[..., None, :, :]
    total = _sum(products.reshape(*products.shape[:-3], k, n))
    return total if whole == rows else total + _sum(a[..., whole:, :].swapaxes(-1, -2) @ b[..., whole:, :])


def _stacked(matrix: np.ndarray, slices: int) -> np.ndarray:
    """(…, rows, k) → (…, slices, rows / slices, k): a view."""
    *batch, rows, k = matrix.shape
    return matrix.reshape(*batch, slices, rows // slices, k)


def _sum(matrices: np.ndarray) -> np.ndarray:
    """Of a stack of matrices."""
    stack = matrices.reshape(-1, *matrices.shape[-2:])
    return stack[0] if len(stack) == 1 else stack.sum(axis=0)
