"""What users notice of a backup: the whole product under a constant load through nginx, as the
deploys' benchmark has it, while the scheduler's job dumps its database again and again."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import tool
from bench.backups.containers import SCHEDULER_VOLUMES, fill, start_scheduler, tell
from bench.backups.stand import DEFAULTS
from bench.contenders import FIRST, world
from bench.engine import Load
from bench.figures import WARM_UP_SECONDS, latency
from bench.load import parse
from bench.tool import Task
from ops.backup import packing
from rollout.names import Names
from rollout.settings import load
from tests.e2e.load import Answer
from tests.e2e.world import World, docker
from tests.unit.stack_files import declared, raw

GIGABYTES = 0.5
STEADY_SECONDS = DURING_SECONDS = 20.0
SETTLE_SECONDS = 2.0
SCHEMA = "bench"  # the product's own tables are beside it
JOB = ("python3", "-m", "ops.scheduler", "dump")


@dataclass(frozen=True)
class Noticed:
    """One round; milliseconds. dumps: how many were made meanwhile."""

    steady_p50: float
    steady_p99: float
    during_p50: float
    during_p99: float
    sent: int
    failed: int
    dumps: int

    @property
    def times(self) -> float:
        return self.during_p99 / self.steady_p99


def measure(rounds: int, rate: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ytbench-") as name, _standing(Path(name)) as site:
        found = [_round(site, rate) for _ in range(rounds)]
    for each in found:
        print(f"  p99 {each.steady_p99:.0f} → {each.during_p99:.0f} ms, {asdict(each)}", flush=True)
    return {"gigabytes": GIGABYTES, "rate": rate, "rounds": [asdict(each) for each in found]}


def median_times(rounds: list[Noticed]) -> float:
    return statistics.median(noticed.times for noticed in rounds)


def _round(site: World, rate: int) -> Noticed:
    running = Load([sys.executable, "-m", "bench.load", str(site.port), str(rate)])
    try:
        time.sleep(WARM_UP_SECONDS + STEADY_SECONDS)
        begun, dumps = time.monotonic(), 0
        while time.monotonic() - begun < DURING_SECONDS:
            tool.run(Task(["docker", "exec", Names(site.stack).scheduler, *JOB], tool.ROOT))
            dumps += 1
        ended = time.monotonic()
        time.sleep(SETTLE_SECONDS)
    finally:
        running.end()
    return noticed(parse(running.lines), begun, ended, dumps)


def noticed(answers: list[Answer], begun: float, ended: float, dumps: int) -> Noticed:
    """Of the requests that were sent before these moments, and between them."""
    first = min(answer.at for answer in answers) + WARM_UP_SECONDS
    steady = latency([a for a in answers if first <= a.at < begun])
    meanwhile = [a for a in answers if begun <= a.at < ended]
    during = latency(meanwhile)
    failed = sum(a.failed for a in answers)
    return Noticed(steady.p50, steady.p99, during.p50, during.p99, len(meanwhile), failed, dumps)


@contextmanager
def _standing(folder: Path) -> Iterator[World]:
    """A stack that serves, its database filled, and a scheduler beside it."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    site = world("benchnoticed", 13, folder, host)
    names = Names(site.stack)
    try:
        site.create()
        tool.run(Task(["ytops", "up", FIRST], site.folder, site.environment))
        docker("exec", names.postgres, *_psql(f"CREATE SCHEMA {SCHEMA}"))
        fill(names.postgres, GIGABYTES, SCHEMA)
        _start_scheduler(site, names)
        yield site
    finally:
        docker("rm", "--force", "--volumes", names.scheduler, check=False)
        for volume in SCHEDULER_VOLUMES:
            docker("volume", "rm", "--force", names.volume(volume), check=False)
        site.destroy()


def _start_scheduler(site: World, names: Names) -> None:
    """To the drives alone: the S3 server would take the users' cores."""
    identity, recipient = packing.new_key()
    password = site.run("pulumi", "config", "get", "postgresPassword", check=True).text.strip()
    values = {
        **raw("sandbox"),
        **{key: str(declared()[key]["default"]) for key in DEFAULTS},
        "version": FIRST,
        "postgresPassword": password,
        "backupRecipients": f'["{recipient}"]',
        "backupIdentity": identity,
        "backupKeys": "",
    }
    settings = load(site.stack, values)
    start_scheduler(names, settings, settings.postgres.image, (names.network("data"),))
    tell(names, settings)


def _psql(statement: str) -> list[str]:
    return ["psql", "-X", "-qAt", "-U", "ytempire", "-d", "ytempire", "-c", statement]
