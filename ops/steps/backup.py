"""Backup: a dump of the database, listed back and counted, before anything is changed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ops.agent import Session
from ops.docker import Docker, Say, elapsed
from ops.errors import StepFailed
from ops.steps import _one_shot
from ops.steps._boot import last_lines
from ops.steps._marker import Marker
from ops.steps._one_shot import Attempt, OneShot, Outcome
from ops.steps._volume import NOT_OURS, give
from rollout import dumps
from rollout.names import PART_LABEL, STACK_LABEL
from rollout.steps import STACK, Backup

KEPT = 10  # of these dumps; the scheduled backups have a retention of their own
TIMEOUT_SECONDS = 1800
USER = "postgres"  # the image's own
MEMORY_MB = 512

# The names of these dumps and no others: 20260102T030405Z-1.2.0+ab12cd34ef56.dump
NAMES = "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]Z-*+*.dump"

# Children run in the background, so that a signal to the shell is acted on at once.
SCRIPT = f"""
set -u
umask 0027
cd /backups || exit 1
[ -w . ] || exit {NOT_OURS}
partial=$NAME.partial
child=
give_up() {{ [ -z "$child" ] || kill "$child" 2>/dev/null; rm -f "$partial" "$partial.list"; }}
trap 'give_up; exit 143' INT TERM
stage() {{
    what=$1; shift
    "$@" & child=$!
    wait "$child"; code=$?
    child=
    [ "$code" = 0 ] && return
    echo "$what failed with exit code $code"
    give_up
    exit "$code"
}}
rm -f {NAMES}.partial {NAMES}.partial.list
stage "counting tables" psql -X -qAt -v ON_ERROR_STOP=1 -o /tmp/tables -c "
    SELECT count(*) {dumps.TABLES}"
stage "pg_dump" pg_dump -Fc --no-password --file "$partial"
stage "listing the dump" pg_restore --list --file "$partial.list" "$partial"
tables=$(cat /tmp/tables)
if [ "$tables" = 0 ] && [ -n "$LIVE" ]; then
    echo "database $PGDATABASE has no tables, though $LIVE serves: is it the right one?"
    give_up
    exit 66
fi
entries=$(grep -c ' TABLE DATA ' "$partial.list")
if [ "$entries" -lt "$tables" ]; then
    echo "the dump holds the data of $entries tables, the database has $tables"
    give_up
    exit 65
fi
sum=$(sha256sum "$partial") || {{ give_up; exit 1; }}
before=$(ls -1 {NAMES} 2>/dev/null | sort | tail -n 1)
stage "writing to disk" sync "$partial"
echo "${{sum%% *}}  $NAME" >"$NAME.sha256" || {{ give_up; rm -f "$NAME.sha256"; exit 1; }}
mv "$partial" "$NAME" || {{ give_up; exit 1; }}
rm -f "$partial.list"
# Never this one, which a clock that was set back makes the oldest of all.
ls -1 {NAMES} | grep -vxF "$NAME" | sort -r | tail -n +{KEPT} | while IFS= read -r old; do
    rm -f "$old" "$old.sha256"
done
echo "result name $NAME"
echo "result tables $tables"
echo "result entries $entries"
echo "result bytes $(wc -c <"$NAME")"
echo "result before $([ -z "$before" ] || wc -c <"$before")"
echo "result sha256 ${{sum%% *}}"
"""


@dataclass(frozen=True)
class Dump:
    """What the script reports."""

    name: str
    tables: int
    entries: int
    size: int
    before: int
    sha256: str

    @property
    def note(self) -> str:
        return f"{self.name}, {megabytes(self.size)}, {self.entries} tables"


def run(parameters: Backup, say: Say) -> None:
    docker = Docker()
    marker = Marker(docker, parameters.switch, parameters.colour, "backup", parameters.key, say)
    with (
        Attempt(docker, _container(parameters)) as attempt,
        Session(docker, parameters.switch, say) as session,
    ):
        done = marker.note(session)
        if done is not None and _still_good(session, parameters, done, say):
            say(f"already backed up for {parameters.key} ({done})")
            return
        if done is not None:
            say(f"the dump of an earlier run is too old ({done}): another one")
        begun = time.monotonic()
        made = _taken(attempt, parameters, say)
        _report(made, elapsed(begun), say)
        marker.set(made.note, session)


def _still_good(session: Session, parameters: Backup, note: str, say: Say) -> bool:
    """What was migrated already needs no second dump: it would hold the new schema."""
    if dumps.is_fresh(note, datetime.now(UTC)):
        return True
    colour, key = parameters.colour, parameters.key
    migrated = Marker(session.docker, parameters.switch, colour, "migrate", key, say)
    return migrated.note(session) is not None


def take(
    docker: Docker,
    parameters: Backup,
    say: Say,
    container: str,
    secrets: Mapping[str, str],
    labels: Mapping[str, str],
) -> Dump:
    """A dump into the volume, beside any deploy's: by a container of this name, with these labels.
    `secrets` holds PGPASSWORD."""
    shot = replace(_container(parameters), name=container, labels=labels, values=secrets)
    with Attempt(docker, shot) as attempt:
        return _taken(attempt, parameters, say)


def _taken(attempt: Attempt, parameters: Backup, say: Say) -> Dump:
    docker = attempt.docker
    _require_postgres(docker, parameters)
    outcome, facts = _heard(attempt, say)
    if outcome.code == NOT_OURS:
        give(docker, parameters.image, parameters.volume, USER)
        with Attempt(docker, attempt.shot) as another:
            outcome, facts = _heard(another, say)
    if outcome.code != 0:
        raise _failure(docker, parameters, outcome)
    return Dump(
        name=facts["name"],
        tables=int(facts["tables"]),
        entries=int(facts["entries"]),
        size=int(facts["bytes"]),
        before=int(facts.get("before") or 0),
        sha256=facts["sha256"],
    )


def _require_postgres(docker: Docker, parameters: Backup) -> None:
    found = docker.inspect(parameters.postgres)
    if found and found.running:
        return
    how = f"does not run ({found.status})" if found else "does not exist"
    lines = last_lines(docker, parameters.postgres) if found else ""
    raise StepFailed(
        f"PostgreSQL ({parameters.postgres} on {docker.host}) {how}: nothing can be backed up, so "
        f"nothing is changed.{lines}\nNext: `docker start {parameters.postgres}`, then `ytops up`"
    )


def _container(parameters: Backup) -> OneShot:
    return OneShot(
        name=f"{parameters.postgres}-dump",
        image=parameters.image,
        command=("-c", SCRIPT),
        entrypoint="sh",
        step="backup",
        key=parameters.key,
        networks=(parameters.network,),
        hosts=parameters.hosts,
        variables=("PGPASSWORD",),
        settings={
            "PGHOST": parameters.postgres,
            "PGUSER": parameters.user,
            "PGDATABASE": parameters.database,
            "PGCONNECT_TIMEOUT": "10",
            "NAME": dumps.name(datetime.now(UTC), parameters.key.split("#", 1)[0]),
            "LIVE": parameters.live,
        },
        volumes={parameters.volume: "/backups"},
        labels={STACK_LABEL: os.environ.get(STACK, ""), PART_LABEL: "backup"},
        user=USER,
        memory=MEMORY_MB,
    )


def _heard(attempt: Attempt, say: Say) -> tuple[Outcome, dict[str, str]]:
    """Its results are kept, its other words passed on."""
    facts: dict[str, str] = {}

    def hear(line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "result":
            key, _, value = rest.partition(" ")
            facts[key] = value.strip()
        else:
            say(line)

    return attempt.run(hear, TIMEOUT_SECONDS), facts


def _failure(docker: Docker, parameters: Backup, outcome: Outcome) -> StepFailed:
    where = f"{parameters.database} to {parameters.volume} on {docker.host}"
    full = "No space left on device" in outcome.tail
    hint = "make room on the host's disk (`docker system df`)" if full else "see to the cause"
    after = f"Nothing was changed and no partial dump is left.\nNext: {hint}, then `ytops up`"
    return _one_shot.explain(outcome, "The backup", where, after, TIMEOUT_SECONDS)


def _report(dump: Dump, took: str, say: Say) -> None:
    if dump.tables == 0:
        say("the database has no tables yet")
    say(f"{dump.name}: {megabytes(dump.size)}, data of {dump.entries} tables, in {took}")
    say(f"sha256 {dump.sha256}")
    if dump.before and dump.size * 2 < dump.before:
        say(f"note: the dump before had {megabytes(dump.before)}, more than twice as much")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
