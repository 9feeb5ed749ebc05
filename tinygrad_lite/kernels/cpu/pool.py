"""Sums and maxima over windows for NumPy: what `kernels/pool.py` computes, where windows do not overlap.

Then each pixel is read and written once, so nothing is added up in the images, and:

- A tap's pixels are copied as elements of a void dtype, all channels at a time: NumPy's loop counts pixels,
  not numbers. Where each channel lies apart, it is an image of its own, and its pixels are numbers.
- What is compared, added or multiplied are copies that lie side by side, in blocks that stay in the cache.

2×2 windows, 32 channels at 28², channels last, ns for each number of the images, plain and here: maxima 0.75
and 0.40, their gradient 0.85 and 0.43, sums 0.33 and 0.24, copies 0.57 and 0.15; of 6 channels maxima 1.9 and
0.8, their gradient 2.0 and 0.8.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygrad_lite.kernels import pool as plain
from tinygrad_lite.kernels.cpu.blocks import pixels_of, whole
from tinygrad_lite.kernels.windows import Windows
from tinygrad_lite.threads import in_runs, slices

BLOCK = 1 << 19  # numbers of the images, at a time
PASSES = 4  # over the images that a kernel costs, as `in_runs` counts them


def window_sums(x: np.ndarray, windows: Windows) -> np.ndarray:
    """Copies of the taps, added up; as `plain` where channels lie apart, and a pixel is just a number."""
    if not (_are_tiles(windows, x) and _is_channels_last(x)):
        return plain.window_sums(x, windows)
    images = _images(x, channels_last=True)
    y = np.empty((len(images), *windows.grid, images.shape[3]), x.dtype)
    first, *others = _taps(images, windows)

    def work(part: slice) -> None:
        total, summand = y[part], np.empty_like(y[part])
        whole(total)[...] = first[part]
        for pixels in others:
            whole(summand)[...] = pixels[part]
            total += summand

    _in_blocks(work, images)
    return _tensor(y, x.shape[1])


def spread_sums(y: np.ndarray, windows: Windows) -> np.ndarray:
    """A copy of y for each tap."""
    if not _are_tiles(windows, y):
        return plain.spread_sums(y, windows)
    values = _images(y, _is_channels_last(y))
    x = _new_images(values, windows)
    taps = _taps(x, windows)

    def work(part: slice) -> None:
        for pixels in taps:
            pixels[part] = whole(values[part])

    _in_blocks(work, x)
    return _tensor(x, y.shape[1])


def window_maxima(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """A contest of copies of the taps, in their order; `plain` decides where there is NaN."""
    if not _are_tiles(windows, x):
        return plain.window_maxima(x, windows)
    images = _images(x, _is_channels_last(x))
    y = np.empty((len(images), *windows.grid, images.shape[3]), x.dtype)
    winners = np.zeros(y.shape, "uint8")
    first, *others = _taps(images, windows)

    def work(part: slice) -> None:
        best, winner = y[part], winners[part]
        rival, wins = np.empty_like(best), np.empty(best.shape, bool)
        number = wins.view("uint8")
        whole(best)[...] = first[part]
        for tap, pixels in enumerate(others, start=1):
            whole(rival)[...] = pixels[part]
            np.greater(rival, best, out=wins)
            np.maximum(rival, best, out=best)
            np.multiply(number, tap, out=number)
            np.maximum(number, winner, out=winner)  # the last that won, as taps count up
        if np.isnan(best.max()):  # a comparison does not say which of the two is NaN
            decided = plain.window_maxima(images[part].transpose(0, 3, 1, 2), windows)
            best[...], winner[...] = (a.transpose(0, 2, 3, 1) for a in decided)

    _in_blocks(work, images)
    return _tensor(y, x.shape[1]), _tensor(winners, x.shape[1])


def spread_winners(y: np.ndarray, winners: np.ndarray, windows: Windows) -> np.ndarray:
    """For each tap a copy of y, 0 where another tap won."""
    if not _are_tiles(windows, y):
        return plain.spread_winners(y, winners, windows)
    channels_last = _is_channels_last(winners)
    values, winners = _images(y, channels_last), _images(winners, channels_last)
    x = _new_images(values, windows)
    taps = _taps(x, windows)

    def work(part: slice) -> None:
        value, winner = values[part], winners[part]
        share, wins = np.empty_like(value), np.empty(value.shape, bool)
        for tap, pixels in enumerate(taps):
            np.equal(winner, tap, out=wins)
            np.multiply(value, wins, out=share)
            pixels[part] = whole(share)

    _in_blocks(work, x)
    return _tensor(x, y.shape[1])


# -- images and their pixels -------------------------------------------------------------------------------


def _are_tiles(windows: Windows, x: np.ndarray) -> bool:
    """Whether no pixel is in two windows and no tap on the padding; the numbers of taps fit a byte, too."""
    (kh, kw), (down, right) = windows.kernel, windows.stride
    apart = kh <= down and kw <= right and windows.dilation == (1, 1)
    return apart and windows.padded == windows.size and kh * kw <= 256 and x.size > 0


def _is_channels_last(x: np.ndarray) -> bool:
    """Whether the channels of a pixel lie closer together than pixels do."""
    return abs(x.strides[1]) < abs(x.strides[3])


def _images(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """x as images (n, h, w, c) of pixels in one piece; or, an image a channel, (n·c, h, w, 1)."""
    if not channels_last:
        return np.ascontiguousarray(x).reshape(-1, *x.shape[2:], 1)
    return pixels_of(x)  # a view of some of the channels of others, maybe: what `split` leaves


def _tensor(images: np.ndarray, channels: int) -> np.ndarray:
    """The images as (n, c, h, w) again."""
    if images.shape[3] == channels:
        return images.transpose(0, 3, 1, 2)
    return images.reshape(-1, channels, *images.shape[1:3])


def _new_images(values: np.ndarray, windows: Windows) -> np.ndarray:
    """Images for values, one for each window: zeros where windows leave a pixel out."""
    n, rows, columns, c = values.shape
    (kh, kw), (h, w) = windows.kernel, windows.size
    blank = np.empty if (rows * kh, columns * kw) == (h, w) else np.zeros
    return blank((n, h, w, c), values.dtype)


def _taps(images: np.ndarray, windows: Windows) -> list[np.ndarray]:
    """For each tap the pixels (n, h′, w′) of the images that it lies on."""
    pixels, (rows, columns), (down, right) = whole(images), windows.grid, windows.stride
    return [
        pixels[:, a : a + rows * down : down, b : b + columns * right : right]
        for a in range(windows.kernel[0])
        for b in range(windows.kernel[1])
    ]


def _in_blocks(work: Callable[[slice], None], images: np.ndarray) -> None:
    """Do the work on blocks of images that stay in the cache, and share them among the threads."""
    block = max(1, BLOCK * len(images) // images.size)

    def run(start: int, stop: int) -> None:
        for part in slices(start, stop, block):
            work(part)

    in_runs(run, len(images), cost=8 * PASSES * images.size)
