"""Run the techniques on the bundled digits: python -m techniques demo | distill | diffuse | contrast."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from techniques import report
from techniques.contrastive.demo import run_demo as contrast
from techniques.diffusion.demo import run_demo as diffuse
from techniques.distillation.demo import run_demo as distill
from tinygrad_lite import set_num_threads
from tinygrad_lite.backend import cuda_problem, parse_device
from tinygrad_lite.run import RunError

RUNS = Path("runs")
COMMAND = "command.txt"  # in the folder of a run: which command made it
DEFAULTS = {"device": "cpu", "threads": 1}

TECHNIQUES: dict[str, tuple[Callable[..., report.Result], str]] = {
    "distill": (distill, "a large teacher's soft labels train a small student"),
    "diffuse": (diffuse, "a UNet learns to take noise away, and draws digits out of noise"),
    "contrast": (contrast, "a ResNet learns, without labels, which pictures belong together"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    Returns:
        0; 1 for a run that failed, 2 for bad options (by argparse), 130 after Ctrl-C.
    """
    options = _parser().parse_args(argv)
    out = options.out or _default_folder(options.command, options.resume)
    set_num_threads(options.threads)
    try:
        results = _run(options, out)
    except KeyboardInterrupt:
        print(f"\nStopped. To go on from the last checkpoint: {_again(options, out)}", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"techniques: cannot use {error.filename or out}: {error.strerror}", file=sys.stderr)
        return 1
    except RunError as error:
        print(f"techniques: {error}", file=sys.stderr)
        return 1
    print(report.table(results))
    return 0


def _again(options: argparse.Namespace, out: Path) -> str:
    """The command that resumes this run."""
    parts = ["python", "-m", "techniques", options.command, "--out", str(out)]
    for name, value in _settings(options).items():
        parts += [f"--{name}", str(value)] if value != DEFAULTS.get(name) else []
    return shlex.join([*parts, "--resume"])


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The options that decide about the numbers, by name; without epochs where those are the technique's."""
    names = ("seed", "epochs", "device", "threads")
    return {name: vars(options)[name] for name in names if vars(options).get(name) is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m techniques", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="all three, one after the other, in about a minute")
    _add_options(demo)
    for name, (_, summary) in TECHNIQUES.items():
        command = commands.add_parser(name, help=summary, description=f"On the bundled digits: {summary}.")
        _add_options(command)
        command.add_argument(
            "--epochs",
            type=_positive,
            help="passes of the students, the UNet or the backbone; as many as the demo takes by default",
        )
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, help="folder for everything the run makes; by default a new one under runs/"
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, help="the same seed gives the same numbers (default: 0)"
    )
    parser.add_argument(
        "--device",
        type=_device,
        default=DEFAULTS["device"],
        help="cpu (default), or cuda or cuda:1, which need CuPy and a GPU",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=DEFAULTS["threads"],
        help="of NumPy's BLAS (default: 1; matrices this small are not faster with more)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint in --out, or in the newest folder",
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on; got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on; got {text!r}")
    return int(text)


def _device(text: str) -> str:
    try:
        kind, _ = parse_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if kind == "cuda" and (problem := cuda_problem()):
        raise argparse.ArgumentTypeError(f"{text} cannot be used: {problem}")
    return text


def _default_folder(command: str, resume: bool) -> Path:
    """runs/demo, or the first free one of runs/demo-2, runs/demo-3, …; to resume, the last that is there."""
    number, folder, last = 1, RUNS / command, RUNS / command
    while folder.exists():
        number, last = number + 1, folder
        folder = RUNS / f"{command}-{number}"
    return last if resume else folder


def _claim(out: Path, options: argparse.Namespace) -> None:
    """Note in `out` which command it belongs to; refuse a folder that is another's, or holds other things."""
    note = out / COMMAND
    if options.resume:
        if not note.exists():
            raise RunError(f"{out} holds no run: there is nothing to resume")
        if (command := note.read_text(encoding="utf-8").strip()) != options.command:
            raise RunError(f"{out} holds a run of {command!r}, not of {options.command!r}")
    elif out.exists() and any(out.iterdir()):
        what = (
            "a run already: go on with it (--resume)" if note.exists() else "other things: choose a new one"
        )
        raise RunError(f"{out} holds {what}, or leave out --out for a new folder")
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{options.command}\n", encoding="utf-8")


def _run(options: argparse.Namespace, out: Path) -> list[report.Result]:
    """Run one technique or all of them in `out`, and write the report there."""
    _claim(out, options)
    names = list(TECHNIQUES) if options.command == "demo" else [options.command]
    results = []
    for name in names:
        run_demo, _ = TECHNIQUES[name]
        results.append(
            run_demo(
                out / name if options.command == "demo" else out,
                seed=options.seed,
                epochs=getattr(options, "epochs", None),
                device=options.device,
                resume=options.resume,
            )
        )
    numbers, page = report.write(out, results, {"command": options.command, **_settings(options)})
    print(f"\nNumbers: {numbers}\nReport:  {page}\n")
    return results


if __name__ == "__main__":
    sys.exit(main())
