"""After a run the stack file says what is live."""

from __future__ import annotations

from pathlib import Path

from ops.verbs._change import Change, permission
from tests.unit.cli import happy
from tests.unit.cli.happy import STACK_FILE, place
from tests.unit.rollout.host_model import release


def begun(folder: Path, version: str = "1.1.0", reinstate: str = "") -> Change:
    change = Change(place(folder).file, version, reinstate)
    change.begin()
    return change


def test_the_version_is_written_before_the_run(tmp_path: Path) -> None:
    assert begun(tmp_path).file.get("version") == "1.1.0"


def test_a_deploy_that_serves_asks_for_a_commit(tmp_path: Path) -> None:
    assert begun(tmp_path).settle("1.1.0") == "Pulumi.sandbox.yaml names 1.1.0 now: commit it."


def test_a_failed_deploy_puts_the_old_version_back_and_says_so(tmp_path: Path) -> None:
    change = begun(tmp_path)
    assert change.settle("1.0.0") == "Pulumi.sandbox.yaml names 1.0.0 again."
    assert change.file.path.read_text() == STACK_FILE


def test_while_nobody_knows_what_serves_the_file_is_left(tmp_path: Path) -> None:
    change = begun(tmp_path)
    assert change.settle(None).startswith("Pulumi.sandbox.yaml still names 1.1.0")
    assert change.file.get("version") == "1.1.0"


def test_a_run_without_a_new_version_leaves_the_file_alone(tmp_path: Path) -> None:
    for version in ("", "1.0.0"):
        assert begun(tmp_path, version).settle("0.9.0") == ""
        assert (tmp_path / "Pulumi.sandbox.yaml").read_text() == STACK_FILE


def test_a_reinstatement_is_for_one_run(tmp_path: Path) -> None:
    change = begun(tmp_path, reinstate="1.1.0+bbbb@3")
    assert change.file.get("reinstate") == "1.1.0+bbbb@3"
    change.settle("1.1.0")
    assert change.file.get("reinstate") is None


def test_an_identity_that_serves_is_what_was_asked_for(tmp_path: Path) -> None:
    change = begun(tmp_path, "1.1.0+bbbb")
    assert change.settle("1.1.0+cccc") == "Pulumi.sandbox.yaml names 1.0.0 again."
    change = begun(tmp_path, "1.1.0+bbbb")
    assert change.settle("1.1.0+bbbb").endswith("names 1.1.0+bbbb now: commit it.")
    assert begun(tmp_path).settle("1.1.0+bbbb").endswith("names 1.1.0 now: commit it.")


def test_all_withdrawn_configurations_of_a_version_are_excused() -> None:
    twin = release("1.1.0", "cccc")
    gone = {**happy.withdrawn(happy.NEW, 3), **happy.withdrawn(twin, 5)}
    state = happy.state(withdrawn=gone)
    assert permission(state, "1.1.0") == "1.1.0+bbbb@3,1.1.0+cccc@5"
    assert permission(state, "1.1.0+cccc") == "1.1.0+cccc@5"
    assert permission(state, "1.0.0") == permission(state, "") == ""
