"""What was measured of one backup, restore or check. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["backup", "restore", "verify", "upload"]


@dataclass(frozen=True)
class Run:
    """One. database_bytes: of the live database on its disk. cpu_seconds: of all containers and of
    the contender's own processes, PostgreSQL's work for it included, the S3 server's not; that is
    store_cpu_seconds. memory_mb: the peak of the contender's resident sets added up, PostgreSQL's
    server not. result_bytes: of what a backup left. stages: as far as the contender tells."""

    kind: Kind
    contender: str
    round: int
    database_bytes: int
    seconds: float
    cpu_seconds: float
    store_cpu_seconds: float
    memory_mb: float
    result_bytes: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """MB of database a second."""
        return self.database_bytes / 1e6 / self.seconds


def read(runs: Iterable[dict[str, Any]]) -> list[Run]:
    return [Run(**run) for run in runs]


def written(runs: Iterable[Run]) -> list[dict[str, Any]]:
    return [asdict(run) for run in runs]


def median(runs: list[Run]) -> Run:
    """Of several of one contender. The largest memory counts, not the median."""

    def of(name: str) -> float:
        return float(statistics.median(getattr(run, name) for run in runs))

    first = runs[0]
    stages = {
        stage: statistics.median(run.stages[stage] for run in runs if stage in run.stages)
        for run in runs
        for stage in run.stages
    }
    return Run(
        first.kind,
        first.contender,
        len(runs),
        first.database_bytes,
        of("seconds"),
        of("cpu_seconds"),
        of("store_cpu_seconds"),
        max(run.memory_mb for run in runs),
        int(of("result_bytes")),
        stages,
    )
