"""`python -m bench [--rounds N] [--rate N] [--only NAME…]`: all contenders on one machine, on one
engine, under one load, in turn; then docs/benchmark.md from what was measured. `--page` only writes
that anew."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys

from bench import page, tool
from bench.interrupts import run
from bench.measure import measure

RESULTS = tool.ROOT / "build" / "bench"


def main() -> None:
    arguments = _arguments()
    # A trial with some of them is no page to publish.
    folder = RESULTS if arguments.only else tool.ROOT / "docs"
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "results.json"
    if not arguments.page:
        _require_tools()
        results = measure(arguments.rounds, arguments.rate, arguments.only)
        file.write_text(json.dumps(results, indent=1) + "\n")
    page.write(json.loads(file.read_text()), folder)
    print(f"{folder.relative_to(tool.ROOT)}/benchmark.md is written")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=100, help="new connections a second")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def _require_tools() -> None:
    if os.geteuid() != 0:
        sys.exit("the bench starts an engine of its own, which needs root. Next: sudo make bench")
    if not shutil.which("ytops") or "PULUMI_OPTION_POLICY_PACK" not in os.environ:
        sys.exit("ytops and the policy pack are not set up. Next: `make bench`")


if __name__ == "__main__":
    run(main)
