"""Each item of the checklist broken alone, of a release that lacks nothing else: 1.1.0, under CR-2,
beside 1.0.0, which serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rollout.backups import MANIFEST
from tests.e2e.papers import (
    BACKUP,
    HOUR,
    NOW,
    checkout,
    normal,
    on_call,
    record,
    report,
    urgent,
)  # fmt: skip
from tests.e2e.world import World, docker
from tests.unit.checkout import Checkout

SHUT = f"{NOW + 6 * HOUR:%H:%M}-{NOW + 7 * HOUR:%H:%M}"

Break = Callable[[World], AbstractContextManager[None]]


@contextmanager
def undone(world: World) -> Iterator[Checkout]:
    """The checkout, which is afterwards as it was."""
    place = checkout(world)
    before = place.git("rev-parse", "HEAD")
    try:
        yield place
    finally:
        place.git("reset", "--quiet", "--hard", before)
        place.git("clean", "--quiet", "--force", "-d")


def with_record(**changes: Any) -> Break:
    """Something else stands in the release's record."""

    @contextmanager
    def broken(world: World) -> Iterator[None]:
        with undone(world) as place:
            record(place, "1.1.0", normal("CR-2", "1.1.0"), **changes)
            yield

    return broken


def with_change(**changes: Any) -> Break:
    """The release goes out under another change."""

    @contextmanager
    def broken(world: World) -> Iterator[None]:
        with undone(world) as place:
            record(place, "1.1.0", normal("CR-3", "1.1.0", **changes))
            yield

    return broken


def without(path: str) -> Break:
    @contextmanager
    def broken(world: World) -> Iterator[None]:
        with undone(world) as place:
            (place.root / path).unlink()
            yield

    return broken


def with_setting(key: str, value: Any) -> Break:
    return lambda world: world.setting(key, value)


@contextmanager
def failing_tests(world: World) -> Iterator[None]:
    with undone(world) as place:
        report(place, "1.1.0", '<testcase name="two"><failure>no</failure></testcase>')
        yield


@contextmanager
def nobody_on_call(world: World) -> Iterator[None]:
    with undone(world) as place:
        on_call(place, acknowledged=None)
        place.commit("nobody has acknowledged it")
        yield


@contextmanager
def an_emergency_of_which_nobody_wrote(world: World) -> Iterator[None]:
    with undone(world) as place:
        place.record("changes/CR-9.yaml", urgent("CR-9", "0.9.0"))
        place.commit("CR-9")
        yield


@contextmanager
def a_stopped_worker(world: World) -> Iterator[None]:
    worker = next(name for name in world.containers() if "-worker-" in name)
    docker("stop", "--time=1", worker)
    try:
        yield
    finally:
        docker("start", worker)


no_backup = without(f"backups/{BACKUP.key(MANIFEST)}")
a_shut_window = with_setting("deployWindow", SHUT)
a_deploy_tonight = with_setting("deployMaxPerDay", 1)

BROKEN: dict[str, tuple[Break, str]] = {
    "tests": (failing_tests, "it is fail: 1 of 2 passed (50.0 %)"),
    "review": (with_record(reviewed_by=[]), "reviewed_by"),
    "critical-bugs": (
        with_record(critical_bugs={"status": "fail", "open": ["#12"], "by": "lead", "at": NOW}),
        "#12",
    ),
    "documentation": (with_record(documentation=["manual/1.0.0.md"]), "manual/1.0.0.md"),
    "release-notes": (with_record(notes="releases/1.0.0.md"), "releases/1.0.0.md"),
    "server-resources": (with_setting("checklistMemoryPercent", 1), "memory below 1 %"),
    "disk-space": (with_setting("checklistDiskFreePercent", 100), "100 %"),
    "backup": (no_backup, "it is fail: there is no verified backup"),
    "migrations": (without("rehearsals/1.1.0.json"), "`ytops rehearse 1.1.0`"),
    "network": (with_setting("checklistEndpoints", {"registry": "http://127.0.0.1:9"}), "registry"),
    "team-notified": (without("announcements/1.1.0.yaml"), "`ytops announce 1.1.0`"),
    "window-announced": (with_record(announcement=True), "users"),
    "on-call": (nobody_on_call, "acknowledged"),
    "rollback-plan": (with_record(rollback=None), "has no section `rollback`"),
    "rollback-ready": (a_stopped_worker, "is exited; the limit: warm and healthy"),
    "window": (a_shut_window, f"the limit: {SHUT} UTC"),
    "once-daily": (a_deploy_tonight, "the limit: 1 a night"),
    "change-approved": (with_change(approvals=[]), "it is fail: CR-3 (normal) has no signature"),
    "lead-time": (with_change(history=[{"at": NOW, "by": "deployer", "state": "new"}]), "24 h"),
    "emergencies-documented": (an_emergency_of_which_nobody_wrote, "CR-9"),
}
