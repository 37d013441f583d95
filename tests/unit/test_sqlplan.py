"""The SQL plan is asked of the new image, and its containers may only read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops import sqlplan
from ops.docker import Docker
from ops.errors import OpsError
from ops.sqlplan import SHOWN, Asker, planned
from ops.steps._one_shot import OneShot, Outcome
from rollout.names import Names
from tests.unit.components.program import wanted

PLAN = """\
Planned operations:
app.0002_video_thumbnail
    Add field thumbnail to video
app.0003_rename_channel_name
    Rename field name on channel to title
"""


@dataclass
class Host:
    """What is on it, and what its containers say."""

    says: dict[str, str]
    image: bool = True
    database: bool = True
    code: int | None = 0
    ran: list[OneShot] = field(default_factory=list)

    def run(self, _docker: object, shot: OneShot, say: Any, _timeout: float) -> Outcome:
        self.ran.append(shot)
        words = self.says.get(shot.command[-1], "")
        for line in words.splitlines():
            say(line)
        return Outcome(self.code, words)

    @property
    def docker(self) -> Docker:
        database = SimpleNamespace(running=True) if self.database else None
        return cast(
            Docker,
            SimpleNamespace(
                host="unix:///x",
                image=lambda _: object() if self.image else None,
                inspect=lambda _: database,
            ),
        )


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host({"--plan": PLAN, "0002_video_thumbnail": "ALTER TABLE a;\nCREATE INDEX b;"})
    monkeypatch.setattr(sqlplan, "run", found.run)
    return found


def asker(host: Host, *command: str) -> Asker:
    release = wanted("sandbox", version="1.2.0")
    if command:
        release = replace(release, migrate_command=command)
    return Asker(host.docker, Names("sandbox"), release, {"DATABASE_URL": "postgres://secret"})


def test_each_migration_to_come_is_shown_with_its_sql(host: Host) -> None:
    plan = asker(host).ask()
    assert list(plan.migrations) == ["app.0002_video_thumbnail", "app.0003_rename_channel_name"]
    assert plan.migrations["app.0002_video_thumbnail"] == "ALTER TABLE a;\nCREATE INDEX b;"
    assert [shot.command[1:] for shot in host.ran] == [
        ("manage.py", "migrate", "--plan"),
        ("manage.py", "sqlmigrate", "app", "0002_video_thumbnail"),
        ("manage.py", "sqlmigrate", "app", "0003_rename_channel_name"),
    ]


def test_it_only_reads_has_one_network_and_no_volume_and_shows_no_secret(host: Host) -> None:
    asker(host).ask()
    for shot in host.ran:
        created = shot.create()
        assert "PGOPTIONS=-c default_transaction_read_only=on" in created
        assert shot.networks == ("ytempire-sandbox-net-data",)
        assert not shot.volumes
        assert "postgres://secret" not in " ".join(created)
    assert len({shot.name for shot in host.ran}) == len(host.ran)


def test_of_many_only_the_first_are_asked_for(host: Host) -> None:
    host.says["--plan"] = "\n".join(f"app.{n:04}_x" for n in range(SHOWN + 3))
    plan = asker(host).ask()
    assert (len(plan.migrations), plan.more) == (SHOWN, 3)


def test_nothing_to_apply_is_a_plan_too() -> None:
    assert planned("Planned operations:\n  No planned migration operations.\n") == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"image": False}, "the image ytempire/backend:1.2.0 is not on unix:///x"),
        ({"database": False}, "ytempire-sandbox-postgres does not run on unix:///x"),
        (
            {"code": 1, "says": {"--plan": "OperationalError: no route"}},
            "`migrate --plan` of ytempire/backend:1.2.0: exit code 1: OperationalError: no route",
        ),
        (
            {"code": None, "says": {}},
            "`migrate --plan` of ytempire/backend:1.2.0: was not over in time: without a word",
        ),
    ],
)
def test_what_cannot_be_told_says_why(host: Host, changes: dict[str, Any], why: str) -> None:
    for key, value in changes.items():
        setattr(host, key, value)
    with pytest.raises(OpsError) as caught:
        asker(host).ask()
    assert str(caught.value) == why


def test_another_framework_s_command_is_left_alone(host: Host) -> None:
    with pytest.raises(OpsError, match="is not Django's"):
        asker(host, "alembic", "upgrade", "head").ask()
    assert host.ran == []
