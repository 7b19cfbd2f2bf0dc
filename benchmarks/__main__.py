"""Run all benchmarks, or some, print their tables, write their results."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import (
    batches,
    convolution,
    cost,
    deconvolution,
    edges,
    output,
    restoration,
    serving,
    ssim,
    timing,
    training,
)

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = {
    "convolution": convolution,
    "deconvolution": deconvolution,
    "ssim": ssim,
    "batches": batches,
    "training": training,
    "restoration": restoration,
    "cost": cost,
    "edges": edges,
    "serving": serving,
}


def main() -> None:
    """Run benchmarks, then write: a failure leaves the last results as they were."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"all, or some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each case, at least")
    parser.add_argument("--quick", action="store_true", help="small images, to try the scripts")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder; default: benchmarks/results, with --quick build/benchmarks",
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {min(unknown)!r}")
    default = ROOT / "build" / "benchmarks" if arguments.quick else ROOT / "benchmarks" / "results"

    timing.settle()
    stored, sections = {}, {benchmark.TITLE: "" for benchmark in BENCHMARKS.values()}
    for name, benchmark in BENCHMARKS.items():
        if arguments.names and name not in arguments.names:
            continue
        begin = timing.clocks()
        about, cases = benchmark.run(arguments.rounds, arguments.quick)
        stored[name] = output.results(benchmark.PACKAGES, cases, timing.others_since(begin))
        table = getattr(benchmark, "table", None)
        sections[benchmark.TITLE] = output.section(benchmark.TITLE, about, stored[name], table)
        print(sections[benchmark.TITLE], flush=True)
    output.write(arguments.out or default, stored, sections)


if __name__ == "__main__":
    main()
