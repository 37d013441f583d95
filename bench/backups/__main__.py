"""`python -m bench.backups [--sizes GB…] [--rounds N] [--only NAME…]`: backups and restores of
databases of these sizes, ours beside others', in turn; with `--latency`, what users notice of a
backup; then docs/benchmark-backups.md from what was measured. What an earlier run measured and this
one doesn't stays on the page. `--page` only writes that anew."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from bench import tool
from bench.backups import latency, page
from bench.backups.measure import measure
from bench.interrupts import run

FILE = tool.ROOT / "build" / "bench" / "backups.json"


def main() -> None:
    arguments = _arguments()
    FILE.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"sizes": {}}
    if not arguments.page:
        if os.geteuid() != 0:
            sys.exit("what containers use is root's to see. Next: sudo make bench-backups")
        for size in arguments.sizes:
            results["sizes"][f"{size:g}"] = measure(size, arguments.rounds, arguments.only)
            _keep(results, arguments.only)
        if arguments.latency:
            results["latency"] = latency.measure(arguments.rounds, arguments.rate)
            _keep(results, arguments.only)
    # A trial with some of them is no page to publish.
    folder = FILE.parent if arguments.only else tool.ROOT / "docs"
    page.write(results, folder)
    print(f"{folder.relative_to(tool.ROOT)}/{page.NAME} is written")


def _keep(results: dict[str, Any], only: list[str]) -> None:
    """As soon as it is there: what comes next may fail."""
    if not only:
        FILE.write_text(json.dumps(results, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.backups", description=__doc__)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.5, 2], metavar="GB")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--rate", type=int, default=100, help="new connections a second")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
