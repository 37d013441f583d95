"""What the host itself remembers: which release is in which slot, and where traffic is.

One file, `state.json`, in the switch's control volume. The switch agent is its only writer; the
plan, `ytops status` and the steps read it. It holds secrets by reference only.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rollout.names import Colour
from rollout.shapes import Pointer, Release, Wanted

STATE_FILE = "state.json"
HISTORY_FILE = "history.jsonl"
WORKERS_FILE = "workers.json"


class Record(BaseModel):
    """Frozen, and refusing keys that it does not know: a typing error is an error."""

    # Each is compiled when it is first used: nobody uses more than a few of the thirty.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Slot(Record):
    """One slot's occupant. `claim` numbers the occupancy: the same release deployed again later
    has another. `ready` once its app and workers passed every check beside the live one."""

    identity: str
    claim: int
    status: Literal["preparing", "ready"] = "preparing"
    was_live: bool = False


class Withdrawal(Record):
    """A release that was taken out of traffic; it returns only on purpose, naming `serial`."""

    serial: int
    at: str
    why: str


class Pending(Record):
    """A switch that has moved traffic and is not confirmed yet: it is undone unless it is."""

    token: str
    serial: int
    source: Pointer | None
    target: Pointer
    who: str
    since: str


class Hold(Record):
    """A person's lock on deploys (`ytops lock`)."""

    who: str
    since: str
    why: str
    version: str = ""


class Event(Record):
    """One line of the deploy history."""

    at: str
    kind: Literal["deploy", "rollback", "revert", "lock", "unlock"]
    serial: int
    source: str
    target: str
    who: str
    seconds: float = 0.0
    note: str = ""
    backup: str = ""
    """Of a deploy: the dump that it took on the host before it changed anything."""


class HostState(Record):
    """The whole file. `serial` is the highest number that a switch has used up, and fences: the
    next switch names the next. `confirmed` is the number of the last one that held."""

    schema_version: Literal[1] = 1
    serial: int = 0
    confirmed: int = 0
    claim: int = 0
    live: Pointer | None = None
    asked: Wanted | None = None
    slots: dict[Colour, Slot] = Field(default_factory=dict)
    releases: dict[str, Release] = Field(default_factory=dict)
    withdrawn: dict[str, Withdrawal] = Field(default_factory=dict)
    pending: Pending | None = None
    hold: Hold | None = None
    markers: dict[str, str] = Field(default_factory=dict)
    last: Event | None = None
    """The last deploy, rollback or revert."""
    last_switch: Event | None = None
    """The last deploy or rollback that was confirmed."""


class WorkerState(Record):
    """What the agent last heard from one worker. `busy`: jobs active, reserved or scheduled there,
    None while it does not say."""

    node: str
    identity: str
    queues: tuple[str, ...]
    busy: int | None


class Workers(Record):
    """All workers that answered, as of `at` (UTC, ISO 8601)."""

    at: str
    workers: dict[str, WorkerState] = Field(default_factory=dict)
