"""The configuration, read once into typed, frozen values, with all its mistakes at once.

`Pulumi.yaml` declares each key with its default; here stands what a value must be. Nothing else
reads configuration.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from rollout import mistakes
from rollout.fingerprint import referenced
from rollout.logins import Login, Logins, Turn, second
from rollout.names import MAX_STACK_LENGTH
from rollout.shapes import Health, Limits
from rollout.window import Window

REDIS_USER = "app"
REPLICATION_USER = "replicator"


class SettingsError(Exception):
    """The configuration is wrong. One line a mistake: `key: what was expected, what was got`."""

    def __init__(self, stack: str, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(
            f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)} in the configuration of {stack}:\n"
            f"{lines}\n"
            f"Pulumi.yaml describes each key; correct Pulumi.{stack}.yaml, or "
            "`pulumi config set KEY VALUE`."
        )


def _docker_host(value: str) -> str:
    if not re.fullmatch(r"unix:///\S+|ssh://[^\s/@]+@[^\s/@]+", value):
        raise ValueError("unix:///path or ssh://user@host[:port]")
    return value


def _pinned(value: str) -> str:
    tag = re.search(r":([\w][\w.-]*)$", value)
    if re.search(r"@sha256:[0-9a-f]{64}$", value) or (tag and tag[1] != "latest"):
        return value
    raise ValueError("an image with an exact tag (not latest) or a digest")


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError("a network such as 172.30.0.0/24") from error
    if network.num_addresses < 128 or network.version != 4:
        raise ValueError("an IPv4 network of /25 or larger")
    return value


def _version(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}(\+[0-9a-f]{12})?", value):
        raise ValueError(
            "a version as in an image tag, such as 1.2.0, or a recorded release, such as "
            "1.2.0+5afe96dbfacc"
        )
    if value == "latest":
        raise ValueError("an exact version (latest is none)")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[^\s]*", value):
        raise ValueError("a path that begins with /")
    return value


def _window(value: str) -> str:
    Window.parse(value)
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("a time zone such as America/Los_Angeles") from error
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
        raise ValueError("a host name such as app.example.com")
    return value


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise ValueError("an address such as 0.0.0.0") from error
    return value


def _proxy(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError("a network such as 10.0.0.0/8") from error
    return value


def _word(value: str) -> str:
    if not re.fullmatch(r"\S*", value):
        raise ValueError("a value without blanks")
    return value


def _of_turn(value: str, info: ValidationInfo) -> str:
    """The password of the login in use; the other's may be missing."""
    turn = info.data.get("turn")
    if not value and str(info.field_name).endswith(f"_{turn}"):
        raise ValueError(f"a value, because login {turn} is in use (it is empty)")
    return value


def _filled(value: str) -> str:
    if not value:
        raise ValueError("a value (it is empty)")
    return value


def _bucket(value: str) -> str:
    """S3's rule, without dots: TLS to a bucket's own host name fails with them."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", value):
        raise ValueError("a bucket's name: 3 to 63 of a-z, 0-9 and -")
    return value


def _backup_bucket(value: str) -> str:
    if len(_bucket(value)) > 55:
        raise ValueError("at most 55 characters, because its users are named BUCKET-IDENTITY")
    return value


def _log_bucket(value: str) -> str:
    return value and _bucket(value)


def _endpoint(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/]+", value):
        raise ValueError("an address such as http://127.0.0.1:5000, or nothing for AWS itself")
    return value


def _kms_key(value: str) -> str:
    """By ARN: the bucket policy compares it with what each upload names."""
    if value and not re.fullmatch(r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", value):
        raise ValueError("a key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID, or nothing for S3's own")
    return value


def _url(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise ValueError("an address such as https://example.com/path")
    return value


def _host_path(value: str) -> str:
    if not re.fullmatch(r"/[^\s,:]*", value):
        raise ValueError("a path on the host, such as /mnt/backup")
    return value


def _drive(value: str) -> str:
    if not re.fullmatch(r"/[^\s,:]*|[a-z0-9]+", value):
        raise ValueError("a folder of the host, such as /mnt/backup1, or a volume's name, drive1")
    return value


def _recipient(value: str) -> str:
    if not re.fullmatch(r"age1[a-z0-9]{58}", value):
        raise ValueError("an age recipient, age1… (`ytops backup key` makes one)")
    return value


def _identity(value: str) -> str:
    if not all(re.fullmatch(r"AGE-SECRET-KEY-1[A-Z0-9]{58}", one) for one in value.split()):
        raise ValueError("age identities, AGE-SECRET-KEY-1… (`ytops backup key` makes one)")
    return value


class AccessKey(BaseModel):
    """Of AWS, as the store's output `keys` has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    secret: str = Field(min_length=1, repr=False)


_KEYS = TypeAdapter(dict[str, AccessKey])


def _access_keys(value: str) -> str:
    if not value:
        return value
    try:
        _KEYS.validate_json(value)
    except ValidationError:
        raise ValueError(
            "the store's output `keys`, as `pulumi stack output keys --show-secrets` prints it"
        ) from None
    return value


def _pinned_or_none(value: str) -> str:
    return _pinned(value) if value else value


def _path_or_none(value: str) -> str:
    return _path(value) if value else value


Url = Annotated[str, AfterValidator(_url)]
Image = Annotated[str, AfterValidator(_pinned)]
Subnet = Annotated[str, AfterValidator(_network)]
Path = Annotated[str, AfterValidator(_path)]
Filled = Annotated[str, AfterValidator(_filled)]
Word = Annotated[str, AfterValidator(_word)]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Cores = Annotated[float, Field(gt=0)]
Megabytes = Annotated[int, Field(ge=16)]
Percent = Annotated[float, Field(ge=0, le=100)]
User = Annotated[str, Field(pattern=r"^\d+:\d+$")]


class Group(BaseModel):
    """Some of the keys. Each field's alias is its key in the stack file."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Backend(Group):
    """What the system assumes of the application (manual 7.1)."""

    image: Filled = Field(alias="backendImage")
    port: Port = Field(alias="backendPort")
    endpoints: tuple[Path, ...] = Field(alias="backendEndpoints", min_length=1)
    health_path: Path = Field(alias="backendHealthPath")
    status_path: Path = Field(alias="backendStatusPath")
    slow_path: Annotated[str, AfterValidator(_path_or_none)] = Field(alias="backendSlowPath")
    app_command: tuple[str, ...] = Field(alias="backendAppCommand")
    migrate_command: tuple[str, ...] = Field(alias="backendMigrateCommand", min_length=1)
    migrations_table: str = Field(alias="backendMigrationsTable", pattern=r"^([A-Za-z_]\w*)?$")
    rehearsal_command: tuple[str, ...] = Field(alias="backendRehearsalCommand")
    worker_command: tuple[str, ...] = Field(alias="backendWorkerCommand", min_length=1)
    beat_command: tuple[str, ...] = Field(alias="backendBeatCommand")
    queues: tuple[Filled, ...] = Field(alias="backendQueues", min_length=1)
    user: User = Field(alias="backendUser")
    media_path: Path = Field(alias="backendMediaPath")
    environment: dict[str, str] = Field(alias="backendEnvironment")
    secrets: dict[str, str] = Field(alias="backendSecrets", repr=False)
    health_interval: Count = Field(alias="healthInterval")
    health_timeout: Count = Field(alias="healthTimeout")
    health_retries: Count = Field(alias="healthRetries")
    health_start_period: Natural = Field(alias="healthStartPeriod")
    boot_timeout: Count = Field(alias="bootTimeout")
    worker_replicas: Count = Field(alias="workerReplicas")
    worker_stop_seconds: Count = Field(alias="workerStopSeconds")
    app_memory: Megabytes = Field(alias="appMemory")
    app_cpus: Cores = Field(alias="appCpus")
    app_pids: Count = Field(alias="appPids")
    worker_memory: Megabytes = Field(alias="workerMemory")
    worker_cpus: Cores = Field(alias="workerCpus")
    worker_pids: Count = Field(alias="workerPids")

    @property
    def health(self) -> Health:
        return Health(
            path=self.health_path,
            interval=self.health_interval,
            timeout=self.health_timeout,
            retries=self.health_retries,
            start_period=self.health_start_period,
        )

    @property
    def app_limits(self) -> Limits:
        return Limits(memory=self.app_memory, cpus=self.app_cpus, pids=self.app_pids)

    @property
    def worker_limits(self) -> Limits:
        return Limits(memory=self.worker_memory, cpus=self.worker_cpus, pids=self.worker_pids)


class Postgres(Group):
    """PostgreSQL 15."""

    image: Image = Field(alias="postgresImage")
    database: Filled = Field(alias="postgresDatabase")
    user: Filled = Field(alias="postgresUser")
    turn: Turn = Field(alias="postgresLogin")
    password_a: str = Field(alias="postgresPassword", repr=False)
    password_b: str = Field(alias="postgresPasswordB", repr=False)
    replication_password: Filled = Field(alias="postgresReplicationPassword", repr=False)
    settings: dict[str, str] = Field(alias="postgresSettings")
    memory: Megabytes = Field(alias="postgresMemory")

    _passwords = field_validator("password_a", "password_b")(_of_turn)

    @property
    def logins(self) -> Logins:
        a = Login("postgresPassword", self.user, self.password_a)
        b = Login("postgresPasswordB", second(self.user), self.password_b)
        return Logins(self.turn, a, b)


class Redis(Group):
    """Redis 7: broker and cache, in two logical databases."""

    image: Image = Field(alias="redisImage")
    turn: Turn = Field(alias="redisLogin")
    password_a: Word = Field(alias="redisPassword", repr=False)
    password_b: Word = Field(alias="redisPasswordB", repr=False)
    memory: Megabytes = Field(alias="redisMemory")

    _passwords = field_validator("password_a", "password_b")(_of_turn)

    @property
    def logins(self) -> Logins:
        a = Login("redisPassword", REDIS_USER, self.password_a)
        b = Login("redisPasswordB", second(REDIS_USER), self.password_b)
        return Logins(self.turn, a, b)


class Edge(Group):
    """nginx and the switch beside it."""

    image: Image = Field(alias="edgeImage")
    ops_image: Image = Field(alias="opsImage")
    domain: Annotated[str, AfterValidator(_domain)] = Field(alias="edgeDomain")
    bind_address: Annotated[str, AfterValidator(_address)] = Field(alias="edgeBindAddress")
    http_port: Port = Field(alias="edgeHttpPort")
    https_port: Port = Field(alias="edgeHttpsPort")
    tls: Literal["provided", "self-signed", "off"] = Field(alias="edgeTls")
    certificate: str = Field(alias="edgeCertificate")
    certificate_key: str = Field(alias="edgeCertificateKey", repr=False)
    hsts_seconds: Natural = Field(alias="edgeHstsSeconds")
    max_body_mb: Count = Field(alias="edgeMaxBodyMb")
    request_timeout: Count = Field(alias="edgeRequestTimeout")
    drain_seconds: Count = Field(alias="edgeDrainSeconds")
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = Field(
        alias="edgeTrustedProxies"
    )
    memory: Megabytes = Field(alias="edgeMemory")


class Networks(Group):
    """The subnets of the three networks, and whether anything but nginx's has a way out."""

    edge: Subnet = Field(alias="networkEdgeSubnet")
    app: Subnet = Field(alias="networkAppSubnet")
    data: Subnet = Field(alias="networkDataSubnet")
    isolated: bool = Field(alias="networkIsolated")


class Watching(Group):
    """Limits of the switch's watch (manual 7.2)."""

    seconds: Natural = Field(alias="watchSeconds")
    error_percent: Percent = Field(alias="watchErrorPercent")
    p95_ms: Count = Field(alias="watchP95Ms")
    min_requests: Count = Field(alias="watchMinRequests")


class Operations(Group):
    """When deploys go, and who hears of what."""

    notify_webhook: str = Field(alias="notifyWebhook", repr=False)
    window: Annotated[str, AfterValidator(_window)] = Field(alias="deployWindow")
    timezone: Annotated[str, AfterValidator(_zone)] = Field(alias="deployTimezone")
    max_per_day: Count = Field(alias="deployMaxPerDay")
    slack_channel: str = Field(alias="alertSlackChannel")
    email: str = Field(alias="alertEmail")
    pagerduty_key: str = Field(alias="alertPagerDutyKey", repr=False)
    rotated: dict[str, str] = Field(alias="secretsRotated")


class Backups(Group):
    """Where backups are kept away from the host (manuals 7.3 and 5.3)."""

    region: Filled = Field(alias="backupRegion")
    bucket: Annotated[str, AfterValidator(_backup_bucket)] = Field(alias="backupBucket")
    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(alias="backupEndpoint")
    kms_key: Annotated[str, AfterValidator(_kms_key)] = Field(alias="backupKmsKey")
    object_lock: bool = Field(alias="backupObjectLock")
    log_bucket: Annotated[str, AfterValidator(_log_bucket)] = Field(alias="backupLogBucket")
    prune_percent: Percent = Field(alias="backupPrunePercent")
    drives: tuple[Annotated[str, AfterValidator(_drive)], ...] = Field(alias="backupDrives")
    recipients: tuple[Annotated[str, AfterValidator(_recipient)], ...] = Field(
        alias="backupRecipients"
    )
    identity: Annotated[str, AfterValidator(_identity)] = Field(alias="backupIdentity", repr=False)
    access_keys: Annotated[str, AfterValidator(_access_keys)] = Field(
        alias="backupKeys", repr=False
    )
    on_deploy: bool = Field(alias="backupOnDeploy")

    @property
    def keys(self) -> dict[str, AccessKey]:
        """Of the bucket's identities, by name; empty where none are configured."""
        return _KEYS.validate_json(self.access_keys) if self.access_keys else {}


class Scheduling(Group):
    """The scheduler: whether there is one, and whom it tells."""

    on: bool = Field(alias="backupSchedule")
    image: Annotated[str, AfterValidator(_pinned_or_none)] = Field(alias="schedulerImage")
    memory: Megabytes = Field(alias="schedulerMemory")
    cpus: Cores = Field(alias="schedulerCpus")
    notify_success: bool = Field(alias="backupNotifySuccess")
    heartbeat_url: Url = Field(alias="backupHeartbeatUrl", repr=False)


class Checklist(Group):
    """Limits of the pre-deployment checklist (manual 7.1), and where its evidence is looked for.

    Production may be stricter than the manual and never laxer: `AT_LEAST`, `AT_MOST`.
    """

    required: bool = Field(alias="checklistRequired")
    test_percent: Percent = Field(alias="checklistTestPercent")
    cpu_percent: Percent = Field(alias="checklistCpuPercent")
    memory_percent: Percent = Field(alias="checklistMemoryPercent")
    disk_free_percent: Percent = Field(alias="checklistDiskFreePercent")
    sample_seconds: Annotated[float, Field(gt=0, le=60)] = Field(alias="checklistSampleSeconds")
    backup_hours: Annotated[float, Field(gt=0)] = Field(alias="checklistBackupHours")
    clock_seconds: Annotated[float, Field(ge=2)] = Field(alias="checklistClockSeconds")
    lead_hours: Annotated[float, Field(ge=0)] = Field(alias="changeLeadHours")
    mounts: tuple[Annotated[str, AfterValidator(_host_path)], ...] = Field(alias="checklistMounts")
    endpoints: dict[str, Url] = Field(alias="checklistEndpoints")
    backups: str = Field(alias="checklistBackups")
    source: str = Field(alias="releaseSource")
    forge_url: Url = Field(alias="forgeUrl")
    forge_repository: str = Field(alias="forgeRepository")
    forge_label: Filled = Field(alias="forgeCriticalLabel")
    forge_token: str = Field(alias="forgeToken", repr=False)


class Deployment(Group):
    """What shall serve, and where."""

    version: Annotated[str, AfterValidator(_version)]
    reinstate: str
    maintenance: str
    environment: Filled
    protect: bool
    docker_host: Annotated[str, AfterValidator(_docker_host)] = Field(alias="dockerHost")
    fingerprint_key: Filled = Field(alias="fingerprintKey", repr=False)

    @property
    def bare_version(self) -> str:
        return self.version.partition("+")[0]

    @property
    def pinned(self) -> str:
        """The recorded release that `version` names by its identity; empty for a bare version."""
        return self.version if "+" in self.version else ""


class Settings(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True)

    stack: str
    deployment: Deployment
    backend: Backend
    postgres: Postgres
    redis: Redis
    edge: Edge
    networks: Networks
    watch: Watching
    operations: Operations
    backups: Backups
    scheduler: Scheduling
    checklist: Checklist

    @property
    def is_production(self) -> bool:
        """Whether the manuals bind it."""
        return self.deployment.environment == PRODUCTION

    @property
    def receives_log(self) -> bool:
        """Whether its log is kept: where nobody may ship it, it would fill its volume."""
        return bool(self.backups.recipients) and not self.networks.isolated

    @property
    def datastores(self) -> tuple[Logins, Logins]:
        return self.postgres.logins, self.redis.logins

    @property
    def datastore_passwords(self) -> dict[str, str]:
        """Those that are known, by key."""
        logins = (login for store in self.datastores for login in (store.a, store.b))
        return {login.key: login.password for login in logins if login.password}

    @property
    def redis_operator_password(self) -> str:
        """Of no use to the application: it can't be told from what a container is given."""
        key = self.deployment.fingerprint_key.encode()
        return hmac.new(key, b"redis operator", hashlib.sha256).hexdigest()

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that a release's environment may refer to, by reference name."""
        return {
            **self.datastore_passwords,
            **{f"backendSecrets.{k}": v for k, v in self.backend.secrets.items()},
        }


_GROUPS: dict[str, type[Group]] = {
    "deployment": Deployment,
    "backend": Backend,
    "postgres": Postgres,
    "redis": Redis,
    "edge": Edge,
    "networks": Networks,
    "watch": Watching,
    "operations": Operations,
    "backups": Backups,
    "scheduler": Scheduling,
    "checklist": Checklist,
}
PRODUCTION = "production"

# What production may tighten and never loosen: the key, the manual's limit and its section.
AT_LEAST = {
    "checklistTestPercent": (95, "7.1, Code Readiness"),
    "checklistDiskFreePercent": (20, "7.1, Infrastructure Check"),
    "changeLeadHours": (24, "5.2, Change Categories"),
}
AT_MOST = {
    "checklistCpuPercent": (70, "7.1, Infrastructure Check"),
    "checklistMemoryPercent": (80, "7.1, Infrastructure Check"),
    "checklistBackupHours": (4, "7.3, Backup Schedule"),
    "deployMaxPerDay": (1, "7.1, Deployment Approach"),
}
MANUAL_WINDOW = Window.parse("22:00-02:00", "America/Los_Angeles")


def keys() -> set[str]:
    """Every configuration key that the program reads."""
    return {
        info.alias or name
        for group in _GROUPS.values()
        for name, info in group.model_fields.items()
    }


def secret_keys() -> frozenset[str]:
    """The keys that hold secrets, also when somebody forgot `--secret`."""
    return frozenset(
        info.alias or name
        for group in _GROUPS.values()
        for name, info in group.model_fields.items()
        if not info.repr
    )


def load(stack: str, raw: Mapping[str, str], secret: frozenset[str] = frozenset()) -> Settings:
    """Read a stack's configuration.

    `raw` maps keys (without the project's name) to text, objects and arrays as JSON, defaults
    filled in; `secret` names keys whose values must not be repeated in a message, besides those
    that are secrets by their nature.
    Raises SettingsError with every mistake.
    """
    values = {key: _decoded(key, text) for key, text in raw.items()}
    wrong = [_unknown(key) for key in sorted(set(raw) - keys())]
    hidden = secret | secret_keys()
    groups: dict[str, Group] = {}
    for name, model in _GROUPS.items():
        try:
            groups[name] = model.model_validate(values)
        except ValidationError as error:
            wrong += [_mistake(e, hidden) for e in error.errors()]
    if not wrong:
        settings = Settings(stack=stack, **groups)  # type: ignore[arg-type]
        wrong = list(_contradictions(settings))
        if not wrong:
            return settings
    raise SettingsError(stack, wrong)


def load_checklist(stack: str, raw: Mapping[str, str]) -> tuple[Checklist, Operations]:
    """The two groups that judge a deploy, without the secrets that `load` asks for: what a person
    may read who can't open them. Raises SettingsError with every mistake."""
    checklist, operations = _some(stack, raw, Checklist, Operations)
    return checklist, operations


def load_backups(stack: str, raw: Mapping[str, str]) -> Backups:
    """Where backups are, likewise."""
    backups: Backups = _some(stack, raw, Backups)[0]
    return backups


def _some(stack: str, raw: Mapping[str, str], *models: type[Group]) -> list[Any]:
    values = {key: _decoded(key, text) for key, text in raw.items()}
    wrong: list[str] = []
    groups: list[Any] = []
    for model in models:
        try:
            groups.append(model.model_validate(values))
        except ValidationError as error:
            wrong += [_mistake(e, secret_keys()) for e in error.errors()]
    if wrong:
        raise SettingsError(stack, wrong)
    return groups


_JSON_KEYS = {
    info.alias or name
    for group in _GROUPS.values()
    for name, info in group.model_fields.items()
    if re.match(r"(tuple|dict)\[", str(info.annotation))
}


def _decoded(key: str, text: str) -> Any:
    if key not in _JSON_KEYS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, keys(), n=1)
    hint = f"did you mean {near[0]}?" if near else "Pulumi.yaml lists the keys"
    return f"{key}: expected a known key; {hint}"


def _mistake(error: ErrorDetails, secret: frozenset[str]) -> str:
    key = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{key}: expected a value, got none; `pulumi config set {key} …`"
    got = "(secret)" if key in secret else repr(error["input"])
    return f"{mistakes.path(error)}: expected {mistakes.expected(error)}, got {got}"


def _contradictions(settings: Settings) -> Iterator[str]:
    """Mistakes between keys, each of which is well-formed by itself."""
    edge, networks = settings.edge, settings.networks
    if not re.fullmatch(rf"[a-z0-9][a-z0-9-]{{0,{MAX_STACK_LENGTH - 1}}}", settings.stack):
        yield (
            f"stack name: expected at most {MAX_STACK_LENGTH} of a-z, 0-9 and -, because host "
            f"names carry it, got {settings.stack!r}"
        )
    known = {store.a.key for store in settings.datastores}
    known |= {f"backendSecrets.{name}" for name in settings.backend.secrets}
    for name in sorted(referenced(settings.backend.environment) - known):
        yield (
            "backendEnvironment: expected references to known secrets "
            f"({', '.join(sorted(known))}), got ${{{name}}}"
        )
    if edge.tls == "provided":
        for key, value in (
            ("edgeCertificate", edge.certificate),
            ("edgeCertificateKey", edge.certificate_key),
        ):
            if "-----BEGIN" not in value:
                yield f"{key}: expected PEM text, because edgeTls is provided, got none"
    if edge.http_port == edge.https_port:
        yield f"edgeHttpsPort: expected another port than edgeHttpPort, got {edge.https_port}"
    if edge.drain_seconds < edge.request_timeout:
        yield (
            f"edgeDrainSeconds: expected at least edgeRequestTimeout ({edge.request_timeout}), "
            f"got {edge.drain_seconds}"
        )
    subnets = {
        "networkEdgeSubnet": networks.edge,
        "networkAppSubnet": networks.app,
        "networkDataSubnet": networks.data,
    }
    for (a, left), (b, right) in combinations(subnets.items(), 2):
        if ipaddress.ip_network(left).overlaps(ipaddress.ip_network(right)):
            yield f"{b}: expected a network apart from {a} ({left}), got {right}"
    if settings.scheduler.on and not settings.scheduler.image:
        yield "schedulerImage: expected an image, because backupSchedule is on, got none"
    if settings.stack == PRODUCTION != settings.deployment.environment:
        yield (
            f"environment: expected {PRODUCTION}, because the stack is named so, got "
            f"{settings.deployment.environment!r}"
        )
    if settings.is_production:
        yield from _laxer(settings)
    if settings.backend.status_path not in settings.backend.endpoints:
        yield (
            "backendStatusPath: expected one of backendEndpoints, "
            f"got {settings.backend.status_path!r}"
        )


def _laxer(settings: Settings) -> Iterator[str]:
    """Where production would allow what the manual doesn't."""
    if not settings.checklist.required:
        yield (
            "checklistRequired: expected true in production (manual 7.1, Pre-Deployment "
            "Checklist), got false"
        )
    values = {
        info.alias: getattr(group, name)
        for group in (settings.checklist, settings.operations)
        for name, info in type(group).model_fields.items()
    }
    for key, (limit, section) in AT_LEAST.items():
        if values[key] < limit:
            yield f"{key}: expected at least {limit} in production (manual {section}), got " + (
                f"{values[key]:g}"
            )
    for key, (limit, section) in AT_MOST.items():
        if values[key] > limit:
            yield f"{key}: expected at most {limit} in production (manual {section}), got " + (
                f"{values[key]:g}"
            )
    window = Window.parse(settings.operations.window, settings.operations.timezone)
    if not window.within(MANUAL_WINDOW):
        yield (
            f"deployWindow: expected hours within {MANUAL_WINDOW} in production (manual 7.1, "
            f"Deployment Approach), got {window}"
        )
