"""A drill's phases: each is told and recorded, the first that fails is the last, and what says
nothing of the recovery is not recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.backup import packing
from ops.drill import story as subject
from ops.drill.story import Story
from ops.drill.trying import answered, failures
from ops.errors import HostUnreachable, OpsError
from ops.verbs._exit import INTERRUPTED, Failed, Refused
from ops.verbs._place import Place
from rollout.drills import STACK
from rollout.records import Status
from rollout.settings import load
from tests.unit.stack_files import raw


class Site:
    """A stack that comes up, or does not."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.place = Place(Path("/nowhere"), STACK)

    def begin(self, *_: Any) -> None:
        if self.error:
            raise self.error

    def up(self, version: str) -> None:
        raise AssertionError(f"it goes on to {version or 'the stack'}")


@pytest.fixture
def told() -> list[tuple[str, bool]]:
    return []


@pytest.fixture
def story(told: list[tuple[str, bool]], tmp_path: Path) -> Story:
    settings = load("sandbox", raw("sandbox"))
    return Story(
        Place(tmp_path, "sandbox"),
        settings,
        packing.identity(packing.new_key()[0]),
        "",
        "unix:///var/run/docker.sock",
        "on-call@desk",
        lambda name, ok, seconds, words: told.append((name, ok)),
    )


def go(story: Story, site: Site) -> Any:
    return story.go(site)  # type: ignore[arg-type]


def test_without_a_backup_there_is_no_recovery_and_that_is_recorded(
    story: Story, told: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> Any:
        raise OpsError("There is no verified backup, s3://x.\nNext: `ytops backup status`")

    monkeypatch.setattr(subject, "source", nobody)
    record = go(story, Site())
    assert told == [("find", False)]
    assert (record.verdict, record.backup, record.rto_seconds) == (Status.FAIL, "", None)
    assert record.detail.startswith("find: There is no verified backup, s3://x. Next: ")


@pytest.mark.parametrize(
    "error", [Refused("locked"), HostUnreachable("gone"), Failed("stopped", INTERRUPTED)]
)
def test_a_drill_that_can_not_be_held_says_nothing_of_the_recovery(
    story: Story, monkeypatch: pytest.MonkeyPatch, error: OpsError
) -> None:
    def away(*_: object) -> Any:
        raise error

    monkeypatch.setattr(subject, "source", away)
    with pytest.raises(type(error)):
        go(story, Site())


def test_an_answer_is_read_off_its_headers() -> None:
    headers = "HTTP/1.1 200 OK\r\nServer: nginx\r\nx-release: 1.0.0+ab12\r\n\r\n"
    assert answered(headers) == (200, "1.0.0+ab12")
    assert answered("") == (0, "")


def test_a_job_that_failed_is_found_in_its_workers_words() -> None:
    log = (
        "[2027-01-01 00:00:00,000: INFO/MainProcess] Task app.job[1] received\n"
        "[2027-01-01 00:00:01,000: ERROR/ForkPoolWorker-1] Task app.job[1] raised unexpected: E()\n"
    )
    assert [line[-25:] for line in failures(log)] == ["[1] raised unexpected: E()"[-25:]]
    assert failures("[2027: INFO/ForkPoolWorker-1] Task app.job[1] succeeded in 0.1s: None") == []
