"""The run: everyone set up, then in turn a deploy and a rollback under load, then growth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import figures, growth, load, machine, tool
from bench.contenders import FIRST, Contender, Ytops, contenders, world
from bench.engine import Engine, engine
from bench.figures import Change, Kind, Run
from bench.tool import Task

VERSIONS = ("1.1.0", "1.2.0")
GROWTH = "growth"  # a name for `--only`, beside the contenders'


def measure(rounds: int, rate: int, only: list[str]) -> dict[str, Any]:
    """Everything, on an engine that is removed afterwards."""
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="ytbench-") as name, engine(Path(name)) as host:
        bench = Bench(host, Path(name), rate, only)
        described = machine.describe(host.docker("version", "--format", "{{.Server.Version}}"))
        bench.set_up()
        for turn in range(rounds):
            bench.round(turn)
        if not only or GROWTH in only:
            bench.growth()
    return {
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.now(UTC) - started).total_seconds() / 60, 1),
        "rounds": rounds,
        "rate": rate,
        "machine": described,
        "changes": [asdict(change) for change in bench.changes],
        "runs": [asdict(run) for run in bench.runs],
        "problems": bench.problems,
    }


class Bench:
    """What is measured, as it comes in. Who fails is told about and left out from then on: the
    others' figures are worth having."""

    def __init__(self, host: Engine, folder: Path, rate: int, only: list[str]) -> None:
        self._host, self._folder, self._rate = host, folder, rate
        self._present: list[Contender] = [
            each for each in contenders(folder, host.docker_host) if not only or each.name in only
        ]
        self.changes: list[Change] = []
        self.runs: list[Run] = []
        self.problems: list[str] = []

    def set_up(self) -> None:
        for contender in list(self._present):
            print(f"setting up {contender.name}", flush=True)
            with self._leaving_out(contender):
                for task in contender.set_up():
                    _set_up(task, converges=isinstance(contender, Ytops))

    def round(self, turn: int) -> None:
        # Each round begins with another one: what a round's place does falls on all.
        first = turn % max(len(self._present), 1)
        for contender in self._present[first:] + self._present[:first]:
            if contender.name == "watched" and turn:
                continue  # once is enough for a constant
            with self._leaving_out(contender), self._host.alone(contender.label):
                self._change(contender, turn)
                if isinstance(contender, Ytops) and contender.name == "ytops":
                    self._keep(_product_runs(contender))

    def growth(self) -> None:
        for contender in self._present:
            if isinstance(contender, Ytops) and contender.name == "ytops":
                with self._telling("releases"), self._host.alone(contender.label):
                    self._keep(growth.with_releases(contender.world))
        many = world("benchmany", 12, self._folder, self._host.docker_host)
        with self._telling("containers"), self._host.alone(f"ytempire.stack={many.stack}"):
            self._keep(growth.with_containers(many))

    def _change(self, contender: Contender, turn: int) -> None:
        """There and back again."""
        version = VERSIONS[turn % len(VERSIONS)]
        self._measure(contender, "deploy", turn, contender.deploy(version), version)
        self._measure(contender, "rollback", turn, contender.rollback(), FIRST)

    def _measure(
        self, contender: Contender, kind: Kind, turn: int, task: Task, version: str
    ) -> None:
        with self._host.load(contender.port, self._rate) as running:
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
        self.changes.append(change)
        print(
            f"  {turn + 1} {contender.name} {kind}: switched {change.switched:.1f} s, "
            f"ended {change.seconds:.1f} s, {change.failed} of {change.sent} failed, "
            f"{change.flips} flips, p99 {change.steady.p99:.0f} → {change.during.p99:.0f} ms, "
            f"{change.cpu_seconds:.1f} CPU s, {change.memory_mb:.0f} MB",
            flush=True,
        )

    def _keep(self, runs: Iterable[Run]) -> None:
        """One by one: a later one may fail."""
        for run in runs:
            self.runs.append(run)

    @contextmanager
    def _leaving_out(self, contender: Contender) -> Iterator[None]:
        before = len(self.problems)
        with self._telling(contender.name):
            yield
        if len(self.problems) > before:
            self._present.remove(contender)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except (tool.Failed, figures.Unswitched, AssertionError) as error:
            self.problems.append(f"{what}: {error}")
            print(f"  {what}: {error}", flush=True)


def _set_up(task: Task, converges: bool) -> None:
    """Not measured. A busy machine may be too slow for a first start: ours is told once more."""
    try:
        tool.run(task)
    except tool.Failed:
        if not converges:
            raise
        tool.run(task)


def _product_runs(ours: Ytops) -> Iterator[Run]:
    for what, command in (
        ("preview", growth.PREVIEW),
        ("nothing to do", growth.NOTHING),
        ("ytops preview", ("ytops", "preview")),
        ("ytops up, nothing to do", ("ytops", "up")),
    ):
        yield growth.measured(what, 0, ours.task(*command))
