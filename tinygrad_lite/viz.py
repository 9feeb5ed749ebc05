"""Arrays to picture files: curves, bars, grids of images, embeddings.

Every function takes the picture's path first, .png or .svg (anything else is a ValueError), and returns it.
Missing folders are made, the file appears whole or not at all, and the same arrays give the same bytes. No
display is needed, and nothing is left behind in matplotlib's global state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

PathLike: TypeAlias = str | os.PathLike[str]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which color-blind readers tell apart; without its yellow, too pale for a line."""


def curves(
    path: PathLike,
    series: Mapping[str, Any],
    *,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "",
    smooth: int = 1,
    log: bool = False,
) -> Path:
    """One line a name, such as losses by step.

    Args:
        path: the picture to write.
        series: for each name its values (n,), drawn at 1 to n, or positions and values (2, n).
        title: above the picture.
        xlabel: below it.
        ylabel: beside it.
        smooth: draw the mean of so many neighboring values, and the values themselves faintly behind it.
        log: a logarithmic scale of values.

    Raises:
        ValueError: for values of another shape.
    """
    figure, (axes,) = _figure(6.4, 3.8)
    for i, (name, values) in enumerate(series.items()):
        x, y = _positions_and_values(name, values)
        color, window = COLORS[i % len(COLORS)], max(1, min(smooth, len(y)))
        if window > 1:
            axes.plot(x, y, color=color, alpha=0.2, linewidth=0.8)
            y = np.convolve(y, np.full(window, 1 / window), mode="valid")
            x = x[(window - 1) // 2 :][: len(y)]
        axes.plot(x, y, color=color, linewidth=1.8, label=name)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return _save(figure, path)


def _positions_and_values(name: str, values: Any) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 1:
        return np.arange(1, len(values) + 1), values
    if values.ndim == 2 and len(values) == 2:
        return values[0], values[1]
    raise ValueError(
        f"curves: {name!r} needs values (n,), or positions and values (2, n); got {values.shape}"
    )


def bars(
    path: PathLike,
    results: Mapping[str, tuple[float, float]],
    *,
    title: str = "",
    xlabel: str = "",
    decimals: int = 1,
) -> Path:
    """One horizontal bar a name, from the top down, with its mean written out and its spread as a whisker.

    Args:
        path: the picture to write.
        results: for each name its mean, at least 0, and its standard deviation; 0 draws no whisker.
        title: above the picture.
        xlabel: below it, with the unit.
        decimals: how many the numbers have.
    """
    figure, (axes,) = _figure(6.4, 1.2 + 0.5 * len(results))
    ends = []
    for row, (mean, spread) in enumerate(results.values()):
        axes.barh(row, mean, height=0.62, color=COLORS[row % len(COLORS)], alpha=0.85)
        text = f"{mean:.{decimals}f}"
        if spread > 0:
            axes.errorbar(mean, row, xerr=spread, color="0.2", linewidth=1.2, capsize=3)
            text += f" ± {spread:.{decimals}f}"
        ends.append(mean + spread)
        axes.annotate(text, (ends[-1], row), xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35 * max(ends, default=1) or 1)  # the rest is room for the numbers
    axes.set(title=title, xlabel=xlabel)
    axes.tick_params(axis="y", length=0)
    return _save(figure, path)


def image_grid(
    path: PathLike,
    images: Any,
    *,
    row_labels: Sequence[str] = (),
    col_labels: Sequence[str] = (),
    title: str = "",
    low: float = -1.0,
    high: float = 1.0,
) -> Path:
    """Images side by side in rows and columns, every pixel a sharp square.

    Args:
        path: the picture to write.
        images: (rows, columns, H, W), gray, or (rows, columns, C, H, W) with C = 1, gray, or 3, RGB.
        row_labels: one to the left of each row, or none.
        col_labels: one above each column, or none.
        title: above the picture.
        low: this value and those below it are black.
        high: this value and those above it are white (in RGB: the full color).

    Raises:
        ValueError: for images of another shape, or labels of another number.
    """
    images = np.asarray(images, dtype=np.float64)
    tiles = images[:, :, None] if images.ndim == 4 else images
    if tiles.ndim != 5 or tiles.shape[2] not in (1, 3):
        needs = "(rows, columns, H, W) or (rows, columns, 1 or 3, H, W)"
        raise ValueError(f"image_grid: needs images {needs}; got {images.shape}")
    rows, columns, _, height, width = tiles.shape
    if len(row_labels) not in (0, rows) or len(col_labels) not in (0, columns):
        raise ValueError(
            f"image_grid: needs {rows} row_labels and {columns} col_labels, or none; "
            f"got {len(row_labels)} and {len(col_labels)}"
        )
    gap = max(1, height // 12)
    tall, wide = height + gap, width + gap
    cell = 0.62  # inches
    figure, (axes,) = _figure(0.9 + cell * columns, 0.7 + cell * rows * tall / wide)
    axes.imshow(_tiled(np.clip((tiles - low) / (high - low), 0, 1), gap), interpolation="nearest")
    axes.set_xticks(np.arange(len(col_labels)) * wide + (width - 1) / 2, col_labels)
    axes.set_yticks(np.arange(len(row_labels)) * tall + (height - 1) / 2, row_labels)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    return _save(figure, path)


def _tiled(tiles: np.ndarray, gap: int) -> np.ndarray:
    """(rows, columns, C, H, W) in [0, 1] as one RGB picture, with white gaps between the tiles."""
    rows, columns, channels, height, width = tiles.shape
    pad = ((0, 0), (0, 0), (0, 0), (0, gap), (0, gap))
    tiles = np.pad(tiles, pad, constant_values=1).transpose(0, 3, 1, 4, 2)
    canvas = tiles.reshape(rows * (height + gap), columns * (width + gap), channels)[:-gap, :-gap]
    return np.broadcast_to(canvas, (*canvas.shape[:2], 3))


def embedding(path: PathLike, panels: Mapping[str, tuple[Any, Any]], *, title: str = "") -> Path:
    """Points in the plane, colored by class, one panel a name, side by side; `pca` gives such points.

    Each class is named at the middle (the median) of its points. The axes have no numbers: in an embedding
    only what lies near what has a meaning.

    Args:
        path: the picture to write.
        panels: for each name its points (N, 2) and their labels (N,).
        title: above all panels.

    Raises:
        ValueError: for points or labels of another shape.
    """
    figure, all_axes = _figure(4.2 * len(panels), 4.4, columns=len(panels))
    classes = sorted({label for _, labels in panels.values() for label in np.asarray(labels).tolist()})
    palette = matplotlib.colormaps["tab10" if len(classes) <= 10 else "turbo"].resampled(len(classes))
    for axes, (name, (points, labels)) in zip(all_axes, panels.items(), strict=True):
        points, labels = np.asarray(points), np.asarray(labels)
        if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
            got = f"{points.shape} and {labels.shape}"
            raise ValueError(f"embedding: {name!r} needs points (N, 2) and labels (N,); got {got}")
        for i, label in enumerate(classes):
            if (labels == label).any():
                _cloud(axes, points[labels == label], str(label), palette(i))
        axes.set(title=name, xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="0.8")
    figure.suptitle(title)
    return _save(figure, path)


def _cloud(axes: Axes, points: np.ndarray, name: str, color: Any) -> None:
    axes.scatter(points[:, 0], points[:, 1], s=10, color=color, alpha=0.7, linewidths=0)
    x, y = np.median(points, axis=0)
    halo = [withStroke(linewidth=3, foreground="white")]
    axes.text(x, y, name, color=color, weight="bold", size=13, ha="center", va="center", path_effects=halo)


def pca(x: Any, dim: int = 2) -> np.ndarray:
    """Principal components: the rows of x, centered, on their `dim` directions of largest variance, (N, dim).

    A direction has no sign of its own; here its entry of largest size is positive.

    Args:
        x: (N, d).
        dim: at most the smaller of N and d.

    Raises:
        ValueError: if x is not 2-D or dim is out of range.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or not 1 <= dim <= min(x.shape):
        raise ValueError(f"pca: needs x (N, d) and dim from 1 to min(N, d); got {x.shape} and dim = {dim}")
    centered = x - x.mean(axis=0)
    directions = np.linalg.svd(centered, full_matrices=False)[2][:dim]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return centered @ (directions * np.sign(largest)).T


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches and its axes side by side, without the frame's top and right."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    all_axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def _save(figure: Figure, path: PathLike) -> Path:
    """Write beside the place and rename, so that nobody ever sees half a picture."""
    path = Path(path)
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"viz: a picture's path ends in .png or .svg; got {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with matplotlib.rc_context({"svg.hashsalt": path.name}):  # else an SVG's ids are random
            figure.savefig(aside, format=path.suffix[1:], bbox_inches="tight", metadata={"Date": None})
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path
