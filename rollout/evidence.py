"""What the probes found: facts with their time and source, and no verdict. `rollout/checklist.py`
judges them.

Plain data, so that it can travel in the gate's inputs and be judged again by a policy.
"""

from __future__ import annotations

from rollout.records import (
    Announcement,
    BackupManifest,
    Change,
    Rehearsal,
    ReleaseRecord,
    Rota,
    Time,
)
from rollout.state import Event, Record


class Unknown(Record):
    """Nothing was measured. `next` is the command that would help; empty for the item's own."""

    why: str
    next: str = ""


class Fact(Record):
    """Something was measured: by what, and when."""

    by: str
    at: Time


class Suite(Fact):
    """A JUnit report, counted. `commit` is what it says it tested; empty when it does not."""

    commit: str
    passed: int
    failed: int
    skipped: int = 0


class Review(Fact):
    """Who wrote what is new in the release, and who approved it. A forge is asked for each pull
    request by itself: then `unreviewed` lists those without another's approval, and no authors."""

    authors: tuple[str, ...]
    approvers: tuple[str, ...]
    unreviewed: tuple[str, ...] = ()


class Bugs(Fact):
    """The critical bugs that are open. `signed_by` where it is a person's statement."""

    open: tuple[str, ...]
    signed_by: str = ""


class Document(Record):
    """One file that a release record names."""

    path: str
    exists: bool = False
    changed: bool = False
    names_version: bool = False


class Documents(Fact):
    """Files, and since when they were to be changed: the last release, empty for the first."""

    since: str
    files: tuple[Document, ...]


class Mount(Record):
    """A place on the host where Docker or backups write."""

    path: str
    free_percent: float


class Load(Fact):
    """The host, averaged over `seconds`."""

    seconds: float
    cpu_percent: float
    memory_percent: float
    mounts: tuple[Mount, ...]


class Reach(Record):
    """One endpoint as the host reaches it. `clock` is what the host's clock is ahead of the
    endpoint's, in seconds; None where it did not tell the time."""

    name: str
    url: str
    error: str = ""
    clock: float | None = None


class Connectivity(Fact):
    """All endpoints."""

    endpoints: tuple[Reach, ...]


class Backup(Fact):
    """The newest backup whose verification passed; None where there is none."""

    newest: BackupManifest | None


class Image(Fact):
    """What the version's tag means on the host."""

    tag: str
    digest: str


class Rehearsed(Fact):
    """The rehearsal's record; None where there is none."""

    record: Rehearsal | None


class Announced(Fact):
    """The announcements of this release."""

    announcements: tuple[Announcement, ...]


class OnCall(Fact):
    """The rota."""

    rota: Rota


class Standby(Fact):
    """The release that serves now, to which a rollback would return. `identity` is empty before
    the first release; `wrong` says what is not warm and healthy about it."""

    identity: str
    colour: str = ""
    wrong: tuple[str, ...] = ()


class History(Fact):
    """The host's own history of switches."""

    events: tuple[Event, ...]


class Requested(Fact):
    """The change that a deploy or maintenance names, and what is wrong with the records of changes.
    `emergencies` are the others whose deploy nobody has documented."""

    change: Change | None
    tampered: tuple[str, ...] = ()
    uncommitted: tuple[str, ...] = ()
    """Of its own records, those that git does not have as they lie here."""
    emergencies: tuple[str, ...] = ()


_NOBODY = Unknown(why="nobody looked")


class Evidence(Record):
    """All that was gathered for a version."""

    version: str
    release: ReleaseRecord | Unknown = _NOBODY
    tests: Suite | Unknown = _NOBODY
    review: Review | Unknown = _NOBODY
    bugs: Bugs | Unknown = _NOBODY
    documentation: Documents | Unknown = _NOBODY
    notes: Documents | Unknown = _NOBODY
    load: Load | Unknown = _NOBODY
    backup: Backup | Unknown = _NOBODY
    image: Image | Unknown = _NOBODY
    rehearsal: Rehearsed | Unknown = _NOBODY
    network: Connectivity | Unknown = _NOBODY
    announced: Announced | Unknown = _NOBODY
    on_call: OnCall | Unknown = _NOBODY
    standby: Standby | Unknown = _NOBODY
    history: History | Unknown = _NOBODY
    change: Requested | Unknown = _NOBODY
