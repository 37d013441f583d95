"""`ytops secrets`: what is shown, what is refused, and what a rotation does in which order."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.engine import Engine
from ops.errors import OpsError
from ops.verbs import _rotation, secrets
from ops.verbs._exit import Failed, Misused
from ops.verbs._rotation import Rotation
from ops.verbs._store_keys import exchanged
from rollout.names import Colour
from rollout.plan import View
from rollout.settings import Settings, load
from rollout.shapes import Pointer
from rollout.state import HostState, Slot
from tests.unit.cli.happy import place
from tests.unit.components.program import wanted
from tests.unit.stack_files import raw

SECURE = "\n    secure: v1:xyz\n"
SECOND = {"redisLogin": "b", "redisPasswordB": "second"}


# ---- list ---------------------------------------------------------------------------------


def test_the_list_shows_moments_and_opens_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = place(tmp_path)
    rotated = "  ytempire:secretsRotated:\n    redisPassword: '2026-01-02T03:04:05+00:00'\n"
    here.file.path.write_text(here.file.path.read_text() + rotated)
    secrets.listed(here, as_json=True)
    row, _ = json.loads(capsys.readouterr().out)
    assert (row["name"], row["way"], row["under_way"]) == ("redisPassword", "turn", False)
    assert row["rotated"] == "2026-01-02T03:04:05+00:00"
    assert "xyz" not in str(row)


def test_the_list_names_a_rotation_that_is_under_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = place(tmp_path)
    here.file.path.write_text(here.file.path.read_text() + f"  ytempire:redisPasswordB:{SECURE}")
    secrets.listed(here, as_json=False)
    assert "not rotated yet; " in (told := capsys.readouterr().out)
    assert "✗ a rotation is under way: `ytops secrets rotate`\n" in told


# ---- what is asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("redis", "redis is no credential. Next: `ytops secrets list`"),
        ("edgeCertificateKey", "edgeCertificateKey is not rotated by this: it goes with its "),
    ],
)
def test_what_can_not_be_rotated_is_said(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(Misused) as caught:
        secrets.rotate(place(tmp_path), [name], everything=False, yes=True)
    assert str(caught.value).startswith(said)


def test_without_a_name_and_without_a_rotation_under_way_it_asks_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.verbs._database.settings", lambda _: configured())
    with pytest.raises(Misused, match="Which one"):
        secrets.rotate(place(tmp_path), [], everything=False, yes=True)


def test_a_value_that_others_issue_comes_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    with pytest.raises(Misused, match="expected its new value on standard input, got none"):
        secrets.rotate(place(tmp_path), ["notifyWebhook"], everything=False, yes=True)


# ---- the store ----------------------------------------------------------------------------


def test_a_key_is_exchanged_in_its_own_profile_and_nothing_else_changes() -> None:
    text = "# mine\n[b-uploader]\naws_access_key_id=A\naws_secret_access_key = S\n[b]\n"
    other = "aws_access_key_id=A\n"
    assert exchanged(text + other, "b-uploader", "B", "T") == (
        "# mine\n[b-uploader]\naws_access_key_id=B\naws_secret_access_key = T\n[b]\n" + other
    )
    assert exchanged(other, "b-uploader", "B", "T") == other


# ---- the stack file -----------------------------------------------------------------------

# As Pulumi: the last argument is the key, the value comes on stdin, the file is edited.
STUB = """\
#!/bin/sh
echo "$@" >> "$STUB_LOG"
while [ $# -gt 1 ]; do [ "$1" != --config-file ] || file=$2; shift; done
[ -z "$STUB_ERROR" ] || { echo "error: $STUB_ERROR" >&2; exit 255; }
printf '%s is %s\\n' "$1" "$(cat)" >> "$file"
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "pulumi"
    program.write_text(STUB.replace('"$1" "$(cat)"', '"a key" "$(cat)"'))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "called"))
    place(tmp_path)
    return Engine(tmp_path, "sandbox")


def test_values_reach_the_stack_file_and_no_process_list(engine: Engine) -> None:
    engine.configure({"redisPassword": "hush"}, {"redisLogin": "b"})
    file = engine.root / "Pulumi.sandbox.yaml"
    assert file.read_text().endswith("a key is hush\na key is \n")
    assert "--plaintext ytempire:redisLogin=b" in (engine.root / "called").read_text()
    assert "hush" not in (engine.root / "called").read_text()
    assert [path.name for path in engine.root.glob(".Pulumi*")] == []


def test_a_value_that_is_not_taken_leaves_the_whole_file_as_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = engine.root / "Pulumi.sandbox.yaml"
    before = file.read_text()
    monkeypatch.setenv("STUB_ERROR", "incorrect passphrase")
    with pytest.raises(OpsError) as caught:
        engine.configure({"redisPassword": "hush"}, {"redisLogin": "b"})
    assert str(caught.value) == (
        "`redisPassword` of sandbox can't be written: incorrect passphrase\n"
        "Pulumi.sandbox.yaml is as it was."
    )
    assert (file.read_text(), [*engine.root.glob(".Pulumi*")]) == (before, [])


# ---- the story ----------------------------------------------------------------------------


def configured(**changes: str) -> Settings:
    return load("sandbox", {**raw("sandbox"), **changes})


@dataclass
class Stage:
    """A host on which 1.1.0 serves from green; each thing that a rotation does is written down."""

    changes: dict[str, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    good: bool = False
    fails: str = ""
    claimed: dict[str, Any] = field(default_factory=dict)

    def settings(self, _: object) -> Settings:
        return configured(**self.changes)

    def configure(
        self, values: dict[str, str], plain: dict[str, str], forget: tuple[str, ...] = ()
    ) -> None:
        self.did.append(f"forget {' '.join(forget)}" if forget else f"write {' '.join(values)}")
        self.changes |= {k: v for k, v in {**values, **plain}.items() if k.isalnum()}
        self.changes |= dict.fromkeys(forget, "")

    def up(self, here: object, version: str, **_: object) -> None:
        self.did.append(f"up {version}".strip())
        if self.fails:
            raise Failed(self.fails)

    def observe(self, *_: object) -> Any:
        old, new = wanted("sandbox", version="1.0.0"), wanted("sandbox", version="1.1.0", **SECOND)
        live = Pointer(colour="green", identity=new.identity)
        status: Any = "preparing" if self.claimed else "ready"
        slots: dict[Colour, Slot] = {
            "blue": Slot(identity=old.identity, claim=1, status=status, was_live=True),
            "green": Slot(identity=new.identity, claim=2, status="ready", was_live=True),
        }
        releases = {release.identity: release for release in (old, new)}
        state = HostState(claim=2, live=live, slots=slots, releases=releases)
        return type("Observed", (), {"view": View(state, live)})

    def ask(self, verb: str, **fields: Any) -> None:
        self.did.append(f"{verb} {fields['colour']}")
        self.claimed = fields


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    told = Stage()
    monkeypatch.setattr("ops.verbs._database.settings", told.settings)
    monkeypatch.setattr("ops.verbs.up.up", told.up)
    monkeypatch.setattr(_rotation, "observe", told.observe)
    monkeypatch.setattr(Engine, "configure", lambda _, *a, **k: told.configure(*a, **k))
    monkeypatch.setattr("ops.credentials.Servers.redis_takes", lambda *_: told.good)
    monkeypatch.setattr("ops.credentials.Servers.replication_takes", lambda *_: told.good)

    class Session:
        def __init__(self, *_: object) -> None:
            self.ask = told.ask

        def __enter__(self) -> Session:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(_rotation, "Session", Session)
    return told


def test_a_turn_is_written_deployed_closed_tried_and_forgotten(
    tmp_path: Path, stage: Stage
) -> None:
    Rotation(place(tmp_path), ("redisPassword",)).go()
    assert stage.did == [
        "write redisPasswordB", "up 1.1.0", "claim blue", "up", "forget redisPassword",
    ]  # fmt: skip
    assert stage.claimed["claim"] == 3
    assert stage.claimed["release"]["version"] == "1.0.0"


def test_a_rotation_that_was_cut_off_goes_on_and_makes_no_other_password(
    tmp_path: Path, stage: Stage
) -> None:
    stage.fails = "the new release is not healthy"
    with pytest.raises(Failed) as caught:
        Rotation(place(tmp_path), ("redisPassword",)).go()
    assert str(caught.value).endswith("Next: the same command again, which goes on from there.")
    stage.fails, stage.did = "", []
    Rotation(place(tmp_path), ("redisPassword",)).go()
    assert stage.did == ["up 1.1.0", "claim blue", "up", "forget redisPassword"]


def test_a_slot_that_was_taken_already_is_not_taken_again(tmp_path: Path, stage: Stage) -> None:
    stage.changes, stage.claimed = dict(SECOND), {"claim": 3}
    Rotation(place(tmp_path), ()).go()
    assert stage.did == ["up 1.1.0", "up", "forget redisPassword"]


def test_an_old_password_that_is_still_taken_is_not_forgotten(tmp_path: Path, stage: Stage) -> None:
    stage.good = True
    with pytest.raises(Failed, match="An old password is still taken: Redis that of app\n"):
        Rotation(place(tmp_path), ("redisPassword",)).go()
    assert not any(words.startswith("forget") for words in stage.did)


def test_what_no_release_was_started_with_takes_no_slot(tmp_path: Path, stage: Stage) -> None:
    Rotation(place(tmp_path), ("postgresReplicationPassword",)).go()
    assert stage.did == ["write postgresReplicationPassword", "up 1.1.0"]


def test_another_signing_key_takes_the_slot_that_has_the_old_one(
    tmp_path: Path, stage: Stage
) -> None:
    stage.changes = {"backendSecrets": '{"DJANGO_SECRET_KEY": "old"}'}
    name = "backendSecrets.DJANGO_SECRET_KEY"
    Rotation(place(tmp_path), (name,)).go()
    assert stage.did == [f"write {name}", "up 1.1.0", "claim blue", "up"]
