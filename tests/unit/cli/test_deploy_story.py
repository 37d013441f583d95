"""`ytops up` and `rollback` from the first word to the last, with an engine that only pretends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.docker import Container, Docker
from ops.engine import Ended, Engine, Recorded
from ops.errors import HostUnreachable
from ops.observe import Observation
from ops.verbs import _deploy, _ports, _recover, backup, rollback, up
from ops.verbs._exit import Failed, Misused
from ops.verbs._place import Place
from rollout.plan import View
from rollout.shapes import Pointer
from rollout.state import Slot
from tests.unit.cli.happy import (
    BLUE,
    NAMES,
    OLD,
    STACK_FILE,
    containers,
    place,
    view,
    withdrawn,
)
from tests.unit.cli.test_run_progress import line, said
from tests.unit.rollout.host_model import release

STRAIGHT = ("up", "--yes", "--message", "--skip-preview")
PROTECTED = STACK_FILE.replace('protect: "false"', 'protect: "true"')


@dataclass
class Stage:
    """The host before and after, what the engine says, and what it was asked."""

    place: Place
    before: View
    after: View | None = None
    ended: Ended = field(default_factory=lambda: Ended(0, ""))
    says: list[str] = field(default_factory=list)
    recorded: Recorded = field(default_factory=Recorded)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    version: str | None = None
    reinstate: str | None = None

    def run(self, verb: str, *flags: str, hear: Callable[[str], None], tick: object) -> Ended:
        self.asked.append((verb, *(flag for flag in flags if flag.startswith("--"))))
        self.version = self.place.file.get("version")
        self.reinstate = self.place.file.get("reinstate")
        for text in self.says:
            hear(text)
        return self.ended

    def look(self, *_: object) -> Observation:
        if self.after is None and self.asked:
            raise HostUnreachable("gone")
        return Observation(self.after if self.asked and self.after else self.before)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    on = Stage(place(tmp_path), before=view(BLUE, live=BLUE), after=view())
    monkeypatch.setenv("YTOPS_WHO", "ana@desk")
    monkeypatch.setattr(Engine, "check", lambda self: None)
    monkeypatch.setattr(Engine, "recorded", lambda self: on.recorded)
    monkeypatch.setattr(Engine, "run", lambda self, *a, **k: on.run(*a, **k))
    monkeypatch.setattr(_recover, "unlock", lambda engine, say: None)
    monkeypatch.setattr(_ports, "check", lambda place: None)
    monkeypatch.setattr(_recover, "seen", lambda docker, stack: containers())
    monkeypatch.setattr(Docker, "inspect", lambda self, name: Container(name, "running"))
    for module in (up, rollback, _deploy):
        monkeypatch.setattr(module, "observe", on.look)
    return on


def words(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_deploy_tells_what_serves_what_to_commit_and_the_way_back(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    up.up(stage.place, "1.1.0")
    changes, live, address, commit, _, _, back, _ = words(capsys)
    assert changes.startswith("✓ 0 changes in ")
    assert (live, address) == (
        "  live         1.1.0+bbbb on green",
        "  address      https://localhost",
    )
    assert commit == "  Pulumi.sandbox.yaml names 1.1.0 now: commit it."
    assert back == "  roll back    ytops rollback     to 1.0.0, within seconds"
    assert (stage.version, stage.asked) == ("1.1.0", [STRAIGHT])


def test_a_deploy_backs_up_what_it_was_declared_by_last_and_a_rollback_does_not(
    tmp_path: Path,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage.place = place(tmp_path, f'{STACK_FILE}  ytempire:backupOnDeploy: "true"\n')
    monkeypatch.setattr(backup, "after_deploy", lambda place: ["config is backed up: config/X"])
    up.up(stage.place, "1.1.0")
    assert words(capsys)[-1] == "config is backed up: config/X"
    stage.before, stage.after = stage.after or stage.before, stage.before
    rollback.rollback(stage.place, "", yes=True)
    assert "config is backed up: config/X" not in words(capsys)


def test_a_run_is_done_when_what_serves_is_healthy(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = NAMES.app("green")
    well = iter([False, None, True])  # to Docker it is starting for longer
    booting = Container(app, "running", health="starting")
    monkeypatch.setattr(Docker, "inspect", lambda self, name: booting)
    monkeypatch.setattr(Docker, "is_well", lambda self, found: next(well))
    monkeypatch.setattr(stage.place.configuration, "get", lambda key: "90")
    up.up(stage.place, "1.1.0")
    assert words(capsys)[0] == f"{app} is booting: until it is healthy, nothing serves"
    assert next(well, "asked no more") == "asked no more"


def test_a_failed_deploy_says_why_what_serves_and_puts_the_version_back(stage: Stage) -> None:
    stage.after, stage.ended = stage.before, Ended(255, "")
    trouble = 'exit status 1: running "ytops-step healthy":\nIt does not boot.\n'
    stage.says = [
        said("green-healthy", trouble, "error"),
        line("resOpFailedEvent", "green-healthy"),
    ]
    with pytest.raises(Failed) as caught:
        up.up(stage.place, "1.1.0")
    assert str(caught.value) == (
        "green-healthy:\n  It does not boot.\n"
        "1.0.0+aaaa is live on blue, as before.\n"
        "Pulumi.sandbox.yaml names 1.0.0 again."
    )
    assert stage.place.file.path.read_text() == STACK_FILE


def test_a_failure_after_the_switch_keeps_the_version_that_serves(stage: Stage) -> None:
    stage.ended = Ended(255, "error: the cache did not answer")
    with pytest.raises(Failed) as caught:
        up.up(stage.place, "1.1.0")
    assert str(caught.value).splitlines()[1:] == [
        "1.1.0+bbbb is live on green, but the run did not finish. "
        "Next: `ytops up 1.1.0`, which goes on.",
        "Pulumi.sandbox.yaml names 1.1.0 now: commit it.",
    ]


def test_a_host_that_is_gone_afterwards_leaves_the_version_for_the_next_run(stage: Stage) -> None:
    stage.after, stage.ended = None, Ended(255, "error: The Docker host x does not answer: no")
    with pytest.raises(Failed) as caught:
        up.up(stage.place, "1.1.0")
    assert caught.value.code == 4
    assert stage.place.file.get("version") == "1.1.0"


def test_a_withdrawn_release_asked_for_by_name_may_come_back(stage: Stage) -> None:
    stage.before = view(BLUE, live=BLUE, withdrawn=withdrawn(view().state.releases["1.1.0+bbbb"]))
    up.up(stage.place, "1.1.0")
    assert (stage.reinstate, stage.place.file.get("reinstate")) == ("1.1.0+bbbb@3", None)


def test_so_may_a_withdrawn_configuration_of_the_version_that_is_live(stage: Stage) -> None:
    twin = release("1.0.0", "cccc")
    stage.before = stage.after = view(BLUE, live=BLUE, withdrawn=withdrawn(twin))
    up.up(stage.place, "1.0.0")
    assert (stage.reinstate, stage.place.file.get("reinstate")) == ("1.0.0+cccc@3", None)


def test_nothing_to_change_is_said(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.before = stage.after = view(BLUE, live=BLUE)
    up.up(stage.place, "")
    changes, live, *_ = words(capsys)
    assert changes.startswith("✓ 0 changes in ")
    assert live == "  live         1.0.0+aaaa on blue, as before"


def test_a_port_that_is_in_use_stops_before_anything_is_touched(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(place: Place) -> None:
        raise Misused("Port 80 is in use.")

    monkeypatch.setattr(_ports, "check", check)
    with pytest.raises(Misused):
        up.up(stage.place, "1.1.0")
    assert (stage.asked, stage.place.file.path.read_text()) == ([], STACK_FILE)


def test_drift_lets_the_engine_look_first(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.recorded = Recorded(containers=("ytempire-sandbox-cache",))
    up.up(stage.place, "1.1.0")
    assert words(capsys)[0] == (
        "ytempire-sandbox-cache is gone: the engine looks at the host first (--refresh)."
    )
    assert stage.asked == [("up", "--yes", "--message", "--refresh", "--skip-preview")]


def test_cut_off_operations_are_cleared_before(stage: Stage) -> None:
    stage.recorded = Recorded(pending=("green-app (creating)",))
    up.up(stage.place, "1.1.0")
    assert stage.asked == [
        ("refresh", "--yes", "--skip-preview", "--clear-pending-creates"),
        STRAIGHT,
    ]


def test_a_protected_stack_asks_and_where_nobody_can_answer_wants_yes(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.place, stage.after = place(tmp_path, PROTECTED), stage.before
    stage.says = [line("resourcePreEvent", "switch", planning=True)]
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Failed, match="the same command with `--yes`") as caught:
        up.up(stage.place, "1.1.0")
    assert isinstance(caught.value.__cause__, Misused)
    assert (caught.value.code, stage.asked) == (2, [("preview",)])
    assert stage.place.file.path.read_text() == PROTECTED


def test_a_no_changes_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.place, stage.after = place(tmp_path, PROTECTED), stage.before
    stage.says = [line("resourcePreEvent", "switch", planning=True)]
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(Failed, match="Nothing was changed"):
        up.up(stage.place, "1.1.0")
    assert (stage.asked, stage.place.file.path.read_text()) == ([("preview",)], PROTECTED)


def test_a_protected_stack_with_nothing_to_change_records_what_it_protects_and_does_not_ask(
    stage: Stage, tmp_path: Path
) -> None:
    stage.place, stage.after = place(tmp_path, PROTECTED), stage.before
    up.up(stage.place, "")
    assert stage.asked == [("preview",), ("up", "--yes", "--skip-preview", "--expect-no-changes")]


def test_with_yes_a_protected_stack_previews_in_the_same_run(stage: Stage, tmp_path: Path) -> None:
    stage.place = place(tmp_path, PROTECTED)
    up.up(stage.place, "1.1.0", yes=True)
    assert stage.asked == [("up", "--yes", "--message")]


def test_a_rollback_moves_at_once_and_says_from_where_to_where(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.place.file.set("version", "1.1.0")
    stage.before, stage.after = view(), view(BLUE, live=BLUE, withdrawn=withdrawn(OLD))
    rollback.rollback(stage.place, "", why="errors in checkout")
    assert words(capsys)[0] == "1.1.0+bbbb → 1.0.0+aaaa on blue"
    assert stage.asked == [STRAIGHT]
    assert stage.place.file.get("version") == "1.0.0"


def test_a_rollback_to_another_configuration_names_its_identity(stage: Stage) -> None:
    twin = release("1.1.0", "cccc")
    blue = Slot(identity=twin.identity, claim=3, status="ready", was_live=True)
    slots = {**view().state.slots, "blue": blue}
    releases = {**view().state.releases, twin.identity: twin}
    stage.before = view(slots=slots, releases=releases)
    back = Pointer(colour="blue", identity=twin.identity)
    stage.after = view(back, live=back, slots=slots, releases=releases)
    rollback.rollback(stage.place, "")
    assert stage.place.file.get("version") == twin.identity


def test_a_preview_leaves_no_trace_in_the_stack_file(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.says = [line("resourcePreEvent", "switch", planning=True)]
    up.preview(stage.place, "1.1.0")
    assert (stage.version, stage.place.file.path.read_text()) == ("1.1.0", STACK_FILE)
    listed, count, following = words(capsys)
    assert listed == "  run                switch"
    assert count.startswith("1 change, planned in ")
    assert following == "Next: `ytops up 1.1.0`"


def test_a_lock_that_only_the_cli_can_see_is_refused_in_the_same_words(stage: Stage) -> None:
    stage.ended = Ended(
        255, "error: locked: created by ana@nowhere (pid 1) at 2026-11-22T11:00:00Z"
    )
    with pytest.raises(Failed, match="Next: look on nowhere") as caught:
        up.up(stage.place, "1.1.0")
    assert caught.value.code == 3
    assert json.dumps(stage.asked).count('"up"') == 1
