"""`python -m bench [--rounds N] [--only NAME…]`: all contenders on one machine, one engine, under
one load, in turn; then docs/benchmark.md from what was measured. `--page` only writes that anew."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import figures, growth, load, machine, page, tool
from bench.contenders import FIRST, Contender, Ytops, contenders, world
from bench.engine import Engine, engine
from bench.figures import Change, Kind, Run
from bench.tool import Task

RESULTS = tool.ROOT / "build" / "bench"
VERSIONS = ("1.1.0", "1.2.0")
GROWTH = "growth"


def main() -> None:
    arguments = _arguments()
    if not arguments.page:
        _require_tools()
        results = measure(arguments.rounds, arguments.only)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    # A trial with some of them is no page to publish.
    folder = RESULTS if arguments.only else tool.ROOT / "docs"
    page.write(json.loads((RESULTS / "results.json").read_text()), folder)
    print(f"{folder.relative_to(tool.ROOT)}/benchmark.md is written")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--page", action="store_true")
    return parser.parse_args()


def _require_tools() -> None:
    if os.geteuid() != 0:
        sys.exit("the bench starts an engine of its own, which needs root. Next: sudo make bench")
    if not shutil.which("ytops") or "PULUMI_OPTION_POLICY_PACK" not in os.environ:
        sys.exit("ytops and the policy pack are not set up. Next: `make bench`")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)


def _interrupted(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # what follows is the cleaning up
    raise KeyboardInterrupt


def measure(rounds: int, only: list[str]) -> dict[str, Any]:
    """Everything, on an engine that is removed afterwards."""
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="ytbench-") as name, engine(Path(name)) as host:
        folder = Path(name)
        chosen = [
            each for each in contenders(folder, host.docker_host) if not only or each.name in only
        ]
        described = machine.describe(host.docker("version", "--format", "{{.Server.Version}}"))
        changes, runs = _rounds(host, chosen, rounds)
        if not only or GROWTH in only:
            runs += _growth(host, chosen, folder)
    return {
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.now(UTC) - started).total_seconds() / 60, 1),
        "rounds": rounds,
        "rate": load.RATE,
        "machine": described,
        "changes": [asdict(change) for change in changes],
        "runs": [asdict(run) for run in runs],
    }


def _rounds(host: Engine, chosen: list[Contender], rounds: int) -> tuple[list[Change], list[Run]]:
    changes: list[Change] = []
    runs: list[Run] = []
    for contender in chosen:
        print(f"setting up {contender.name}", flush=True)
        for task in contender.set_up():
            _set_up(task, converges=isinstance(contender, Ytops))
    for turn in range(rounds):
        # Each round begins with another one: what a round's place does falls on all.
        for contender in chosen[turn % len(chosen) :] + chosen[: turn % len(chosen)]:
            if contender.name == "watched" and turn:
                continue  # once is enough for a constant
            with host.alone(contender.label):
                changes += _change(host, contender, turn)
                if isinstance(contender, Ytops) and contender.name == "ytops":
                    runs += _product_runs(contender)
    return changes, runs


def _set_up(task: Task, converges: bool) -> None:
    """Not measured. A busy machine may be too slow for a first start: ours is told once more."""
    try:
        tool.run(task)
    except tool.Failed:
        if not converges:
            raise
        tool.run(task)


def _change(host: Engine, contender: Contender, turn: int) -> Iterator[Change]:
    """There and back again."""
    version = VERSIONS[turn % len(VERSIONS)]
    yield _measured(host, contender, "deploy", turn, contender.deploy(version), version)
    yield _measured(host, contender, "rollback", turn, contender.rollback(), FIRST)


def _measured(
    host: Engine, contender: Contender, kind: Kind, turn: int, task: Task, version: str
) -> Change:
    with host.load(contender.port) as running:
        ran = tool.run(task)
    seen = figures.seen(load.parse(running.lines), ran.begun, ran.ended, version)
    change = Change(
        contender=contender.name,
        kind=kind,
        round=turn,
        seconds=ran.seconds,
        cpu_seconds=ran.cpu_seconds,
        memory_mb=ran.memory_mb,
        **vars(seen),
    )
    print(
        f"  {turn + 1} {contender.name} {kind}: switched {change.switched:.1f} s, "
        f"ended {change.seconds:.1f} s, {change.failed} of {change.sent} failed, "
        f"{change.flips} flips, p99 {change.steady.p99:.0f} → {change.during.p99:.0f} ms, "
        f"{change.cpu_seconds:.1f} CPU s, {change.memory_mb:.0f} MB",
        flush=True,
    )
    return change


def _product_runs(ours: Ytops) -> Iterator[Run]:
    for what, command in (
        ("preview", growth.PREVIEW),
        ("nothing to do", growth.UP),
        ("ytops preview", ("ytops", "preview")),
        ("ytops up, nothing to do", ("ytops", "up")),
    ):
        yield growth.measured(what, 0, ours.task(*command))


def _growth(host: Engine, chosen: list[Contender], folder: Path) -> list[Run]:
    runs: list[Run] = []
    for ours in chosen:
        if isinstance(ours, Ytops) and ours.name == "ytops":
            with host.alone(ours.label):
                runs += growth.with_releases(ours.world)
    synthetic = world("benchmany", 12, folder, host.docker_host)
    with host.alone(f"ytempire.stack={synthetic.stack}"):
        runs += growth.with_containers(synthetic)
    return runs


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (tool.Failed, figures.Unswitched) as error:
        sys.exit(str(error))
