"""Happy parameters of each step; a test breaks them in one place."""

from __future__ import annotations

from msgspec import structs

from rollout import steps
from rollout.shapes import Health, Limits, Pointer, Release, Wanted
from tests.unit.steps.host import LIVE, NAMES, TARGET

KEY = f"{TARGET['identity']}#2"
WORKER = NAMES.worker(TARGET["identity"], 1)
MIGRATION = NAMES.part("migrate", "green")
DIGEST = "sha256:" + "d" * 64

_LIMITS = Limits(memory=256, cpus=1, pids=64)

RELEASE = Release(
    version="1.1.0",
    fingerprint="bbbbbbbbbbbb",
    image=DIGEST,
    tag="ytempire/backend:1.1.0",
    digest=DIGEST,
    environment={},
    port=8000,
    health=Health(path="/health", interval=30, timeout=10, retries=3, start_period=60),
    endpoints=("/health",),
    status_path="/api/v1/status",
    app_command=(),
    worker_command=("celery",),
    beat_command=(),
    migrate_command=("python", "manage.py", "migrate"),
    queues=("celery",),
    worker_replicas=1,
    worker_stop_seconds=900,
    app_limits=_LIMITS,
    worker_limits=_LIMITS,
    beat_limits=_LIMITS,
    user="10001:10001",
    media_path="/media",
)

CLAIM = steps.Claim(
    switch=NAMES.switch, colour="green", release=RELEASE, claim=2, live=Pointer(**LIVE)
)

BACKUP = steps.Backup(
    switch=NAMES.switch,
    image="postgres:15",
    postgres=NAMES.postgres,
    network=NAMES.network("data"),
    volume=NAMES.volume("backups"),
    database="ytempire",
    user="ytempire",
    colour="green",
    key=KEY,
)

MIGRATE = steps.Migrate(
    switch=NAMES.switch,
    container=MIGRATION,
    image=DIGEST,
    networks=(NAMES.network("data"), NAMES.network("app")),
    command=("python", "manage.py", "migrate"),
    variables=("DATABASE_URL", "ENVIRONMENT"),
    user="10001:10001",
    media_volume=NAMES.volume("media"),
    media_path="/media",
    memory=256,
    timeout=5,
    labels={"ytempire.stack": "test"},
    postgres=NAMES.postgres,
    database="ytempire",
    database_user="ytempire",
    migrations_table="django_migrations",
    colour="green",
    key=KEY,
)

HEALTHY = steps.Healthy(container=NAMES.app("green"), timeout=1)

VERIFY = steps.Verify(
    switch=NAMES.switch,
    app=NAMES.app("green"),
    colour="green",
    identity=TARGET["identity"],
    claim=2,
    timeout=10,
    boot_timeout=60,
)

SWITCH = steps.Switch(
    switch=NAMES.switch,
    serial=2,
    source=Pointer(**LIVE),
    target=Pointer(**TARGET),
    claim=2,
    kind="deploy",
    asked=Wanted(version="1.1.0", fingerprint="bbbbbbbbbbbb"),
    watch=steps.Watch(seconds=30, error_rate=0.01, p95_ms=500, min_requests=20),
    services=steps.Services(
        nginx=NAMES.edge,
        app=NAMES.app("green"),
        postgres=NAMES.postgres,
        redis=NAMES.redis,
        celery=(WORKER,),
        database="ytempire",
        user="ytempire",
    ),
    boot_timeout=2,
)

CACHE = steps.Cache(redis=NAMES.redis, user="app", database=1, serial=2)

FILES = steps.Files(
    image="redis:7",
    volume=NAMES.volume("redis-config"),
    user="999:999",
    server=NAMES.redis,
    kind="redis",
    maxmemory="384mb",
)
PG_FILES = structs.replace(FILES, server=NAMES.postgres, kind="postgres")

EDGE_FILES = steps.EdgeFiles(
    switch=NAMES.switch, edge=NAMES.edge, config_hash="abc", self_signed=False
)

ROLES = steps.Roles(
    postgres=NAMES.postgres,
    database="ytempire",
    user="ytempire",
    may_log_in=("ytempire",),
    locked=("ytempire_b",),
    replication_user="replicator",
)
