"""The agent's verbs and what each is asked with: `{"id": 1, "verb": "claim", ...fields}`.

The answer is any number of `{"id": 1, "event": "words"}`, then `{"id": 1, "ok": true, "result":
{...}}` or `{"id": 1, "ok": false, "error": "sentence"}`.
"""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from rollout.names import Colour
from rollout.shapes import Pointer, Release, Wanted
from rollout.state import Record


class Ask(Record):
    """A verb without fields: `state`, `renew`, `health`."""


class Claim(Record):
    """Take the idle slot for a release. `live`: where the caller believes traffic to be."""

    colour: Colour
    release: Release
    claim: int
    live: Pointer | None
    who: str


class Ready(Record):
    """The slot's app and workers passed every check beside the live ones."""

    colour: Colour
    identity: str
    claim: int


class Mark(Record):
    """A step is done: `{colour}-{step}#{identity}#{claim}`."""

    key: str = Field(min_length=1)
    note: str = ""


class Marked(Record):
    """Was that step done?"""

    key: str


class Probe(Record):
    """Ask a slot's app at its own address until it is right or the time is over."""

    colour: Colour
    timeout: float = Field(default=30, gt=0)


class Ping(Record):
    """Ask workers, named as Celery does, until all answer and are paused as they should be."""

    nodes: tuple[str, ...]
    timeout: float = Field(default=30, gt=0)


class Begin(Record):
    """Move traffic, workers and beat to `target`; to be confirmed on the same connection.

    `claim`: the occupancy of its slot that was checked. `fences`: the token of the pending switch
    that the caller saw and means to overtake, "" when it saw none.
    """

    serial: int
    target: Pointer
    claim: int
    asked: Wanted
    kind: Literal["deploy", "rollback"]
    who: str
    source: Pointer | None
    why: str = ""
    fences: str = ""


class Watch(Record):
    """Judge the target by what it serves. `error_rate` is 0..1; no `p95_ms` means no limit."""

    token: str
    seconds: float = Field(gt=0)
    error_rate: float = Field(ge=0, le=1)
    p95_ms: float | None = None
    min_requests: int = Field(default=1, ge=1)


class Confirm(Record):
    """The switch holds."""

    token: str
    note: str = ""
    seconds: float = 0.0


class Abort(Record):
    """Move everything back; `withdraw` says that the release itself is to blame."""

    token: str
    why: str
    withdraw: bool = False


class TakeHold(Record):
    """Lock deploys."""

    who: str
    why: str
    version: str = ""


class LeaveHold(Record):
    """Unlock them."""

    who: str


class EdgeFiles(Record):
    """nginx's files by name, base64. `config_hash`: what `/config` answers once they're loaded."""

    files: dict[str, str]
    self_signed: bool = False
    config_hash: str


class Caller(Protocol):
    """Whoever asked: words reach them, and a switch ends when they are gone."""

    def say(self, words: str) -> None: ...

    def gone(self) -> bool: ...
