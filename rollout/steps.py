"""The parameters of each step of a deploy: what a component declares is what the step reads.

A step is one `Command` resource that runs `ytops-step NAME`. Its parameters travel as JSON in the
environment variable `STEP`; secrets travel as variables of their own. `key` names the slot's
occupancy (`IDENTITY#CLAIM`): a step that ran for it once does not run again.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rollout.items import Item
from rollout.names import Colour, Names
from rollout.shapes import Pointer, Release, Wanted

# The variables of every step, besides its parameters: the stack's name, and two secrets, the
# webhook and (of steps that show logs) a JSON list of what may not be shown.
STACK = "STACK"
WEBHOOK = "WEBHOOK"
REDACT = "REDACT"
# Of those that set them: a JSON object of user to password.
LOGINS = "LOGINS"


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one step takes."""

    def json(self) -> str:
        return msgspec.json.encode(self).decode()

    def only(self, *names: str) -> dict[str, Any]:
        """These of its fields, as JSON has them; without names, all."""
        told = msgspec.to_builtins(self)
        return {name: told[name] for name in names or told}


Action = Literal["nothing", "keep", "switch", "deploy", "refuse"]
MOVES_TRAFFIC = ("switch", "deploy")


class GateSlot(Parameters, frozen=True):
    """A slot as the plan declares it; `frozen`: as it was started."""

    colour: Colour
    identity: str
    claim: int
    frozen: bool


class Maintenance(Parameters, frozen=True):
    """The change under which a run may replace what no deploy does, and whose word that is."""

    change: str
    word: str


class Gate(Parameters, frozen=True):
    """Everything that changes production depends on it. `draining` and the keys of `withdrawn` are
    identities, its values the switches that withdrew them. `checklist` is empty where nobody asks
    for it: of a rollback, a repair, a stack that is not held to it."""

    action: str
    reason: str
    target: Pointer | None
    serial: int
    source: Pointer | None = None
    kind: Literal["deploy", "rollback"] = "deploy"
    slots: tuple[GateSlot, ...] = ()
    draining: tuple[str, ...] = ()
    withdrawn: dict[str, int] = msgspec.field(default_factory=dict)
    reinstate: str = ""
    checklist: tuple[Item, ...] = ()
    maintenance: Maintenance | None = None


class Claim(Parameters, frozen=True):
    """Take the idle slot for a release; later steps of an overtaken run are refused."""

    switch: str
    colour: Colour
    release: Release
    claim: int
    live: Pointer | None


class Backup(Parameters, frozen=True):
    """A `pg_dump` of `database` to `volume`, listed back, before anything is changed. `hosts`:
    addresses by name, because Docker's DNS forgets who outlives a restart of the engine. `live`:
    the release that serves; beside one, an empty database is a wrong one.

    Secret: PGPASSWORD."""

    switch: str
    image: str
    postgres: str
    network: str
    volume: str
    database: str
    user: str
    colour: Colour
    key: str
    hosts: dict[str, str] = msgspec.field(default_factory=dict)
    live: str = ""
    stale: str = ""
    """An earlier dump for this key, too old by now. Naming it makes the engine run the step."""


class Image(Parameters, frozen=True):
    """The release's image, on the host, with the digest that the plan was made from."""

    tag: str
    image: str
    digest: str


class Migrate(Parameters, frozen=True):
    """The migrations, in a one-shot container of the new image. Secrets: the app's variables,
    under their own names; `variables` lists which to pass on. What was applied is read off
    `migrations_table` of the database in the container `postgres` (empty: of no interest).
    `hosts`: as of the backup."""

    switch: str
    container: str
    image: str
    networks: tuple[str, ...]
    command: tuple[str, ...]
    variables: tuple[str, ...]
    user: str
    media_volume: str
    media_path: str
    memory: int
    timeout: int
    labels: dict[str, str]
    postgres: str
    database: str
    database_user: str
    migrations_table: str
    colour: Colour
    key: str
    hosts: dict[str, str] = msgspec.field(default_factory=dict)


class Awake(Parameters, frozen=True):
    """Start those of the kept slots' containers that stand still. `app` is the live one, or empty;
    `waits`: until it is healthy, because no traffic moves in this run. `limits`: how many processes
    containers may have that have no limit."""

    app: str
    containers: tuple[str, ...]
    limits: dict[str, int]
    waits: bool
    timeout: int


class Healthy(Parameters, frozen=True):
    """Wait until Docker calls the container healthy; on failure show its last lines, and stop it
    when `stops` says so and no traffic goes there."""

    container: str
    timeout: int
    stops: bool = True


class WorkersAnswer(Parameters, frozen=True):
    """Wait until every worker answers Celery's ping, paused. `beat`: its container runs, too; empty
    where there is none."""

    switch: str
    containers: tuple[str, ...]
    beat: str
    timeout: int


class Verify(Parameters, frozen=True):
    """Ask the idle slot itself: endpoints, version, fingerprint. Then it counts as ready.
    `boot_timeout`: of an app that no longer runs."""

    switch: str
    app: str
    colour: Colour
    identity: str
    claim: int
    timeout: int
    boot_timeout: int


class Watch(Parameters, frozen=True):
    """How long, and by what limits, a switched release is watched before it is confirmed."""

    seconds: int
    error_rate: float
    p95_ms: int
    min_requests: int


class Services(Parameters, frozen=True):
    """The five services of the manual's post-deployment check, by container."""

    nginx: str
    app: str
    postgres: str
    redis: str
    celery: tuple[str, ...]
    database: str
    user: str


def services_of(
    release: Release, colour: Colour, names: Names, database: str, user: str
) -> Services:
    """Those that a release in this slot stands on."""
    return Services(
        nginx=names.edge,
        app=names.app(colour),
        postgres=names.postgres,
        redis=names.redis,
        celery=tuple(names.workers(release.identity, release.worker_replicas)),
        database=database,
        user=user,
    )


class Switch(Parameters, frozen=True):
    """Move web, consumption and beat together; verify; watch; confirm or move all back. `claim`:
    the occupancy of the target's slot."""

    switch: str
    serial: int
    source: Pointer | None
    target: Pointer
    claim: int
    kind: Literal["deploy", "rollback"]
    asked: Wanted
    watch: Watch
    services: Services
    boot_timeout: int


class Cache(Parameters, frozen=True):
    """Flush the cache's logical database, and only that. Secret: REDISCLI_AUTH."""

    redis: str
    user: str
    database: int
    serial: int


class Notify(Parameters, frozen=True):
    """Tell the webhook of switch `serial`, in the words of the host that made it. Secret: WEBHOOK
    (empty: nobody is told)."""

    stack: str
    switch: str
    serial: int


class Files(Parameters, frozen=True):
    """Write files into a volume through a one-shot container of `image`. Secret: FILES, a JSON
    object of name to text. `server` takes them afterwards, when it runs, but for a WAL receiver and
    the scheduler, which read them by themselves; Redis' new `maxmemory` and the users of its
    `users` file are set there by its operator (secrets: REDISCLI_USER, REDISCLI_AUTH). LOGINS, a
    JSON object of user to password: who must be able to log in then."""

    image: str
    volume: str
    user: str
    server: str
    kind: Literal["postgres", "redis", "wal", "scheduler"]
    maxmemory: str = ""
    users: str = ""


class Drives(Parameters, frozen=True):
    """The places on the host that backups are kept in belong to `user`: folders, which have to be
    there, and volumes, which are made."""

    image: str
    user: str
    stack: str
    drives: tuple[str, ...]


class EdgeFiles(Parameters, frozen=True):
    """nginx's configuration and certificate, through the switch. Secret: FILES, as above."""

    switch: str
    edge: str
    config_hash: str
    self_signed: bool


class Roles(Parameters, frozen=True):
    """The database's roles. Everything belongs to `user`, whichever login made it; those that
    `may_log_in` get their passwords, `locked` lose theirs and their sessions. Secrets: LOGINS (a
    JSON object of role to password), REPLICATION_PASSWORD."""

    postgres: str
    database: str
    user: str
    may_log_in: tuple[str, ...]
    locked: tuple[str, ...]
    replication_user: str
