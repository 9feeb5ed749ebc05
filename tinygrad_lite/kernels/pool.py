"""Sums and maxima over windows, and their adjoints, on the arrays of NumPy or CuPy: tap by tap."""

from __future__ import annotations

from tinygrad_lite.backend import Array, array_module
from tinygrad_lite.kernels.windows import Pair, Windows


def window_sums(x: Array, windows: Windows) -> Array:
    """The sum of each window: (n, c, h, w) → (n, c, h′, w′)."""
    y = _blank(x, windows.grid)
    for places, pixels in windows.taps:
        y[places] += x[pixels]
    return y


def spread_sums(y: Array, windows: Windows) -> Array:
    """At each pixel the sum over the windows that it is in: (n, c, h′, w′) → (n, c, h, w)."""
    x = _blank(y, windows.size)
    for places, pixels in windows.taps:
        x[pixels] += y[places]
    return x


def window_maxima(x: Array, windows: Windows) -> tuple[Array, Array]:
    """The maximum of each window, and the tap that lies on it: the first of equal ones; NaN wins."""
    xp, taps = array_module(x), list(enumerate(windows.taps))
    y = _blank(x, windows.grid)
    winners = xp.zeros_like(y, dtype="uint8" if len(taps) <= 256 else "int32")
    for tap, (places, pixels) in reversed(taps):  # the champion is the first tap that lies on a pixel
        y[places], winners[places] = x[pixels], tap
    for tap, (places, pixels) in taps[1:]:
        best, winner = y[places], winners[places]
        rival = x[pixels].copy(order="K")  # side by side in memory: it is read three times
        wins = (rival > best) | (rival != rival)
        xp.maximum(best, rival, out=best)
        tap_if_it_wins = wins.astype(winner.dtype) * tap
        xp.maximum(winner, tap_if_it_wins, out=winner)  # the last to win, as taps count up
    return y, winners


def spread_winners(y: Array, winners: Array, windows: Windows) -> Array:
    """Each window's element at the pixel that its winner lies on, added where one won several."""
    x = _blank(y, windows.size)
    for tap, (places, pixels) in enumerate(windows.taps):
        x[pixels] += y[places] * (winners[places] == tap)
    return x


def pick_winners(x: Array, winners: Array, windows: Windows) -> Array:
    """Of each window the pixel that its winner lies on."""
    y = _blank(x, windows.grid)
    for tap, (places, pixels) in enumerate(windows.taps):
        y[places] += x[pixels] * (winners[places] == tap)
    return y


def _blank(x: Array, size: Pair) -> Array:
    """Zeros (n, c, *size), with the dtype of x and its order in memory."""
    return array_module(x).zeros_like(x, shape=(*x.shape[:2], *size))
