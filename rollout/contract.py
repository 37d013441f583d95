"""What the system assumes of the backend, each item with its reason, and what was found against it.

Pure. `docs/backend-contract.md` has the same tables under the same headings (a test compares them);
`ops/contract.py` gathers the facts that are judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rollout.edge import UPSTREAM_IDLE_SECONDS
from rollout.shapes import Release

PAGE = "docs/backend-contract.md"
IMAGE, ENVIRONMENT, ENDPOINTS, JOBS = "The image", "Environment", "Endpoints", "Jobs"

PROGRAMS = ("curl", "python3", "celery")
VARIABLES = (
    "DATABASE_URL",
    "REDIS_URL",
    "CACHE_URL",
    "ENVIRONMENT",
    "RELEASE_VERSION",
    "RELEASE_FINGERPRINT",
)
# What kombu takes when nothing is set.
DEFAULT_VISIBILITY_SECONDS = 3600


@dataclass(frozen=True)
class Item:
    """A line of the contract. `section`: its heading on the page."""

    section: str
    name: str
    expected: str
    why: str


@dataclass(frozen=True)
class Finding:
    """`ok` None: it could not be found out, and `found` says why."""

    item: Item
    ok: bool | None
    found: str


@dataclass(frozen=True)
class Setting(Item):
    """One of Celery's. `good` judges its value, beside the longest job in seconds."""

    good: Callable[[Any, int], bool]


PROGRAMS_THERE = Item(
    IMAGE,
    "programs",
    "`curl`, `python3` and `celery` are in it",
    "the health check, the beat's launcher and the workers are started by these names",
)
UNPRIVILEGED = Item(
    IMAGE,
    "user",
    "runs as `backendUser`, without capabilities",
    "who breaks into the app is nobody on the host",
)
READ_ONLY = Item(
    IMAGE,
    "root",
    "read-only, with `/tmp` in memory",
    "nothing that an intruder writes stays; files that must last go to `backendMediaPath`",
)
GRACEFUL = Item(
    IMAGE,
    "stop",
    "a running request is answered after SIGTERM",
    "a slot that is given away may still answer its last requests",
)
KEEPALIVE = Item(
    IMAGE,
    "keepalive",
    f"an idle connection stays open for longer than {UPSTREAM_IDLE_SECONDS} s",
    "nginx closes it first, so that no request meets a closing connection",
)
VARIABLES_SET = Item(
    ENVIRONMENT,
    "variables",
    "those of the table above are set",
    "the backend finds its datastores, and its name, nowhere else",
)
DATABASES = Item(
    ENVIRONMENT,
    "databases",
    "broker and cache are different databases",
    "the cache is flushed after each deploy, and the queue must never be",
)
ANSWERS = Item(
    ENDPOINTS,
    "answers",
    "each of `backendEndpoints` answers 200",
    "a release that does not is not switched to, and is moved back from",
)
VERSION = Item(
    ENDPOINTS,
    "version",
    "the release's own, at `backendStatusPath`",
    "a switch is only good when the new release answers",
)
FINGERPRINT = Item(
    ENDPOINTS,
    "fingerprint",
    "that of `RELEASE_FINGERPRINT`, at `backendStatusPath`",
    "two releases of one version are told apart by it",
)
REMOTE_CONTROL = Setting(
    JOBS,
    "worker_enable_remote_control",
    "true",
    "pausing and resuming is done by remote control",
    lambda value, _: bool(value),
)
SETTINGS: tuple[Setting, ...] = (
    Setting(
        JOBS,
        "task_acks_late",
        "true",
        "a worker that dies gives its job back",
        lambda value, _: bool(value),
    ),
    Setting(
        JOBS,
        "task_reject_on_worker_lost",
        "true",
        "the same when a child process dies",
        lambda value, _: bool(value),
    ),
    Setting(
        JOBS,
        "worker_prefetch_multiplier",
        "1",
        "a stopped worker holds no queue of jobs",
        lambda value, _: value == 1,
    ),
    Setting(
        JOBS,
        "broker_transport_options.visibility_timeout",
        "above the longest job (`workerStopSeconds`)",
        "a running job is not handed out again",
        lambda value, longest: value > longest,
    ),
    Setting(
        JOBS,
        "worker_soft_shutdown_timeout",
        "some seconds",
        "a worker that is told to quit gives back what it can't finish",
        lambda value, _: bool(value) and value > 0,
    ),
    Setting(
        JOBS,
        "worker_enable_soft_shutdown_on_idle",
        "true",
        "the same when it waits",
        lambda value, _: bool(value),
    ),
    Setting(
        JOBS,
        "task_create_missing_queues",
        "true",
        "the queue on which a paused worker waits is made on the fly",
        lambda value, _: bool(value),
    ),
    REMOTE_CONTROL,
)
AGREEMENT = Item(
    JOBS,
    "agreement",
    "these are equal for all workers on the broker",
    "the shortest visibility timeout of any of them counts for every job",
)
ITEMS: tuple[Item, ...] = (
    *(PROGRAMS_THERE, UNPRIVILEGED, READ_ONLY, GRACEFUL, KEEPALIVE),
    *(VARIABLES_SET, DATABASES, ANSWERS, VERSION, FINGERPRINT),
    *(*SETTINGS, AGREEMENT),
)


# The image --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confinement:
    """How a container was started."""

    container: str
    user: str
    read_only: bool
    dropped: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Stopped:
    """What became of a request that ran when its app was told to stop. `told`: whether it was told
    before the answer came."""

    status: int
    words: str
    told: bool = True


def programs(missing: Sequence[str]) -> Finding:
    found = f"no {', no '.join(missing)}" if missing else "all three"
    return Finding(PROGRAMS_THERE, not missing, found)


def confined(containers: Sequence[Confinement], user: str) -> list[Finding]:
    wrong = [
        f"{c.container} runs as {c.user or 'root'}"
        for c in containers
        if c.user != user or c.user.split(":")[0] in ("", "0", "root")
    ]
    wrong += [
        f"{c.container} has capabilities" for c in containers if c.added or "ALL" not in c.dropped
    ]
    writable = [f"{c.container} may write to its root" for c in containers if not c.read_only]
    return [
        Finding(UNPRIVILEGED, not wrong, "; ".join(wrong) or f"{user}, without capabilities"),
        Finding(READ_ONLY, not writable, "; ".join(writable) or "read-only"),
    ]


def graceful(stopped: Stopped) -> Finding:
    if not stopped.told:
        return Finding(
            GRACEFUL,
            None,
            f"{stopped.words} before the app was told to stop: `backendSlowPath` has to take some "
            "seconds",
        )
    return Finding(GRACEFUL, stopped.status == 200, stopped.words)


def unasked_stop() -> Finding:
    return Finding(
        GRACEFUL, None, "not tried: `backendSlowPath` names no path that takes some seconds"
    )


def keepalive(closed_after: float | None) -> Finding:
    if closed_after is None:
        return Finding(KEEPALIVE, True, f"open after {UPSTREAM_IDLE_SECONDS} s")
    return Finding(KEEPALIVE, False, f"closed after {closed_after:.0f} s")


# Environment ------------------------------------------------------------------------------------


def variables(environment: Mapping[str, str]) -> Finding:
    unset = [name for name in VARIABLES if not environment.get(name)]
    return Finding(VARIABLES_SET, not unset, f"no {', no '.join(unset)}" if unset else "all six")


def databases(environment: Mapping[str, str], brokers: Iterable[str]) -> Finding:
    """`brokers`: the URLs that workers say they use. Nothing but the databases is repeated."""
    cache = _database(environment.get("CACHE_URL", ""))
    queues = {_database(environment.get("REDIS_URL", "")), *map(_database, brokers)}
    return Finding(
        DATABASES,
        cache not in queues,
        f"broker in {' and '.join(sorted(queues))}, cache in {cache}",
    )


def _database(url: str) -> str:
    """Host and number: `redis:6379/0`."""
    parts = urlsplit(url)
    number = parts.path.strip("/") or "0"
    return f"{parts.hostname or 'nowhere'}:{parts.port or 6379}/{number}"


# Endpoints --------------------------------------------------------------------------------------


def endpoints(
    answers: Mapping[str, str], status: Mapping[str, Any], release: Release
) -> list[Finding]:
    """`answers`: what each path answered, a status or words; `status`: the JSON of the status."""
    wrong = [f"{path} answers {answers.get(path)}" for path in release.endpoints]
    wrong = [words for words in wrong if not words.endswith(" answers 200")]
    return [
        Finding(ANSWERS, not wrong, "; ".join(wrong) or f"all {len(release.endpoints)} answer 200"),
        _named(VERSION, status.get("version"), release.version),
        _named(FINGERPRINT, status.get("fingerprint"), release.fingerprint),
    ]


def _named(item: Item, found: object, expected: str) -> Finding:
    words = str(found or "none")
    return Finding(
        item, words == expected, words if words == expected else f"{words}, not {expected}"
    )


# Jobs -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crews:
    """What workers say of themselves: `confs` by node, as Celery's `inspect conf` answers; a node
    that did not answer is not in it. `longest`: seconds of the longest job."""

    live: tuple[str, ...]
    others: tuple[str, ...]
    confs: Mapping[str, Mapping[str, Any]]
    longest: int

    @property
    def silent(self) -> list[str]:
        return [name for name in self.live if name not in self.confs]


def jobs(crews: Crews) -> list[Finding]:
    return [*(_setting(item, crews) for item in SETTINGS), _agreement(crews)]


def _setting(item: Setting, crews: Crews) -> Finding:
    if crews.silent and (item is REMOTE_CONTROL or len(crews.silent) == len(crews.live)):
        return Finding(item, False, f"{', '.join(crews.silent)} did not answer")
    values = {name: value_of(item, crews.confs[name]) for name in crews.live if name in crews.confs}
    ok = all(item.good(value, crews.longest) for value in values.values())
    return Finding(item, ok, _words(item, values, crews.longest))


def _words(item: Setting, values: Mapping[str, Any], longest: int) -> str:
    different = {shown(value) for value in values.values()}
    words = (
        different.pop()
        if len(different) == 1
        else ", ".join(f"{shown(value)} in {name}" for name, value in values.items())
    )
    if item.name.endswith("visibility_timeout"):
        return f"{words} s, with jobs of up to {longest} s"
    return words


def _agreement(crews: Crews) -> Finding:
    silent = [name for name in (*crews.live, *crews.others) if name not in crews.confs]
    found = [*_differences(crews), *(f"{name} did not answer" for name in silent)]
    return Finding(AGREEMENT, not found, "; ".join(found) or f"equal in {len(crews.confs)} workers")


def _differences(crews: Crews) -> Iterator[str]:
    """Worker by worker, beside the first that answers: a live one, where one does."""
    (_, first), *others = list(crews.confs.items()) or [("", {})]
    for name, conf in others:
        differing = [
            f"{item.name} {shown(value_of(item, conf))}"
            for item in SETTINGS
            if value_of(item, conf) != value_of(item, first)
        ]
        if differing:
            yield f"{name} has {', '.join(differing)}"


def value_of(item: Setting, conf: Mapping[str, Any]) -> Any:
    option, _, key = item.name.partition(".")
    found = conf.get(option)
    if not key:
        return found
    return (found or {}).get(key, DEFAULT_VISIBILITY_SECONDS)


def shown(value: Any) -> str:
    """As the page writes it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
