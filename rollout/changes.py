"""Change management (manual 5.2): what a change may become next, whether it allows a deploy, what
an emergency may pass by, and what it owes afterwards.

Standard changes are approved by their kind. Normal ones take a team lead's approval and a day.
Emergencies go at once, on a named person's word; until they are documented and closed, no normal
deploy follows. Records are only appended to: `rewritten` compares two versions of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout.evidence import Requested
from rollout.records import Approval, Change, ChangeState, Documentation, Entry, Status

LEAD = "team-lead"
_NEW_MAINTENANCE = "ytops change new --kind service-upgrade --description TEXT"

_NEXT: dict[ChangeState, tuple[ChangeState, ...]] = {
    ChangeState.NEW: (ChangeState.APPROVED, ChangeState.CLOSED),
    ChangeState.APPROVED: (ChangeState.SCHEDULED, ChangeState.DONE, ChangeState.CLOSED),
    ChangeState.SCHEDULED: (ChangeState.SCHEDULED, ChangeState.DONE, ChangeState.CLOSED),
    ChangeState.DONE: (ChangeState.DONE, ChangeState.CLOSED),
    ChangeState.CLOSED: (),
}
# What an approval is about: after it, these stand.
_APPROVED_FIELDS = (
    "category",
    "kind",
    "priority",
    "description",
    "impact",
    "implementation",
    "rollback",
    "release",
    "reason",
)
_FIXED_FIELDS = ("id", "requestor", "date")
_APPENDED_FIELDS = ("history", "approvals")


class ChangeRefused(Exception):
    """A change can't become that. The message names it, why, and the next command."""


@dataclass(frozen=True)
class Verdict:
    """Whether a change allows something: what is so, and what would help."""

    status: Status
    words: str
    at: datetime | None = None
    next: str = ""


# What a change becomes


def requested(change: Change) -> Change:
    """As it is filed: a standard change is approved by that alone."""
    if change.category != "standard" or change.state is not ChangeState.NEW:
        return change
    words = f"automatic: {change.kind} (manual 5.2)"
    first = change.history[0]
    return _appended(
        change, Entry(at=first.at, by=first.by, state=ChangeState.APPROVED, note=words)
    )


def approve(change: Change, approval: Approval) -> Change:
    """With one more signature. An emergency's first one, or a team lead's, approves it."""
    if change.state is ChangeState.CLOSED:
        raise ChangeRefused(_closed(change))
    if approval.by == change.requestor:
        raise ChangeRefused(
            f"{change.id}: expected somebody else's approval than the requestor's, got "
            f"{approval.by}. Next: ask a {approval.role} to run `ytops change approve {change.id}`"
        )
    if any(a.role == approval.role and a.by == approval.by for a in change.approvals):
        raise ChangeRefused(
            f"{change.id} is approved by {approval.by} as {approval.role} already. "
            f"Next: `ytops change list`"
        )
    signed = change.model_copy(update={"approvals": (*change.approvals, approval)})
    words = f"{approval.role}{', by word of mouth' if approval.verbal else ''}"
    approves = change.state is ChangeState.NEW and _approver(signed) is not None
    state = ChangeState.APPROVED if approves else change.state
    return _appended(signed, Entry(at=approval.at, by=approval.by, state=state, note=words))


def schedule(change: Change, when: datetime, by: str, at: datetime) -> Change:
    """To be deployed then."""
    _require(change, ChangeState.SCHEDULED)
    entry = Entry(at=at, by=by, state=ChangeState.SCHEDULED, note=f"for {when:%Y-%m-%d %H:%M} UTC")
    return _appended(change.model_copy(update={"scheduled": when}), entry)


def deployed(
    change: Change, by: str, at: datetime, note: str = "", waived: tuple[str, ...] = ()
) -> Change:
    """Its deploy is done; `waived` are the items that it passed by."""
    _require(change, ChangeState.DONE)
    return _appended(change, Entry(at=at, by=by, state=ChangeState.DONE, note=note, waived=waived))


def close(change: Change, by: str, at: datetime, note: str = "", document: str = "") -> Change:
    """The end. An emergency that was approved is closed by its documentation and not otherwise."""
    _require(change, ChangeState.CLOSED)
    if document:
        written = Documentation(by=by, at=at, text=document)
        change = change.model_copy(update={"documented": written})
    elif is_undocumented(change):
        raise ChangeRefused(
            f"{change.id} is an emergency, and nobody has documented it (manual 5.2): what "
            "happened, why it could not wait, what follows. "
            f"Next: `ytops change close {change.id} --document TEXT`"
        )
    return _appended(change, Entry(at=at, by=by, state=ChangeState.CLOSED, note=note))


def _appended(change: Change, entry: Entry) -> Change:
    return change.model_copy(update={"history": (*change.history, entry)})


def _require(change: Change, state: ChangeState) -> None:
    if change.state is ChangeState.CLOSED:
        raise ChangeRefused(_closed(change))
    if change.state is ChangeState.NEW and _is_automatic(change):
        return
    if state not in _NEXT[change.state]:
        raise ChangeRefused(
            f"{change.id}: expected one of {', '.join(_NEXT[change.state])} after {change.state}, "
            f"got {state}. Next: `ytops change approve {change.id}`"
        )


def _closed(change: Change) -> str:
    return f"{change.id} is closed, and closed changes stay so. Next: `ytops change new`"


# Whether it allows a deploy


def approved(change: Change, version: str) -> Verdict:
    """Whether this change lets this version be deployed."""
    wrong = _unusable(change, version)
    if wrong:
        return wrong
    if _is_automatic(change):
        words = f"{change.id} is a standard change ({change.kind}): approved by its kind"
        return Verdict(Status.PASS, words, change.history[0].at)
    approver = _approver(change)
    if approver is None:
        whose = "a named approver" if change.category == "emergency" else "a team lead's approval"
        role = "platform-ops-lead" if change.category == "emergency" else LEAD
        words = f"{change.id} ({change.category}) has {_signatures(change)}, and not {whose}"
        command = f"`ytops change approve {change.id} --role {role}`, by another than its requestor"
        return Verdict(Status.FAIL, words, next=command)
    words = f"{change.id} ({change.category}) was approved by {approver.by} as {approver.role}"
    if approver.role == LEAD:
        return Verdict(Status.PASS, words, approver.at)
    words += f"{', by word of mouth' if approver.verbal else ''}: {change.reason}"
    return Verdict(Status.WAIVED, words, approver.at)


def lead_time(change: Change, now: datetime, hours: float) -> Verdict:
    """Whether a normal change was asked for long enough ago."""
    requested = change.history[0].at
    if change.category == "standard":
        return Verdict(Status.PASS, f"{change.id} is a standard change: none needed", requested)
    words = f"{change.id} was requested {_hours(now - requested)} ago"
    if now - requested >= timedelta(hours=hours):
        return Verdict(Status.PASS, words, requested)
    allowed = requested + timedelta(hours=hours)
    wait = f"wait until {allowed:%Y-%m-%d %H:%M} UTC, then `ytops up {change.release or ''}`"
    return Verdict(Status.FAIL, words, requested, next=wait.rstrip("` ") + "`")


def believed(found: Requested) -> Verdict | None:
    """Why the records of changes can't be believed; None where they can."""
    if found.tampered:
        command = "bring back what git has: `git checkout -- changes`, or revert the commit"
        return Verdict(Status.FAIL, "; ".join(found.tampered), next=command)
    if found.uncommitted:
        words = f"not committed, so that nobody reviewed it: {', '.join(found.uncommitted)}"
        command = "commit it, and have the pull request reviewed"
        return Verdict(Status.FAIL, words, next=command)
    return None


def allows_maintenance(found: Requested, now: datetime, hours: float) -> Verdict:
    """Whether what no deploy replaces may be replaced under the change that was found: a named
    person approved it, it is for no release, not done yet, and a normal one was asked for in time.
    What a kind alone approves is routine, and this is not."""
    change = found.change
    if change is None:
        return Verdict(Status.FAIL, "no change is named", next=f"`{_NEW_MAINTENANCE}`")
    if change.release:
        words = f"{change.id} is for {change.release}, not for a maintenance"
        return Verdict(Status.FAIL, words, next=f"`{_NEW_MAINTENANCE}`, without a release")
    if change.state is ChangeState.DONE:
        words = f"the maintenance of {change.id} is done"
        command = f"`pulumi config rm maintenance`; for another one `{_NEW_MAINTENANCE}`"
        return Verdict(Status.FAIL, words, change.history[-1].at, command)
    if _is_automatic(change):
        words = f"{change.id} is a standard change, which is approved by its kind alone"
        return Verdict(Status.FAIL, words, next=f"`{_NEW_MAINTENANCE}`, a normal one")
    verdict = believed(found) or approved(change, "")
    if verdict.status is Status.PASS and change.category == "normal":
        asked = lead_time(change, now, hours)
        return verdict if asked.status is Status.PASS else asked
    return verdict


def excuse(change: Change | None, version: str) -> str:
    """Whose word and which reason let this version pass by what an emergency may; empty where
    nobody's does."""
    if change is None or change.category != "emergency" or _unusable(change, version):
        return ""
    approver = _approver(change)
    return f"{change.id}, {approver.by}: {change.reason}" if approver else ""


def is_undocumented(change: Change) -> bool:
    """An emergency that somebody approved, and so may have used, and nobody has documented."""
    emergency = change.category == "emergency" and _approver(change) is not None
    return emergency and change.documented is None


def is_done(change: Change, identity: str) -> bool:
    """Whether the change says that this release was deployed under it."""
    return any(e.state is ChangeState.DONE and e.note == identity for e in change.history)


def owing(changes: Iterable[Change]) -> Iterator[str]:
    """What `status` says of each emergency until it is documented. After a deploy by plain Pulumi
    nothing of it is written yet."""
    for change in changes:
        if is_undocumented(change):
            waived = sorted({item for entry in change.history for item in entry.waived})
            passed = f", passed by {', '.join(waived)}" if waived else ""
            if not any(entry.state is ChangeState.DONE for entry in change.history):
                passed = f", no deploy written (after one: `ytops change done {change.id}`)"
            yield (
                f"{change.id}: emergency for {change.release or 'no release'} ({change.reason})"
                f"{passed}; not documented. "
                f"Next: `ytops change close {change.id} --document TEXT`"
            )


def _unusable(change: Change, version: str) -> Verdict | None:
    if (change.release or "") != version:
        words = f"{change.id} is for {change.release or 'no release'}, not for {version}"
        command = f"name {version}'s change in releases/{version}.yaml, or `ytops change new`"
        return Verdict(Status.FAIL, words, next=command)
    if change.state is ChangeState.CLOSED:
        closed = f"{change.id} is closed"
        return Verdict(Status.FAIL, closed, change.history[-1].at, "`ytops change new`")
    return None


def _is_automatic(change: Change) -> bool:
    return change.category == "standard"  # the record's validation has looked at the kind


def _approver(change: Change) -> Approval | None:
    """Whose signature counts: a team lead's; in an emergency that of anybody with a role."""
    others = [a for a in change.approvals if a.by != change.requestor]
    lead = next((a for a in others if a.role == LEAD), None)
    if lead or change.category != "emergency":
        return lead
    return others[0] if others else None


def _signatures(change: Change) -> str:
    return ", ".join(f"{a.by}'s as {a.role}" for a in change.approvals) or "no signature"


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"


# Append-only


def rewritten(before: Change | None, after: Change | None) -> Iterator[str]:
    """What a later version of a record changed that stands: earlier entries and signatures, and,
    once somebody approved it, what was approved."""
    if before is None:
        return
    if after is None:
        yield f"changes/{before.id}.yaml: was removed; changes are closed, not removed"
        return
    for name in _FIXED_FIELDS + (_APPROVED_FIELDS if before.approvals else ()):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            stands = "what was approved" if name in _APPROVED_FIELDS else "what was requested"
            yield f"changes/{before.id}.yaml: {name}: {stands} was edited, from {old!s} to {new!s}"
    for name in _APPENDED_FIELDS:
        old, new = getattr(before, name), getattr(after, name)
        for index, entry in enumerate(old):
            if index >= len(new) or new[index] != entry:
                how = "removed" if index >= len(new) else "edited"
                yield f"changes/{before.id}.yaml: {name}[{index}]: was {how}; entries are appended"
    if before.documented and before.documented != after.documented:
        yield f"changes/{before.id}.yaml: documented: was edited"
