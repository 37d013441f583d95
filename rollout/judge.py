"""How each item of the checklist is judged: from the evidence, the limits and the clock to what is
so, and what would help. `rollout/checklist.py` has the table. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from rollout import changes
from rollout.evidence import Documents, Evidence, Fact, Unknown
from rollout.records import CHECKS, Announcement, BackupManifest, ReleaseRecord, Status
from rollout.settings import Checklist, Operations
from rollout.window import Window, deploys_since

Phase = Literal["preview", "up"]


@dataclass(frozen=True)
class Limits:
    """What the items are judged by: the named settings, and the window."""

    checklist: Checklist
    operations: Operations

    @property
    def window(self) -> Window:
        return Window.parse(self.operations.window, self.operations.timezone)


@dataclass(frozen=True)
class Case:
    """Everything that one judgement may look at."""

    evidence: Evidence
    limits: Limits
    now: datetime
    phase: Phase

    @property
    def version(self) -> str:
        return self.evidence.version

    @property
    def release(self) -> ReleaseRecord | None:
        found = self.evidence.release
        return None if isinstance(found, Unknown) else found

    @property
    def deploys_at(self) -> datetime:
        """When it would go: now, or for a preview when the window is open."""
        window = self.limits.window
        return self.now if self.phase == "up" else max(self.now, window.next(self.now).begins)


@dataclass(frozen=True)
class Found:
    """What one judgement says. `next` overrides the table's."""

    status: Status
    measured: str
    limit: str = ""
    at: datetime | None = None
    by: str = ""
    next: str = ""


def _unknown(fact: Unknown, limit: str = "") -> Found:
    return Found(Status.UNKNOWN, fact.why, limit, next=fact.next)


def _say(fact: Fact, good: bool | Status, measured: str, limit: str = "", next: str = "") -> Found:
    status = good if isinstance(good, Status) else Status.PASS if good else Status.FAIL
    return Found(status, measured, limit, fact.at, fact.by, next)


# Code readiness


def tests(case: Case) -> Found:
    fact, minimum = case.evidence.tests, case.limits.checklist.test_percent
    limit = f"more than {minimum:g} % passed, of the release's commit"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    ran = fact.passed + fact.failed
    if not ran:
        return _say(fact, False, "the report holds no test that ran", limit)
    percent = 100 * fact.passed / ran
    words = f"{fact.passed} of {ran} passed ({percent:.1f} %), {fact.skipped} skipped"
    commit = case.release.commit if case.release else None
    if not fact.commit or not commit:
        whose = "the report" if not fact.commit else f"releases/{case.version}.yaml"
        return _say(fact, Status.UNKNOWN, f"{words}; {whose} names no commit", limit)
    if not same_commit(fact.commit, commit):
        words += f"; tested was {fact.commit[:12]}, the release is {commit[:12]}"
        return _say(fact, False, words, limit)
    return _say(fact, percent > minimum, words, limit)


def same_commit(a: str, b: str) -> bool:
    """Whether one abbreviates the other."""
    return a.startswith(b) or b.startswith(a)


def review(case: Case) -> Found:
    fact, limit = case.evidence.review, "approved by somebody who did not write it"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if fact.unreviewed:
        return _say(fact, False, f"without an approval: {_listed(fact.unreviewed)}", limit)
    authors = {author.lower() for author in fact.authors}
    others = [a for a in fact.approvers if not authors & _names_of(a)]
    if others:
        return _say(fact, True, f"approved by {_listed(others)}", limit)
    if not fact.approvers:
        return _say(fact, False, "nobody has approved it", limit)
    words = f"approved by its own authors only: {_listed(fact.approvers)}"
    return _say(fact, False, words, limit)


def _names_of(person: str) -> set[str]:
    """`Name <address>` is known by either."""
    name, _, address = person.lower().partition("<")
    return {word for word in (person.lower(), name.strip(), address.rstrip("> ")) if word}


def bugs(case: Case) -> Found:
    fact = case.evidence.bugs
    if isinstance(fact, Unknown):
        return _unknown(fact, "none open")
    signed = f", signed by {fact.signed_by}" if fact.signed_by else ""
    if fact.open:
        return _say(fact, False, f"open: {_listed(fact.open)}{signed}", "none open")
    return _say(fact, True, f"none is open{signed}", "none open")


def documentation(case: Case) -> Found:
    return _documents(case, case.evidence.documentation, "documentation")


def notes(case: Case) -> Found:
    return _documents(case, case.evidence.notes, "notes")


def _documents(case: Case, fact: Documents | Unknown, key: str) -> Found:
    limit = f"there, changed since the last release, naming {case.version}"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if not fact.files:
        words = f"releases/{case.version}.yaml names no file as `{key}`"
        return _say(fact, Status.UNKNOWN, words, limit)
    unchanged = f"did not change since {fact.since}" if fact.since else "is not committed"
    wrong = [
        f"{file.path} {'is not there' if not file.exists else ' and '.join(faults)}"
        for file in fact.files
        if (
            faults := [
                *([] if file.changed else [unchanged]),
                *([] if file.names_version else [f"does not name {case.version}"]),
            ]
        )
    ]
    good = f"{_listed(file.path for file in fact.files)}"
    return _say(fact, not wrong, "; ".join(wrong) or good, limit)


# Infrastructure


def resources(case: Case) -> Found:
    fact, limits = case.evidence.load, case.limits.checklist
    limit = f"CPU {_limit(limits.cpu_percent)}, memory {_limit(limits.memory_percent)}"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    good = _below(fact.cpu_percent, limits.cpu_percent)
    good = good and _below(fact.memory_percent, limits.memory_percent)
    words = (
        f"CPU {fact.cpu_percent:.0f} %, memory {fact.memory_percent:.0f} %, "
        f"averaged over {fact.seconds:g} s"
    )
    return _say(fact, good, words, limit)


def _limit(most: float) -> str:
    return f"below {most:g} %" if most < 100 else "without a limit"


def _below(percent: float, limit: float) -> bool:
    """A limit of 100 is none."""
    return percent < limit or limit >= 100


def disk(case: Case) -> Found:
    fact, least = case.evidence.load, case.limits.checklist.disk_free_percent
    limit = f"more than {least:g} % free on each"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if not fact.mounts:
        return _say(fact, Status.UNKNOWN, "no mount was measured", limit)
    words = ", ".join(f"{mount.path} {mount.free_percent:.0f} % free" for mount in fact.mounts)
    return _say(fact, all(mount.free_percent > least for mount in fact.mounts), words, limit)


def backup(case: Case) -> Found:
    fact, hours = case.evidence.backup, case.limits.checklist.backup_hours
    limit = f"verified, and younger than {hours:g} h"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if fact.newest is None:
        return _say(fact, False, "there is no verified backup", limit)
    age = case.now - fact.newest.finished
    words = f"{fact.newest.kind} of {fact.newest.finished:%Y-%m-%d %H:%M} UTC, {_hours(age)} old"
    return _say(fact, age < timedelta(hours=hours), words, limit)


def is_verified(manifest: BackupManifest) -> bool:
    """A check that reads the content has passed, and none has failed."""
    statuses = {check: manifest.status(check) for check in CHECKS}
    return Status.FAIL not in statuses.values() and any(
        status is Status.PASS for check, status in statuses.items() if check != "checksum"
    )


def migrations(case: Case) -> Found:
    fact, limit = case.evidence.rehearsal, "rehearsed with this very image, the old release working"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    record, wanted = fact.record, _digest(case)
    if record is None:
        return _say(fact, Status.UNKNOWN, f"{case.version} was not rehearsed", limit)
    if isinstance(wanted, Unknown):
        return _unknown(wanted, limit)
    if record.digest != wanted:
        words = f"rehearsed was {record.digest[:19]}, the release is {wanted[:19]}"
        return _say(fact, False, words, limit)
    works = record.previous_release_works.status
    words = f"verdict {record.verdict}, previous release works: {works}"
    words += f" ({record.detail})" if record.detail else ""
    return _say(fact, _worst(record.verdict, works), words, limit)


def _digest(case: Case) -> str | Unknown:
    """Of the image that would run: the host's word. A preview that can't reach the host takes the
    record's."""
    image, release = case.evidence.image, case.release
    named = release.digest if release else None
    where = f"releases/{case.version}.yaml"
    if isinstance(image, Unknown):
        return named if named and case.phase == "preview" else image
    if named and named != image.digest:
        return Unknown(
            why=f"{where} names {named[:19]}, and {image.tag} is {image.digest[:19]}",
            next=f"correct `digest` in {where}, or the image; then `ytops rehearse {case.version}`",
        )
    return image.digest


def network(case: Case) -> Found:
    fact, seconds = case.evidence.network, case.limits.checklist.clock_seconds
    limit = f"all answer the host, its clock within {seconds:g} s of theirs"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    failed = [f"{e.name} ({e.url}) {e.error}" for e in fact.endpoints if e.error]
    clocks = [e.clock for e in fact.endpoints if e.clock is not None]
    if failed or not fact.endpoints:
        return _say(fact, False, "; ".join(failed) or "no endpoint was asked", limit)
    reached = f"{_listed(e.name for e in fact.endpoints)} answer"
    if not clocks:
        return _say(fact, Status.UNKNOWN, f"{reached}, but none told the time", limit)
    off = min(clocks, key=abs)  # one endpoint with a wrong clock does not make the host's wrong
    words = f"{reached}, the host's clock is {off:+.0f} s off"
    return _say(fact, abs(off) <= seconds, words, limit)


# Communication


def team(case: Case) -> Found:
    limit = "announced to the team, for a time that is not over"
    return _announcement(case, "team", limit)


def announced(case: Case) -> Found:
    limit = "announced to users beforehand, where the release needs it"
    release, fact = case.release, case.evidence.announced
    if release is None or release.announcement is None:
        words = f"releases/{case.version}.yaml does not say whether users have to be told"
        command = f"say `announcement: true` or `false` in releases/{case.version}.yaml"
        return Found(Status.UNKNOWN, words, limit, next=command)
    if not release.announcement:
        words = f"not needed, says releases/{case.version}.yaml"
        return Found(Status.PASS, words, limit, by="release record")
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    return _announcement(case, "users", limit)


def _announcement(case: Case, audience: Literal["team", "users"], limit: str) -> Found:
    fact = case.evidence.announced
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    told = [a for a in fact.announcements if a.audience == audience]
    sent = [a for a in told if a.sent and a.delivered.status is Status.PASS]
    if not sent:
        words = f"{_listed(a.id for a in told)} was not delivered" if told else "nobody was told"
        return _say(fact, False, words, limit)
    last = max(sent, key=lambda a: a.sent or a.begins)
    words = f"{last.id} (message {last.message_id or last.id}), {_when(last)}"
    in_time = case.deploys_at < last.ends and (
        audience == "team" or (last.sent or last.begins) <= last.begins <= case.deploys_at
    )
    return Found(_status(in_time), words, limit, last.sent, fact.by)


def _when(announcement: Announcement) -> str:
    begins, ends = announcement.begins, announcement.ends
    return f"for {begins:%Y-%m-%d %H:%M} to {ends:%H:%M} UTC"


def on_call(case: Case) -> Found:
    fact, limit = case.evidence.on_call, "tonight's primary has acknowledged"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    at = case.deploys_at
    primary = [s for s in fact.rota.on_call(at) if s.role == "primary"]
    status = fact.rota.confirmed(at)
    if not primary:
        return _say(fact, status, f"nobody is on call at {at:%Y-%m-%d %H:%M} UTC", limit)
    people = _listed(s.person for s in primary)
    said = "acknowledged" if status is Status.PASS else "did not acknowledge"
    return _say(fact, status, f"{people} {said}", limit)


def plan_reviewed(case: Case) -> Found:
    limit = "reviewed in the release record"
    where = f"releases/{case.version}.yaml"
    if case.release is None:
        return _unknown(_no_release(case), limit)
    plan = case.release.rollback
    if plan is None:
        return Found(Status.UNKNOWN, f"{where} has no section `rollback`", limit)
    if not plan.reviewed_by or plan.reviewed_at is None:
        return Found(Status.FAIL, f"{where}: nobody has reviewed `rollback`", limit, by=where)
    words = f"reviewed by {plan.reviewed_by}: {len(plan.steps)} steps; data: {plan.data}"
    return Found(Status.PASS, words, limit, plan.reviewed_at, where)


def standby(case: Case) -> Found:
    fact, limit = case.evidence.standby, "warm and healthy"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if not fact.identity:
        return _say(fact, True, "no release serves yet: there is none to go back to", limit)
    words = f"{fact.identity} on {fact.colour}"
    return _say(fact, not fact.wrong, f"{words}: {'; '.join(fact.wrong) or 'healthy'}", limit)


# When, and by whose leave


def window(case: Case) -> Found:
    window = case.limits.window
    following = window.next(case.now)
    words = f"it is {case.now.astimezone(window.zone):%Y-%m-%d %H:%M} there"
    limit = str(window)
    if case.now in following:
        return Found(Status.PASS, words, limit, case.now, "clock")
    opens = f"{following.begins:%Y-%m-%d %H:%M} UTC"
    command = f"wait until {opens}, or request an emergency: `ytops change new --emergency`"
    return Found(Status.FAIL, words, limit, case.now, "clock", command)


def daily(case: Case) -> Found:
    fact, most = case.evidence.history, case.limits.operations.max_per_day
    limit = f"{most} a night"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    window = case.limits.window
    done = deploys_since(fact.events, window, case.deploys_at)
    words = ", ".join(f"{event.target} at {event.at}" for event in done) or "none yet"
    opens = window.next(window.last(case.deploys_at).ends).begins
    command = (
        f"wait until {opens:%Y-%m-%d %H:%M} UTC, or request an emergency: "
        "`ytops change new --emergency`; `ytops rollback` is always free"
    )
    return _say(fact, len(done) < most, words, limit, command)


def change(case: Case) -> Found:
    fact, limit = case.evidence.change, "a change request that is approved"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    verdict = changes.believed(fact)
    if fact.change:
        verdict = verdict or changes.approved(fact.change, case.version)
    if verdict is None:
        words = f"releases/{case.version}.yaml names no change request"
        return _say(fact, False, words, limit)
    return _say(fact, verdict.status, verdict.words, limit, verdict.next)


def lead_time(case: Case) -> Found:
    fact, hours = case.evidence.change, case.limits.checklist.lead_hours
    limit = f"{hours:g} h between a normal change's request and its deploy"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    if fact.change is None:
        return _say(fact, False, "no change request is named", limit)
    verdict = changes.lead_time(fact.change, case.deploys_at, hours)
    return _say(fact, verdict.status, verdict.words, limit, verdict.next)


def emergencies(case: Case) -> Found:
    fact, limit = case.evidence.change, "every emergency is documented"
    if isinstance(fact, Unknown):
        return _unknown(fact, limit)
    words = _listed(fact.emergencies)
    command = f"`ytops change close {fact.emergencies[0]} --document TEXT`" if words else ""
    measured = f"not documented: {words}" if words else "none is open"
    return _say(fact, not words, measured, limit, command)


def _no_release(case: Case) -> Unknown:
    found = case.evidence.release
    return found if isinstance(found, Unknown) else Unknown(why="")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _status(good: bool) -> Status:
    return Status.PASS if good else Status.FAIL


def _worst(*statuses: Status) -> Status:
    order = (Status.FAIL, Status.UNKNOWN, Status.WAIVED, Status.PASS)
    return min(statuses, key=order.index)


def _hours(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:.1f} h"
