"""A versioned bucket with S3's lifecycle, on a clock that the test turns.

It takes rules in the form in which S3 reports them. What it knows of S3: days are rounded up to the
next midnight UTC; expiry of a current version leaves a delete marker; a noncurrent version goes
when it has been one for so many days, unless it is locked; a marker goes when nothing is left
behind it; a tag or a prefix in a rule chooses versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from rollout.retention import LIFECYCLE, TAG, LifecycleRule

Rule = dict[str, Any]


def as_reported(rule: LifecycleRule) -> Rule:
    """A rule as GetBucketLifecycleConfiguration has it."""
    told: Rule = {"ID": rule.id, "Status": "Enabled"}
    told["Filter"] = (
        {"Tag": {"Key": TAG, "Value": rule.tag}} if rule.tag else {"Prefix": rule.prefix}
    )
    if rule.expire_days:
        told["Expiration"] = {"Days": rule.expire_days}
    if rule.markers:
        told["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    told["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule.gone_days}
    if rule.upload_days:
        told["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.upload_days}
    return told


def declared() -> list[Rule]:
    return [as_reported(rule) for rule in LIFECYCLE]


class AlreadyThere(Exception):
    """`If-None-Match: *` on a key that has a current object."""


class Locked(Exception):
    """A version under governance."""


@dataclass
class Version:
    key: str
    created: datetime
    locked_until: datetime | None = None
    tag: str = ""
    noncurrent: datetime | None = None

    def chosen_by(self, rule: Rule) -> bool:
        wanted = rule["Filter"]
        if "Tag" in wanted:
            return bool(wanted["Tag"] == {"Key": TAG, "Value": self.tag})
        return self.key.startswith(wanted["Prefix"])


@dataclass
class Bucket:
    rules: list[Rule] = field(default_factory=declared)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    markers: set[str] = field(default_factory=set)

    def put(self, key: str, now: datetime, locked_days: int = 0) -> None:
        if self.holds(key):
            raise AlreadyThere(key)
        until = now + timedelta(days=locked_days) if locked_days else None
        self.markers.discard(key)
        self.versions.setdefault(key, []).append(Version(key, now, until))

    def tag(self, key: str, tag: str) -> None:
        assert self.holds(key)
        self.versions[key][-1].tag = tag

    def holds(self, key: str) -> bool:
        return key in self.versions and key not in self.markers

    def tagged(self, key: str) -> bool:
        return bool(self.versions[key][-1].tag)

    def keys(self) -> list[str]:
        return [key for key in self.versions if key not in self.markers]

    def delete(self, key: str, now: datetime) -> None:
        """Without a version: a marker, whatever is locked."""
        self.markers.add(key)
        self.versions[key][-1].noncurrent = now

    def delete_version(self, version: Version, now: datetime) -> None:
        if version.locked_until and now < version.locked_until:
            raise Locked(version.key)
        self.versions[version.key].remove(version)
        if not self.versions[version.key]:
            del self.versions[version.key]

    def midnight(self, now: datetime) -> None:
        """The lifecycle's daily run."""
        youngest = min(r["Expiration"]["Days"] for r in self.rules if _expires(r))
        for key in self.keys():
            version = self.versions[key][-1]
            if now - version.created >= timedelta(days=youngest) and any(
                _over(version.created, d, now) for d in self._days(version, "Expiration")
            ):
                self.delete(key, now)
        for version in [v for found in self.versions.values() for v in found if v.noncurrent]:
            self._clean(version, now)
        if any(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker") for rule in self.rules):
            self.markers &= set(self.versions)

    def _clean(self, version: Version, now: datetime) -> None:
        assert version.noncurrent
        locked = version.locked_until and now < version.locked_until
        lasting = self._days(version, "NoncurrentVersionExpiration")
        if not locked and any(_over(version.noncurrent, days, now) for days in lasting):
            self.delete_version(version, now)

    def _days(self, version: Version, action: str) -> Iterator[int]:
        for rule in self.rules:
            days = rule.get(action, {}).get("Days" if action == "Expiration" else "NoncurrentDays")
            if days and version.chosen_by(rule):
                yield days


def _expires(rule: Rule) -> bool:
    return "Days" in rule.get("Expiration", {})


def _over(since: datetime, days: int, now: datetime) -> bool:
    end = since + timedelta(days=days)
    midnight = datetime.combine(end.date(), time(), end.tzinfo)
    return now >= (midnight if midnight == end else midnight + timedelta(days=1))
