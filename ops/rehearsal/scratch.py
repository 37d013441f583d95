"""The scratch place: containers and volumes of one rehearsal, or of one restore that is tried, and
nothing else of the host.

All of its containers share one network namespace that has no way out: `postgres` and `redis` are
names of its loopback, so that a release's own addresses lead to the copy and can lead nowhere else.
Its passwords are made up for it.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ops.docker import Answer, Docker, Say, by_name
from ops.errors import OpsError, StepFailed
from ops.steps._boot import last_lines
from ops.steps._one_shot import HARDENED, OneShot, Outcome
from ops.steps._one_shot import run as run_one_shot
from ops.steps.backup import megabytes
from ops.verbs._exit import Refused
from ops.verbs._pulumi_lock import PulumiLock
from rollout.migrations import OURS
from rollout.names import PART_LABEL, STACK_LABEL, Names
from rollout.postgres import hba, postgresql_conf
from rollout.release import container_environment
from rollout.settings import REPLICATION_USER, Postgres, Settings
from rollout.shapes import Release

PART = "rehearsal"
OWNER_LABEL = "ytempire.rehearsal"
DATA = "/var/lib/postgresql/data"
BACKUPS = "/backups"
LOG = f"{DATA}/log/rehearsal.json"
CONF = "/tmp/conf"
USER = "999:999"
DATABASE_MB = 1024  # at most; production may have more
REDIS_MB = 64
LONG_SECONDS = 3600  # what may take long: a restore
BOOT_SECONDS = 300
POLL_SECONDS = 0.3
SPARE_BYTES = 1 << 30  # that the host keeps besides the copy

# One core at most, a quarter of what others get of a busy one, and the first to go when the host is
# short of memory. Nobody asks for their health.
MODEST = (
    "--cpus", "1", "--cpu-shares", "256", "--oom-score-adj", "1000",
    "--log-driver", "json-file", "--log-opt", "max-size=10m",
    "--no-healthcheck",
)  # fmt: skip

# The programs and not the image's entrypoint, which starts the server twice and syncs in between.
START_POSTGRES = f"""
set -eu
umask 077
mkdir -p {CONF}
printf '%s' "$SCRATCH_CONF" >{CONF}/postgresql.conf
printf '%s' "$SCRATCH_HBA" >{CONF}/pg_hba.conf
printf '%s' "$SCRATCH_PASSWORD" >{CONF}/password
initdb --pgdata {DATA} --no-sync --no-instructions --encoding UTF8 --auth-local trust \\
    --auth-host scram-sha-256 --username "$SCRATCH_USER" --pwfile {CONF}/password
rm {CONF}/password
unset SCRATCH_CONF SCRATCH_HBA SCRATCH_PASSWORD
exec postgres -c config_file={CONF}/postgresql.conf
"""
START_REDIS = """
umask 077
printf 'bind 127.0.0.1\\ndir /tmp\\nsave ""\\nuser default off\\n' >/tmp/redis.conf
for user in $SCRATCH_USERS; do
    printf 'user %s on >%s ~* &* +@all\\n' "$user" "$SCRATCH_PASSWORD" >>/tmp/redis.conf
done
unset SCRATCH_USERS SCRATCH_PASSWORD
exec redis-server /tmp/redis.conf
"""
# A release may have been started with either login.
SECOND_LOGIN = """
CREATE ROLE "{login}" LOGIN IN ROLE "{owner}" PASSWORD '{password}';
ALTER ROLE "{login}" SET role = "{owner}";
"""

# The copy takes the settings of production but for these. Nothing is archived or replicated, and
# every statement is logged for the report (ops/rehearsal/watching.py).
SETTINGS: dict[str, str] = {
    "listen_addresses": "127.0.0.1",
    "port": "5432",
    "unix_socket_directories": "/var/run/postgresql",
    "ssl": "off",
    "archive_mode": "off",
    "archive_command": "",
    "synchronous_standby_names": "",
    "wal_keep_size": "0",
    "huge_pages": "off",
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "log",
    "log_filename": "rehearsal.log",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "error",
    "log_min_duration_statement": "0",
    "log_parameter_max_length": "0",
    "fsync": "off",  # while the copy is restored; DURABLE follows
    "full_page_writes": "off",
}
# Migrations are timed as production would run them.
DURABLE = (
    "ALTER SYSTEM SET fsync = on",
    "ALTER SYSTEM SET full_page_writes = on",
    "SELECT pg_reload_conf()",
    "ANALYZE",
    "CHECKPOINT",
)


@dataclass
class Scratch:
    """One rehearsal's place on the host. `image` is the live database's."""

    docker: Docker
    names: Names
    settings: Settings
    image: str
    owner: PulumiLock
    passwords: dict[str, str] = field(default_factory=lambda: _made_up(), repr=False)

    @property
    def postgres(self) -> str:
        return self.name("postgres")

    @property
    def dumps(self) -> str:
        """The volume of a dump that was taken for this rehearsal alone."""
        return self.names.volume("rehearsal-dump")

    def name(self, what: str) -> str:
        return self.names.part(PART, what)

    @contextmanager
    def standing(self, say: Say) -> Iterator[Scratch]:
        """Ours from here, and gone afterwards, however it ends."""
        make_room(self.docker, self.names, say)
        try:
            for volume in (self.names.volume(PART), self.dumps):
                self.docker.call("volume", "create", *_labelled(self.labels), volume)
            yield self
        finally:
            with suppress(OpsError):  # what stays is found by its label at the next one
                remove(self.docker, self.names)

    def start_postgres(self, backups: str) -> None:
        """Empty; dumps in the volume `backups` can be read there."""
        memory = min(self.settings.postgres.memory, DATABASE_MB)
        settings = self.settings.postgres
        self._start(
            "postgres",
            self.image,
            ("-c", START_POSTGRES),
            [
                "--entrypoint", "sh", "--network", "none", "--user", USER, "--shm-size", "256m",
                "--add-host", "postgres:127.0.0.1", "--add-host", "redis:127.0.0.1",
                "--tmpfs", "/var/run/postgresql:uid=999,gid=999",
                "--volume", f"{self.names.volume(PART)}:{DATA}",
                "--volume", f"{backups}:{BACKUPS}:ro",
                "--env", f"SCRATCH_USER={settings.user}",
            ],
            memory,
            {
                "SCRATCH_PASSWORD": self.passwords["postgresPassword"],
                "SCRATCH_CONF": conf(self.settings.postgres, memory),
                "SCRATCH_HBA": hba(settings, "127.0.0.1/32", REPLICATION_USER),
            },
        )  # fmt: skip

    def start_bare(self) -> None:
        """The same place without a server: one is made of files (ops/backup/recovery.py)."""
        self._start(
            "postgres",
            self.image,
            ("infinity",),
            [
                "--entrypoint", "sleep", "--init", "--network", "none", "--user", USER,
                "--shm-size", "256m", "--tmpfs", "/var/run/postgresql:uid=999,gid=999",
                "--volume", f"{self.names.volume(PART)}:{DATA}",
            ],
            min(self.settings.postgres.memory, DATABASE_MB),
            {},
        )  # fmt: skip

    def await_postgres(self) -> None:
        # Over TCP: while the cluster is made, only a local socket listens.
        deadline = time.monotonic() + BOOT_SECONDS
        while self.shell("exec pg_isready -q -h 127.0.0.1").code:
            found = self.docker.inspect(self.postgres)
            if time.monotonic() > deadline or found is None or found.stopped:
                lines = last_lines(self.docker, self.postgres)
                raise StepFailed(f"The copy's PostgreSQL does not start.{lines}")
            time.sleep(POLL_SECONDS)

    def require_room(self) -> None:
        """The copy must not fill the disk that production writes to."""
        free = 1024 * int(self.shell(f"df -Pk {DATA} | awk 'END {{ print $4 }}'").out)
        require_room(self.docker.host, self._live_size(), free)

    def _live_size(self) -> int:
        settings = self.settings.postgres
        answer = self.docker.exec(
            self.names.postgres,
            "psql", "-X", "-qAt", "-U", settings.user, "-d", settings.database,
            "-c", "SELECT pg_database_size(current_database())",
        )  # fmt: skip
        return int(answer.out.strip() or 0) if answer.code == 0 else 0

    def start_redis(self) -> None:
        self._start(
            "redis",
            self.settings.redis.image,
            ("-c", START_REDIS),
            ["--entrypoint", "sh", *self._inside(), "--tmpfs", "/data", "--user", USER],
            REDIS_MB,
            {
                "SCRATCH_USERS": " ".join(self.settings.redis.logins.users),
                "SCRATCH_PASSWORD": self.passwords["redisPassword"],
            },
        )

    def start_app(self, release: Release) -> str:
        """A release's app as it is deployed, without its check and its files; its container."""
        self._start(
            "app",
            release.image,
            release.app_command,
            [*self._inside(), "--user", release.user, *_media(release)],
            release.app_limits.memory,
            self.environment(release),
        )
        return self.name("app")

    def migrate(self, release: Release, say: Say, timeout: float) -> Outcome:
        environment = self.environment(release)
        shot = OneShot(
            name=self.name("migrate"),
            image=release.image,
            command=release.migrate_command,
            step=PART,
            key=release.identity,
            networks=(f"container:{self.postgres}",),
            labels=self.labels,
            user=release.user,
            memory=release.app_limits.memory,
            stop_signal="SIGINT",
            options=(*MODEST, *_media(release)),
            values=environment,
        )
        return run_one_shot(self.docker, shot, say, timeout)

    def environment(self, release: Release) -> dict[str, str]:
        """As it was started, or would be; the datastores' passwords are those of the copy."""
        return container_environment(release, {**self.settings.secrets, **self.passwords})

    def shell(self, script: str, *words: str, timeout: float = LONG_SECONDS) -> Answer:
        """In the copy's container; `words` are $0, $1 …"""
        return self.docker.exec(
            self.postgres, "sh", "-c", script, *words, variables=self.client(), timeout=timeout
        )

    def sql(self, *statements: str) -> str:
        """One after the other, as the copy's superuser. Raises OpsError."""
        commands = [word for statement in statements for word in ("-c", statement)]
        answer = self.docker.exec(
            self.postgres, "psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", *commands,
            variables=self.client(), timeout=LONG_SECONDS,
        )  # fmt: skip
        if answer.code:
            raise OpsError(f"The copy of the database does not take a question: {answer.words}")
        return answer.out.strip()

    @property
    def second_login(self) -> str:
        """The statements that make it: the first is the copy's superuser."""
        logins = self.settings.postgres.logins
        password = self.passwords[logins.b.key]
        return SECOND_LOGIN.format(login=logins.b.user, owner=logins.a.user, password=password)

    def client(self) -> dict[str, str]:
        return client(self.settings.postgres)

    def _start(
        self,
        what: str,
        image: str,
        command: Sequence[str],
        options: Sequence[str],
        memory: int,
        values: Mapping[str, str],
    ) -> None:
        limits = ("--memory", f"{memory}m", "--memory-swap", f"{memory}m")
        self.docker.call(
            "create", "--name", self.name(what), *HARDENED, *MODEST, *limits,
            *_labelled(self.labels), *options, *by_name(values),
            image, *command,
            variables=values,
        )  # fmt: skip
        self.docker.start(self.name(what))

    def _inside(self) -> list[str]:
        return ["--network", f"container:{self.postgres}"]

    @property
    def labels(self) -> dict[str, str]:
        return {STACK_LABEL: self.names.stack, PART_LABEL: PART, OWNER_LABEL: self.owner.label}


def make_room(docker: Docker, names: Names, say: Say) -> None:
    """Remove what a killed rehearsal left. Raises Refused while its owner may be at it."""
    left = _left(docker, names)
    if not any(left.values()):
        return
    owner = _owner(docker, left)
    if owner and owner.owner() != "dead":
        commands = [
            f"`{command} {' '.join(names_)}`"
            for command, names_ in (
                ("docker rm --force --volumes", left["container"]),
                ("docker volume rm", left["volume"]),
            )
            if names_
        ]
        raise Refused(
            f"A rehearsal or trial restore of {names.stack} is under way, by {owner}.\nNext: wait "
            f"for it; when it is known to be gone, on {docker.host}: {' and '.join(commands)}, "
            "then this again."
        )
    remove(docker, names)
    whose = f"by {owner} " if owner else ""
    say(f"An earlier rehearsal or trial restore {whose}was cut off: its rest is removed")


def remove(docker: Docker, names: Names) -> None:
    left = _left(docker, names)
    if left["container"]:
        docker.call("rm", "--force", "--volumes", *left["container"])
    if left["volume"]:
        docker.call("volume", "rm", "--force", *left["volume"])


def _left(docker: Docker, names: Names) -> dict[str, list[str]]:
    mine = [
        word
        for label in (f"{STACK_LABEL}={names.stack}", f"{PART_LABEL}={PART}")
        for word in ("--filter", f"label={label}")
    ]
    return {
        "container": docker.call("ps", "--all", "--quiet", *mine).out.split(),
        "volume": docker.call("volume", "ls", "--quiet", *mine).out.split(),
    }


def _owner(docker: Docker, left: Mapping[str, list[str]]) -> PulumiLock | None:
    """Who began it, by the volumes: they are made first and go last."""
    for volume in left["volume"]:
        answer = docker.call("volume", "inspect", volume, "--format", "{{json .Labels}}")
        owner = PulumiLock.of_label((json.loads(answer.out) or {}).get(OWNER_LABEL, ""))
        if owner:
            return owner
    return None


def client(settings: Postgres) -> dict[str, str]:
    """Our own sessions: by the local socket, told from the migration's, not in its log."""
    return {
        "PGHOST": SETTINGS["unix_socket_directories"],
        "PGUSER": settings.user,
        "PGDATABASE": settings.database,
        "PGAPPNAME": OURS,
        "PGOPTIONS": "-c log_min_duration_statement=-1",
    }


def require_room(host: str, size: int, free: int) -> None:
    """For a copy of `size` bytes."""
    if free < 2 * size + SPARE_BYTES:
        raise OpsError(
            f"The disk of {host} has {megabytes(free)} left; a copy of {megabytes(size)} wants "
            "twice that, and 1 GB to spare.\n"
            "Next: make room (`docker system df`), then the same again"
        )


def conf(settings: Postgres, memory: int, **others: str) -> str:
    sized = settings.model_copy(update={"memory": memory})
    own = {**SETTINGS, "shared_buffers": f"{max(memory // 4, 16)}MB", **others}
    # The last word on a setting counts.
    return postgresql_conf(sized, CONF) + "".join(f"{k} = '{v}'\n" for k, v in own.items())


def _media(release: Release) -> list[str]:
    """Files are written to memory: the media volume is production's."""
    uid, gid = release.user.split(":")
    return ["--tmpfs", f"{release.media_path}:size=64m,uid={uid},gid={gid}"]


def _labelled(labels: Mapping[str, str]) -> list[str]:
    return [word for pair in labels.items() for word in ("--label", "=".join(pair))]


def _made_up() -> dict[str, str]:
    """One for both logins of each."""
    postgres, redis = made_up(), made_up()
    return {
        **dict.fromkeys(("postgresPassword", "postgresPasswordB"), postgres),
        **dict.fromkeys(("redisPassword", "redisPasswordB"), redis),
    }


def made_up() -> str:
    return secrets.token_hex(16)
