"""Run the three techniques over several seeds, and write what came out into README.md.

Run:     python -m benchmarks.study          (3 seeds: about 3 minutes, one core)
Writes:  the table between the markers in README.md, and the pictures that it shows, in docs/
Expect:  every claim holds; else the exit code is 1, and nothing is written
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.machine import processor
from benchmarks.readme import write_part
from techniques.contrastive.demo import run_demo as contrast
from techniques.diffusion.demo import run_demo as diffuse
from techniques.distillation.demo import run_demo as distill
from techniques.report import Result
from tinygrad_lite import set_num_threads

ROOT = Path(__file__).parents[1]
PICTURES = ("digits.png", "embedding.png")

Figures = dict[str, np.ndarray]  # by name, one number a seed


def run_seeds(folder: Path, seeds: range) -> tuple[list[Result], Figures]:
    """Every technique with every seed: all results, seed by seed of each, and each figure over the seeds."""
    results = [
        demo(folder / f"{i}-{seed}", seed=seed)
        for i, demo in enumerate((distill, diffuse, contrast))
        for seed in seeds
    ]
    figures: dict[str, list[float]] = {}
    for result in results:
        for name, value in (result.figures | {"seconds": result.seconds}).items():
            figures.setdefault(f"{result.technique}: {name}", []).append(value)
    return results, {name: np.array(values) for name, values in figures.items()}


def claims(f: Figures) -> dict[str, bool]:
    """What the project promises, and whether these seeds bear it out."""
    alone, distilled = f["distillation: alone_error"], f["distillation: distilled_error"]
    few = {who: f[f"contrastive: {who}_few_labels"] for who in ("contrastive", "random", "pixels")}
    return {
        "the distilled student errs at most half as often": distilled.mean() <= alone.mean() / 2,
        "with shuffled answers nothing is gained": (f["distillation: shuffled_error"] >= alone).all(),
        "90 % of drawn digits are of their class": (f["diffusion: drawn_of_class"] >= 0.9).all(),
        "before training it is no more than chance": (f["diffusion: untrained_of_class"] <= 0.2).all(),
        "the judge errs under 3 %": (f["diffusion: judge_error"] < 0.03).all(),
        "contrastive features beat a random backbone": (few["contrastive"] > few["random"]).all(),
        "contrastive features beat pixels": (few["contrastive"] > few["pixels"]).all(),
    }


def table(f: Figures) -> str:
    """The figures as the README shows them: mean over the seeds, lowest and highest in brackets."""
    rows = [
        ("**Distillation**: test error of the teacher, all labels", "distillation: teacher_error"),
        ("student alone, 10 labels a class", "distillation: alone_error"),
        ("student distilled: the same labels, and the teacher's answers", "distillation: distilled_error"),
        ("student distilled from shuffled answers", "distillation: shuffled_error"),
        ("**Diffusion**: drawn digits that a judge takes for their class", "diffusion: drawn_of_class"),
        ("the same before training", "diffusion: untrained_of_class"),
        (
            "**Contrastive**: accuracy, 10 labels a class, contrastive features",
            "contrastive: contrastive_few_labels",
        ),
        ("the same classifier on pixels", "contrastive: pixels_few_labels"),
        ("the same classifier on a random backbone", "contrastive: random_few_labels"),
    ]
    lines = [f"| {what} | {percent(f[name])} |" for what, name in rows]
    seconds = " + ".join(
        f"{f[f'{t}: seconds'].mean():.0f}" for t in ("distillation", "diffusion", "contrastive")
    )
    lines.append(f"| seconds, one technique after the other | {seconds} |")
    return "\n".join(["| | mean (lowest to highest) |", "|---|---|", *lines])


def percent(values: np.ndarray) -> str:
    """0.0331 over the seeds as "3.3 % (2.5 to 3.9)"."""
    return f"{100 * values.mean():.1f} % ({100 * values.min():.1f} to {100 * values.max():.1f})"


def write(results: list[Result], figures: Figures, seeds: int) -> None:
    """Put the table into the README, and the first seed's pictures into docs/."""
    (ROOT / "docs").mkdir(exist_ok=True)
    for path in (path for result in results[::seeds] for path in result.pictures.values()):
        if path.name in PICTURES:
            shutil.copy(path, ROOT / "docs" / path.name)
    told = (
        f"`python -m benchmarks.study --seeds {seeds}`, {date.today()}, {processor()}, "
        f"one thread, Python {platform.python_version()}, NumPy {np.__version__}:"
    )
    write_part("results", f"{told}\n\n{table(figures)}")


def main() -> int:
    """Run, judge, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on (default: 3)")
    seeds = parser.parse_args().seeds
    set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results, figures = run_seeds(Path(folder), range(seeds))
        held = claims(figures)
        for claim, holds in held.items():
            print("holds " if holds else "FAILS ", claim)
        print(table(figures))
        if all(held.values()):
            write(results, figures, seeds)
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
