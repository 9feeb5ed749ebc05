"""What a run leaves behind: one table, one results.json, one report.html that opens in a browser."""

from __future__ import annotations

import base64
import html
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Result:
    """What came out of one technique.

    Args:
        technique: its name.
        rows: (what, value) as the table shows them.
        figures: numbers for results.json.
        story: what was done, and how to read the rows, for the page.
        pictures: caption → picture file.
        seconds: how long it took.
    """

    technique: str
    rows: list[tuple[str, str]]
    figures: dict[str, float]
    story: str = field(default="", kw_only=True)
    pictures: dict[str, Path] = field(default_factory=dict)
    seconds: float = 0.0


def table(results: Sequence[Result]) -> str:
    """All results as one table of text, and the paths of the pictures."""
    rows = [
        (result.technique if i == 0 else "", what, value)
        for result in results
        for i, (what, value) in enumerate([*result.rows, ("time", f"{result.seconds:.0f} s")])
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = []
    for first, what, value in rows:
        lines += ["-" * (sum(widths) + 4)] if first else []
        lines.append(f"{first:<{widths[0]}}  {what:<{widths[1]}}  {value:>{widths[2]}}")
    pictures = [f"  {path}" for result in results for path in result.pictures.values()]
    return "\n".join([*lines, "", "Pictures:", *pictures])


def write(folder: Path, results: Sequence[Result], options: dict[str, object]) -> tuple[Path, Path]:
    """Write results.json and report.html into `folder`; return their paths."""
    data = {
        "options": options,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "machine": platform.machine(),
        "results": {result.technique: _as_json(result, folder) for result in results},
    }
    numbers, page = folder / "results.json", folder / "report.html"
    _replace(numbers, json.dumps(data, indent=2) + "\n")
    _replace(page, _page(results, options))
    return numbers, page


def _as_json(result: Result, folder: Path) -> dict[str, object]:
    pictures = {caption: str(path.relative_to(folder)) for caption, path in result.pictures.items()}
    return {"figures": result.figures, "seconds": round(result.seconds, 2), "pictures": pictures}


def _replace(path: Path, text: str) -> None:
    """Write beside `path`, then rename: a reader never sees half a file."""
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td { padding: .2rem 1.5rem .2rem 0; border-top: 1px solid #ddd }
td:last-child { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1.5rem 0 } img { max-width: 100%; height: auto } figcaption { color: #666 }
"""


def _page(results: Sequence[Result], options: dict[str, object]) -> str:
    """A page with everything inside: pictures as data, no script, nothing from outside."""
    told = ", ".join(f"{name} {value}" for name, value in options.items())
    sections = "\n".join(map(_section, results))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>tinygrad_lite: results</title><style>{STYLE}</style></head><body>\n"
        f"<h1>tinygrad_lite: results</h1>\n<p>Run with <code>{html.escape(told)}</code></p>\n"
        f"{sections}\n</body></html>\n"
    )


def _section(result: Result) -> str:
    rows = "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in result.rows)
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" '
        f'alt="{html.escape(caption)}"><figcaption>{html.escape(caption)}</figcaption></figure>\n'
        for caption, path in result.pictures.items()
    )
    title = html.escape(result.technique.capitalize())
    told = f"{html.escape(result.story)} ({result.seconds:.0f} s)"
    return f"<h2>{title}</h2>\n<p>{told}</p>\n<table>{rows}</table>\n{figures}"
