"""A restore as people see it: its points, its progress, what `status` keeps of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.verbs import _transfer
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from ops.verbs._points import screen as points_screen
from ops.verbs.restore import Options, dispatch
from ops.verbs.status import screen
from rollout.dumps import STAMP, DeployDump
from rollout.records import Restored
from rollout.restores import points, remembered
from tests.unit.cli.happy import NOW, look, observation
from tests.unit.rollout.test_restores import places, stored


def restored(kept: str) -> Restored:
    at = NOW - timedelta(minutes=5)
    return Restored(
        at=at,
        by="ana@desk",
        what="restore",
        source="database/daily/20261122T100000Z",
        data_of=datetime(2026, 11, 22, 10, tzinfo=UTC),
        kept=kept,
    )


def status(*notes: Restored) -> str:
    markers = {remembered(note.at): note.model_dump_json() for note in notes}
    return "\n".join(screen(look(observation=observation(markers=markers))))


def test_status_says_whose_data_it_is_and_what_is_kept() -> None:
    assert (
        "restored  data of 2026-11-22 10:00 UTC, by ana@desk 2026-11-22 11:55 UTC (5 min ago); "
        "ytempire_before_x is kept: `ytops restore --dismiss`, or `--undo`"
    ) in status(restored("ytempire_before_x"))


def test_status_remembers_the_last_one_when_nothing_is_kept() -> None:
    older = restored("").model_copy(update={"at": NOW - timedelta(days=1), "by": "ben@desk"})
    shown = status(older, restored(""))
    assert "by ana@desk" in shown
    assert "by ben@desk" not in shown
    assert "--dismiss" not in shown


def test_a_point_says_its_age_its_places_and_whether_it_was_proved() -> None:
    there = points(places(drive1=stored(), bucket=stored()))
    now = there[0].folder.taken + timedelta(hours=3)
    first, last = points_screen(there, [], now)
    assert first.split() == [
        there[0].stamp, "3", "h", "ago", "0.0", "kB", "listed", "drive1,", "bucket",
    ]  # fmt: skip
    assert last == "Next: `ytops restore 20270616T120000Z`, or `ytops restore newest`"


def test_what_a_deploy_took_stands_among_the_points_with_the_release_that_it_came_before() -> None:
    there = points(places(drive1=stored()))
    noon = there[0].folder.taken
    later, earlier = (
        DeployDump(f"{at:{STAMP}}-{release}.dump", at, release, 2_000_000)
        for at, release in (
            (noon + timedelta(hours=2), "1.2.0+cccc"),
            (noon - timedelta(hours=2), "1.1.0+bbbb"),
        )
    )
    lines = list(points_screen(there, [], noon + timedelta(hours=3), [later, earlier]))
    assert [line.split()[0] for line in lines[:3]] == [later.stamp, there[0].stamp, earlier.stamp]
    assert lines[0].split() == [
        later.stamp, "60", "min", "ago", "2.0", "MB", "listed", "host;", "before", "1.2.0+cccc",
    ]  # fmt: skip


def test_without_a_backup_a_deploy_s_dump_is_no_reason_to_say_that_there_is_nothing() -> None:
    dump = DeployDump("x", NOW, "1.1.0+bbbb", 1)
    assert list(points_screen([], [], NOW))[-1].startswith("There is no restore point. Next:")
    assert list(points_screen([], [], NOW, [dump]))[-1].startswith("There is no backup yet. Next:")


def test_a_log_gets_a_line_now_and_then_with_rate_and_time_left() -> None:
    assert _transfer.line("read", 500_000_000, 2_000_000_000, 10) == (
        "read: 500.0 MB of 2000.0 MB, 50.0 MB/s, 30 s left"
    )


@pytest.mark.parametrize(
    ("point", "options"),
    [
        ("newest", Options(undo=True)),
        ("", Options(undo=True, dismiss=True)),
        ("", Options(table="users")),
        ("", Options(from_place="bucket")),
    ],
)
def test_what_does_not_go_together_is_said(point: str, options: Options, tmp_path: Path) -> None:
    with pytest.raises(Misused):
        dispatch(Place(tmp_path, "sandbox"), point, options)
