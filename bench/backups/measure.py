"""The run: for each size a database, then in turn everyone's backup, check and restore."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import machine, tool
from bench.backups import figures
from bench.backups.containers import DATABASE
from bench.backups.contenders import PARALLEL, Way, ways
from bench.backups.cost import Watch, groups
from bench.backups.figures import Run
from bench.backups.stand import Stand, standing
from bench.tool import Task
from tests.e2e.world import docker

TIMEOUT_SECONDS = 3600


def measure(size: float, rounds: int, only: list[str]) -> dict[str, Any]:
    """One size, on a stand that is removed afterwards."""
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="ytbench-") as name, standing(Path(name)) as stand:
        bench = Bench(stand, only)
        bench.set_up(size)
        for turn in range(rounds):
            bench.round(turn)
    return {
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.now(UTC) - started).total_seconds() / 60, 1),
        "rounds": rounds,
        "machine": machine.describe(docker("version", "--format", "{{.Server.Version}}")),
        "runs": figures.written(bench.runs),
        "problems": bench.problems,
    }


class Bench:
    """What is measured, as it comes in. Who fails is told about and left out from then on."""

    def __init__(self, stand: Stand, only: list[str]) -> None:
        self._stand = stand
        self._ways = [way for way in ways() if not only or way.name in only]
        self._bytes = 0
        self.runs: list[Run] = []
        self.problems: list[str] = []

    def set_up(self, size: float) -> None:
        print(f"filling a database of {size:g} GB", flush=True)
        self._bytes = self._stand.fill(size)
        print(f"it has {self._bytes / 1e6:.0f} MB", flush=True)
        if any(way.name == "parallel" for way in self._ways):
            dump = ["pg_dump", "-U", DATABASE, "-Fc", "-f", PARALLEL, DATABASE]
            tool.run(Task(["docker", "exec", self._stand.others, *dump], tool.ROOT))

    def round(self, turn: int) -> None:
        for way in list(self._ways):
            try:
                self._measure(way, turn)
            except (tool.Failed, AssertionError) as error:
                told = f"{way.kind} {way.name}: {str(error).strip().splitlines()[-1]}"
                self.problems.append(told)
                print(f"  {told}", flush=True)
                self._ways.remove(way)

    def _measure(self, way: Way, turn: int) -> None:
        stand = self._stand
        way.before(stand)
        stand.sql("CHECKPOINT")
        os.sync()
        with Watch(groups(stand.containers), stand.moto.process) as used:
            ran = tool.run(way.task(stand), TIMEOUT_SECONDS)
        on_host = way.on_host
        run = Run(
            kind=way.kind,
            contender=way.name,
            round=turn,
            database_bytes=self._bytes,
            seconds=ran.seconds,
            cpu_seconds=used.cpu_seconds + on_host * ran.cpu_seconds,
            store_cpu_seconds=used.store_cpu_seconds,
            memory_mb=used.peak / 1e6 + on_host * ran.memory_mb,
            result_bytes=way.result_bytes(stand),
            stages=way.stages(ran.text),
        )
        way.after(stand)
        self.runs.append(run)
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in run.stages.items())
        print(
            f"  {turn + 1} {way.kind} {way.name}: {run.seconds:.1f} s, {run.rate:.0f} MB/s, "
            f"{run.result_bytes / 1e6:.0f} MB, {run.cpu_seconds:.1f} CPU s (S3 "
            f"{run.store_cpu_seconds:.1f}), {run.memory_mb:.0f} MB of memory; {told}",
            flush=True,
        )
