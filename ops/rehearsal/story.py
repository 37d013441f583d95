"""The rehearsal, in order: a copy, the migrations, then both releases on what they left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from ops.errors import OpsError, StepFailed
from ops.migrations import recorded
from ops.rehearsal import words
from ops.rehearsal.asking import ask
from ops.rehearsal.scratch import BACKUPS, DURABLE, Scratch
from ops.rehearsal.watching import log_lines, log_since, watched
from ops.steps import backup
from ops.steps._boot import last_lines
from ops.steps._one_shot import Outcome, indented
from ops.verbs._paper import when
from rollout import dumps, migrations, steps
from rollout.migrations import Column
from rollout.records import Evidence, Rehearsal, Schema, Statement, Status, TableLock
from rollout.shapes import Release

MIGRATION_SECONDS = 1800  # what a deploy gives them
SOURCE = "ytops rehearse"

DEFINITION = 'exec pg_dump --schema-only --no-owner --no-privileges -d "$PGDATABASE"'
RESTORE = (
    '[ "$PGDATABASE" = postgres ] || createdb --maintenance-db postgres "$PGDATABASE" || exit; '
    f'cd {BACKUPS} && sha256sum -c "$0.sha256" >/dev/null && '
    'exec pg_restore --exit-on-error --no-owner --no-privileges -d "$PGDATABASE" "$0"'
)
# Ordinary and partitioned tables; a default, an identity and a generated value fill a column.
COLUMNS = """
SELECT n.nspname || '.' || c.relname, a.attname,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

Stage = Literal["restore", "migrate", "verify"]
Tell = Callable[[str, bool, float, str], None]


@dataclass
class Story:
    """One rehearsal. `tell` hears of each stage: its name, whether it went well, how long it took,
    in words. `failures` are what is wrong, each a paragraph."""

    scratch: Scratch
    release: Release
    previous: Release | None
    fresh: bool
    tell: Tell
    failures: list[str] = field(default_factory=list)
    _seconds: dict[Stage | Literal["total"], float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.monotonic)
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _statements: list[Statement] = field(default_factory=list)
    _locks: list[TableLock] | None = None

    def go(self) -> Rehearsal:
        """Raises OpsError when it could not be carried out: that says nothing of the release."""
        with self._timed("restore"):
            source = self._copy()
            self._catch_up()
        names = self._recorded()
        before, columns = self._schema(names), self._columns()
        outcome = self._migrate(names)
        after, works = None, Evidence()
        with self._timed("verify"):
            if outcome.code == 0:
                after = self._schema(self._recorded())
                works = self._ask(self.release, "as the release that migrated")
            # It would serve on what a failed migration leaves, too.
            back = self._ask_previous(columns, "on the new schema" if after else "on what is left")
        self._seconds["total"] = time.monotonic() - self._begun
        return Rehearsal(
            version=self.release.version,
            digest=self.release.digest,
            release=self.release.identity,
            previous=self.previous.identity if self.previous else "",
            backup=source,
            started=self._started,
            before=before,
            after=after,
            applied=migrations.applied(names, self._recorded()),
            seconds={stage: round(took, 2) for stage, took in self._seconds.items()},
            longest_lock_seconds=self._longest(),
            locks=tuple(self._locks or ()),
            statements=tuple(self._statements),
            release_works=works,
            previous_release_works=back,
            verdict=Status.FAIL if self.failures else Status.PASS,
            detail="; ".join(text.splitlines()[0] for text in self.failures),
        )

    # The copy

    def _copy(self) -> str:
        """The newest dump, or one taken now, in a server of its own; the dump's name."""
        begun, name = time.monotonic(), "" if self.fresh else self._newest()
        volume = self.scratch.names.volume("backups")
        if not name:
            name, volume = self._dump(), self.scratch.dumps
        taken = dumps.taken(name)
        age = f", of {when(taken.isoformat())}" if taken else ""
        self.tell("backup", True, time.monotonic() - begun, f"{name}{age}")
        begun = time.monotonic()
        self.scratch.start_postgres(volume)
        self.scratch.start_redis()
        self.scratch.await_postgres()
        self._require_broker()
        self.scratch.require_room()
        answer = self.scratch.shell(RESTORE, name)
        if answer.code:
            raise StepFailed(
                f"{name} can't be restored: {answer.words}\nNext: that backup is not to be relied "
                "on, see to it; `ytops rehearse --fresh VERSION` takes another"
            )
        self.scratch.sql(self.scratch.second_login, *DURABLE)
        self.tell("restore", True, time.monotonic() - begun, self._version_words())
        return name

    def _newest(self) -> str:
        """As the database's own container sees them; empty when there is none."""
        script = f"cd {BACKUPS} && ls -1 {backup.NAMES} | sort | tail -n 1"
        answer = self.scratch.docker.exec(self.scratch.names.postgres, "sh", "-c", script)
        return answer.out.strip()

    def _dump(self) -> str:
        settings, names = self.scratch.settings.postgres, self.scratch.names
        login = settings.logins.current
        live = self.previous.identity if self.previous else ""
        parameters = steps.Backup(
            switch=names.switch,
            image=self.scratch.image,
            postgres=names.postgres,
            network=names.network("data"),
            volume=self.scratch.dumps,
            database=settings.database,
            user=login.user,
            colour="blue",
            key=f"{live or 'none+none'}#rehearsal",
            live=live,
        )
        secrets = {"PGPASSWORD": login.password}
        docker, labels = self.scratch.docker, self.scratch.labels
        name = self.scratch.name("dump")
        return backup.take(docker, parameters, lambda _: None, name, secrets, labels).name

    def _require_broker(self) -> None:
        found = self.scratch.docker.inspect(self.scratch.name("redis"))
        if found is None or not found.running:
            lines = last_lines(self.scratch.docker, self.scratch.name("redis"))
            raise StepFailed(f"The copy's Redis does not start.{lines}")

    def _catch_up(self) -> None:
        """A dump is taken before a deploy's migrations: where production is further by now, the
        release that is live brings the copy there."""
        here, there = self._recorded_or_none(), self._recorded_live()
        if self.previous is None or (here is not None and here == there):
            return
        begun = time.monotonic()
        outcome = self.scratch.migrate(self.previous, lambda _: None, MIGRATION_SECONDS)
        if outcome.code != 0:
            raise StepFailed(
                f"The copy can't be brought to the schema of {self.previous.identity}, which is "
                f"live: its own migrations fail on it.\n{indented(outcome.tail)}\n"
                "Next: `ytops rehearse --fresh VERSION`"
            )
        now = self._recorded_or_none()
        told = f"to the schema of {self.previous.identity}, which is live"
        if there is not None and set(now or ()) != set(there):
            told += "; its migrations are not those that production has recorded"
        self.tell("catch up", True, time.monotonic() - begun, told)

    # The migrations

    def _migrate(self, before: tuple[str, ...]) -> Outcome:
        begun, seen = time.monotonic(), log_lines(self.scratch)
        with watched(self.scratch), self._timed("migrate"):
            outcome = self.scratch.migrate(self.release, lambda _: None, MIGRATION_SECONDS)
        log = log_since(self.scratch, seen)
        self._statements = migrations.statements(log)
        if outcome.code == 0:
            self._locks = migrations.locks(log)
        came = migrations.applied(before, self._recorded())
        told = f"applied {', '.join(came)}" if came else "nothing to apply"
        if outcome.code != 0:
            told = f"failed{': applied ' + ', '.join(came) if came else ''}"
            found = migrations.troubles(log)
            self.failures.append(words.migration_failed(self.release.version, outcome, found))
        self.tell("migrate", outcome.code == 0, time.monotonic() - begun, told)
        return outcome

    # The releases on the new schema

    def _ask_previous(self, columns: list[Column], how: str) -> Evidence:
        if self.previous is None:
            none = "no release is live: there is none to go back to"
            return Evidence(status=Status.PASS, source=SOURCE, detail=none, at=datetime.now(UTC))
        found = self._ask(self.previous, how)
        missing = migrations.unfillable(columns, self._columns())
        if not missing:
            return found
        text = words.cannot_insert(self.previous.version, missing, self._statements)
        self.failures.append(text)
        detail = "; ".join(filter(None, [found.detail, text.splitlines()[0]]))
        return found.model_copy(update={"status": Status.FAIL, "detail": detail})

    def _ask(self, release: Release, how: str) -> Evidence:
        begun = time.monotonic()
        answers = ask(self.scratch, release)
        wrong = [answer for answer in answers if answer.wrong]
        for answer in wrong:
            self.failures.append(words.broken(release.version, how, answer, self._statements))
        detail = (
            "; ".join(words.in_short(answer, self._statements) for answer in wrong)
            or f"{len(answers)} of {len(answers)} checks pass"
        )
        told = detail if not wrong else ", ".join(f"{a.what}: {a.wrong}" for a in wrong)
        self.tell(release.version, not wrong, time.monotonic() - begun, f"{told} {how}")
        return Evidence(
            status=Status.FAIL if wrong else Status.PASS,
            source=SOURCE,
            detail=detail,
            at=datetime.now(UTC),
        )

    # What the copy is now

    def _schema(self, names: tuple[str, ...]) -> Schema:
        answer = self.scratch.shell(DEFINITION)
        if answer.code:
            raise OpsError(f"The copy's schema can't be read: {answer.words}")
        return migrations.schema(names, answer.out)

    def _columns(self) -> list[Column]:
        rows = (line.split("|") for line in self.scratch.sql(COLUMNS).splitlines())
        return [Column(table, name, required == "t") for table, name, required in rows]

    def _recorded(self) -> tuple[str, ...]:
        return self._recorded_or_none() or ()

    def _recorded_or_none(self) -> tuple[str, ...] | None:
        return self._recorded_in(self.scratch.postgres)

    def _recorded_live(self) -> tuple[str, ...] | None:
        return self._recorded_in(self.scratch.names.postgres)

    def _recorded_in(self, container: str) -> tuple[str, ...] | None:
        settings = self.scratch.settings
        return recorded(
            self.scratch.docker,
            container,
            settings.postgres.user,
            settings.postgres.database,
            settings.backend.migrations_table,
        )

    def _version_words(self) -> str:
        newest = migrations.newest(self._recorded())
        size = int(self.scratch.sql("SELECT pg_database_size(current_database())"))
        told = ", ".join(f"{app}.{name}" for app, name in newest.items()) or "no migration yet"
        return f"{backup.megabytes(size)}, at {told}"

    def _longest(self) -> float | None:
        if self._locks is None:
            return None
        longest = migrations.longest_block(self._locks)
        return longest.seconds if longest else 0.0

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._seconds[stage] = time.monotonic() - begun
