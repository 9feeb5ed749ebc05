"""Convolution and its two gradients as one matrix product each, in plain array expressions, for NumPy and CuPy.

`kernels/cpu/conv.py` has the same functions with the same arguments, for NumPy, in blocks and with less copying.

    x  (n, c, h, w)              images
    w  (o, c/groups, kh, kw)     weights
    g  (n, o, rows, columns)     the output, or a gradient of its shape
"""

from __future__ import annotations

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.kernels.windows import Windows

# -- arrays as matrices, one for each group ----------------------------------------------------------------


def pixels_of(x: Array, groups: int) -> Array:
    """(n, c, h, w) as (groups, n, h, w, c/groups): a view."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 0, 3, 4, 2)


def images_of(pixels: Array) -> Array:
    """(groups, n, h, w, c/groups) as (n, c, h, w): a view of memory that `new_images` gave."""
    groups, n, h, w, c = pixels.shape
    return pixels.transpose(1, 0, 4, 2, 3).reshape(n, groups * c, h, w)
