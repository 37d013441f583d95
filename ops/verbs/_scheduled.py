"""What the scheduler says of the backups, read out of its container: no place is asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ops.docker import Docker
from ops.errors import OpsError
from ops.verbs._paper import moment, span, when
from rollout.names import Names
from rollout.schedule import LATE
from rollout.scheduler import REPORT, SILENT


@dataclass(frozen=True)
class Scheduled:
    """`at`: its last beat. verified, proved: when the newest dump was taken that is so. late:
    seconds for which a kind has been missing. failed: the tasks whose last run failed, and why."""

    at: datetime
    verified: str = ""
    proved: str = ""
    late: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    wrong: str = ""

    def problems(self, now: datetime) -> Iterator[str]:
        if now - self.at > SILENT:
            yield f"the scheduler has been silent for {span((now - self.at).total_seconds())}"
        if self.wrong:
            yield f"the scheduler can't work: {self.wrong}"
        for kind, seconds in self.late.items():
            if seconds >= LATE.total_seconds():
                yield f"a backup ({kind}) has been due for {span(seconds)}"
        yield from (f"backup task {task} failed: {why}" for task, why in self.failed.items())

    def words(self, now: datetime) -> str:
        if not self.verified:
            return "no verified dump. Next: `ytops logs scheduler`"
        proved = f"restored {when(self.proved, now)}" if self.proved else "none restored yet"
        return f"newest dump {when(self.verified, now)}; {proved}"


def scheduled(docker: Docker, names: Names) -> Scheduled | None:
    """None where no scheduler runs, and before its first round."""
    answer = docker.exec(names.scheduler, "cat", REPORT)
    if answer.code:
        return None
    try:
        return _read(json.loads(answer.out))
    except (ValueError, KeyError, AttributeError) as error:
        raise OpsError(f"the scheduler's report can't be read: {error!r}") from None


def _read(values: dict[str, object]) -> Scheduled:
    kinds, last = values["kinds"], values["last"]
    at = moment(str(values["at"]))
    if at is None or not (isinstance(kinds, dict) and isinstance(last, dict)):
        raise ValueError("it has another form")
    dump, late = kinds.get("dump") or {}, values["late"]
    return Scheduled(
        at=at,
        verified=dump.get("verified") or "",
        proved=dump.get("proved") or "",
        late=late if isinstance(late, dict) else {},
        failed={task: one["words"] for task, one in last.items() if not one["ok"]},
        wrong=str(values["wrong"]),
    )
