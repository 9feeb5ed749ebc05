"""The same work here and in peers, as ratios: python -m benchmarks [--against torch] [--only lenet]."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import report
from benchmarks.measure import Comparison, DisagreementError, Side, SideError, compare
from benchmarks.readme import write_part
from benchmarks.workloads import WORKLOADS, Workload

OURS = "benchmarks.ours"
TURNS = 9
PEERS = {name: f"benchmarks.with_{name}" for name in ("torch", "autograd", "mygrad")}
WRITTEN = dict.fromkeys(("autograd", "mygrad"), ("lenet", "resnet"))  # all workloads for a peer not in it

NOTES = """\
Each side is a process of its own, and they take turns (A B A B); the first call of a turn is thrown away.
Both get the same data and first weights. What the first steps compute is compared: a workload whose sides
differ by more than 0.1 % is not timed. Ratios below 1 mean that we are faster: the median over the turns,
in brackets the middle half. MB is the peak of each side above its state after import; "sgemm", for us and
the peer, is the multiply-adds a second as a part of what NumPy's product of two matrices reaches here.
Both sides start without OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which may be set for another processor.
autograd and MyGrad have neither modules nor optimizers: for them lenet and resnet alone are written.

On a machine that others use too, only --cpu-time means something; else a row that was disturbed is marked
with the number of cores that others took.

workloads:
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line `argv` asks for.

    Returns:
        0; 1 where sides disagreed or ended early, 2 for bad options (by argparse), 130 after Ctrl-C.
    """
    options = _parser().parse_args(argv)
    if options.profile and (options.readme or options.json):
        _parser().error("--profile measures no ratios, so there is nothing for --readme or --json")
    if options.json and not options.json.absolute().parent.is_dir():
        _parser().error(f"--json: there is no folder {options.json.absolute().parent}")
    if options.cpu_time and options.threads > 1:
        _parser().error("--cpu-time adds up the threads of a side, so it needs --threads 1")
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {w.name:<38}{w.about}" for w in WORKLOADS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=NOTES + names,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--against",
        type=_peers,
        default="torch",
        metavar="PEER,…",
        help=f"of {', '.join(PEERS)} (default: torch)",
    )
    about = "only these workloads; conv-forward is all whose names begin so"
    add("--only", type=chosen_workloads, default=list(WORKLOADS), metavar="NAME,…", help=about)
    add("--threads", type=int, choices=(1, 2), default=1, help="of each side (default: 1)")
    add("--cpu-time", action="store_true", help="measure seconds of CPU instead of those on the wall")
    add("--turns", type=_at_least_one, default=TURNS, help=f"of each side (default: {TURNS})")
    add("--json", type=Path, metavar="FILE", help="write everything there, every ratio included")
    add("--readme", action="store_true", help="put the table into README.md, unless sides disagreed")
    add("--profile", action="store_true", help="show where a step's time goes, on both sides, instead")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs at least 1; got {text}")
    return int(text)


def _peers(text: str) -> list[str]:
    """The peers of a list with commas, or the reason why one of them cannot be measured."""
    for name in text.split(","):
        if name not in PEERS:
            raise argparse.ArgumentTypeError(
                f"no workload is written for {name}; there are {', '.join(PEERS)}"
            )
        if find_spec(name) is None:
            raise argparse.ArgumentTypeError(f"{name} is not installed: pip install -e '.[bench]'")
    return text.split(",")


def chosen_workloads(text: str) -> list[Workload]:
    """The workloads of a list with commas: that of a name, or all whose names go on from it."""
    chosen = []
    for name in text.split(","):
        found = [w for w in WORKLOADS if w.name == name]
        found = found or [w for w in WORKLOADS if w.name.startswith(f"{name}-")]
        if not found:
            raise argparse.ArgumentTypeError(f"no workload {name}; --help lists them")
        chosen += found
    return chosen


def _run(options: argparse.Namespace) -> int:
    """Measure against one peer after the other."""
    with Side(OURS, options.threads) as side:
        sgemm = side.ask("sgemm", options.cpu_time)
        print(report.machine_and_ours(side.ask("about"), sgemm))
    found: dict[str, list[Comparison]] = {}
    failures: list[str] = []
    for peer in options.against:
        with Side(PEERS[peer], options.threads) as side:
            print(report.peer(side.ask("about"), options.cpu_time))
        found[peer], failed = _against(peer, options, sgemm)
        failures += failed
    if options.json:
        content = report.as_json(found, sgemm, cpu_time=options.cpu_time, threads=options.threads)
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if options.readme and not failures and all(found.values()):
        told = report.told(_command(options), cpu_time=options.cpu_time, threads=options.threads)
        write_part("speed", f"{told}\n\n{report.markdown(found)}")
    return 1 if failures else 0


def _command(options: argparse.Namespace) -> str:
    """What was asked for, as a command line."""
    chosen = [] if options.only == WORKLOADS else ["--only", ",".join(w.name for w in options.only)]
    flags = [
        *[f"--turns {options.turns}"] * (options.turns != TURNS),
        *["--cpu-time"] * options.cpu_time,
        *[f"--threads {options.threads}"] * (options.threads > 1),
    ]
    return " ".join(["python -m benchmarks --against", ",".join(options.against), *chosen, *flags])


def _against(peer: str, options: argparse.Namespace, sgemm: float) -> tuple[list[Comparison], list[str]]:
    """All rows of a peer, and what went wrong; each is printed as soon as it is known."""
    found: list[Comparison] = []
    failures: list[str] = []
    print("" if options.profile else report.header(peer), flush=True)
    for workload in options.only:
        if workload.name not in WRITTEN.get(peer, [workload.name]):
            if options.only != WORKLOADS:
                print(f"{workload.name} is not written for {peer}")
            continue
        try:
            result = _measured(workload, peer, options)
        except (DisagreementError, SideError) as error:
            failures.append(str(error))
            print(error, flush=True)
            continue
        if result:
            found.append(result)
            print(report.row(result, sgemm, is_marked=not options.cpu_time), flush=True)
    print(report.conclusion(found, is_marked=not options.cpu_time))
    return found, failures


def _measured(workload: Workload, peer: str, options: argparse.Namespace) -> Comparison | None:
    """A workload on new processes; None if it was to be profiled, which prints what it finds."""
    with Side(OURS, options.threads) as ours, Side(PEERS[peer], options.threads) as theirs:
        if not options.profile:
            return compare(workload, ours, theirs, turns=options.turns, cpu_time=options.cpu_time)
        data = workload.draw()
        for name, side in (("ours", ours), (peer, theirs)):
            side.ask("build", workload, data)
            print(f"\n{workload.name}, {name}\n{side.ask('profile')}")
    return None


if __name__ == "__main__":
    sys.exit(main())
