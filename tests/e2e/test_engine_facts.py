"""How the engine really behaves, as `docs/decisions` and the design count on: a test a point.

Each on a project of a few lines. When one of them fails after an upgrade of the engine, what
stands on it has to be thought through again.
"""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi_policy import ResourceValidationArgs

from tests.e2e.sketch import Sketch
from tests.e2e.world import ROOT, World, wait_until

Draw = Callable[[str], Sketch]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Make a project of these lines."""

    def make(program: str) -> Sketch:
        sketch = Sketch(tmp_path)
        sketch.create(program)
        return sketch

    return make


def test_a_component_without_children_gates_nothing_and_a_custom_resource_does(draw: Draw) -> None:
    sketch = draw("""
        class Gate(pulumi.ComponentResource):
            def __init__(self):
                super().__init__("sketch:index:Gate", "component", None)
                self.register_outputs({})
        do("ungated", opts=ResourceOptions(depends_on=[Gate()]))
        do("gated", opts=ResourceOptions(depends_on=[do("gate")]))
    """)
    assert sketch.up().ok
    recorded = sketch.recorded()
    assert not recorded["ungated"].get("dependencies")
    assert recorded["gated"]["dependencies"] == [recorded["gate"]["urn"]]


def test_what_depends_on_our_gate_waits_for_it(draw: Draw) -> None:
    sketch = draw("""
        from components.step import step
        from rollout.steps import Gate
        gate = step("gate", Gate(action="deploy", reason=TURN, target=None, serial=1),
                    SETTINGS, ResourceOptions(), key=TURN)
        do("gated", opts=ResourceOptions(depends_on=[gate]))
    """)
    assert sketch.up().ok
    recorded = sketch.recorded()
    assert recorded["gated"]["dependencies"] == [recorded["gate"]["urn"]]


def test_a_gate_that_is_evaluated_late_lets_nothing_run_before_it(draw: Draw) -> None:
    sketch = draw("""
        gate = do("gate", waits=1, fails=True)
        do("gated", opts=ResourceOptions(depends_on=[gate]))
    """)
    assert not sketch.up().ok
    assert sketch.did() == ["gate"]


def test_a_policy_on_the_gate_stops_everything_without_a_preview_too(draw: Draw) -> None:
    sketch = draw("""
        gate = do("gate", delete="true")
        do("gated", opts=ResourceOptions(depends_on=[gate]))
    """)
    outcome = sketch.up(PULUMI_OPTION_POLICY_PACK=str(ROOT / "policies"))
    assert not outcome.ok
    assert "gate must not have a delete" in outcome.text
    assert sketch.did() == []


def test_a_program_cannot_prove_that_the_pack_ran(draw: Draw) -> None:
    sketch = draw("""do("gate", delete="true")""")
    assert sketch.up().ok


def test_a_target_passes_the_gate_by_and_the_next_preview_tells(draw: Draw) -> None:
    sketch = draw("""
        broken = {"delete": "true"} if TURN == "2" else {}
        gate = do("gate", turn=TURN, triggers=[TURN], **broken)
        do("gated", turn=TURN, triggers=[TURN], opts=ResourceOptions(depends_on=[gate]))
    """)
    assert sketch.up().ok
    sketch.did()
    target = sketch.recorded()["gated"]["urn"]
    pack = str(ROOT / "policies")
    assert sketch.up("--target", target, TURN="2", PULUMI_OPTION_POLICY_PACK=pack).ok
    assert sketch.did() == ["gated2"]
    assert not sketch.run("preview", "--expect-no-changes", TURN="2").ok


def test_protection_bounds_a_destroy_and_an_edit_of_the_state_lifts_it_unseen(draw: Draw) -> None:
    sketch = draw("""
        do("kept", opts=ResourceOptions(protect=True))
        do("free")
    """)
    assert sketch.up().ok
    assert sketch.run("destroy", "--yes", "--skip-preview", "--exclude-protected").ok
    recorded = sketch.recorded()
    assert "kept" in recorded
    assert "free" not in recorded
    assert not sketch.run("preview", "--expect-no-changes").ok
    assert sketch.up().ok
    assert sketch.run("state", "unprotect", recorded["kept"]["urn"], "--yes").ok
    assert sketch.run("preview", "--expect-no-changes").ok
    assert sketch.up().ok
    assert sketch.recorded()["kept"]["protect"]


def test_a_replacement_is_refused_where_protection_was_recorded_and_stands(draw: Draw) -> None:
    sketch = draw("""
        import os
        keep = ResourceOptions(protect=os.environ["KEEP"] == "yes")
        do("kept", triggers=[TURN], opts=keep)
    """)
    assert sketch.up(KEEP="no").ok
    assert sketch.up(KEEP="yes", TURN="2").ok  # it is recorded with this run only
    refused = sketch.up(KEEP="yes", TURN="3")
    assert not refused.ok
    assert "unable to replace resource" in refused.text
    assert sketch.up(KEEP="no", TURN="3").ok


def test_what_was_taken_out_of_the_state_shows_in_the_next_preview(draw: Draw) -> None:
    sketch = draw("""do("forgotten")""")
    assert sketch.up().ok
    assert sketch.run("state", "delete", sketch.recorded()["forgotten"]["urn"], "--yes").ok
    assert not sketch.run("preview", "--expect-no-changes").ok


def test_a_resource_policy_gets_neither_the_operation_nor_the_old_state() -> None:
    given = set(inspect.signature(ResourceValidationArgs.__init__).parameters)
    assert not [name for name in given if "old" in name or "operation" in name]


def test_outputs_name_the_old_after_a_later_step_has_failed(draw: Draw) -> None:
    sketch = draw("""
        first = do("switch", turn=TURN, triggers=[TURN])
        later = do("later", fails=TURN == "2", triggers=[TURN],
                   opts=ResourceOptions(depends_on=[first]))
        pulumi.export("live", first.id.apply(lambda _: TURN))
        pulumi.export("after", later.id.apply(lambda _: TURN))
    """)
    assert sketch.up().ok
    assert not sketch.up(TURN="2").ok
    assert "switch2" in sketch.did()
    assert sketch.outputs() == {"live": "1", "after": "1"}


def test_outputs_that_wait_for_nothing_name_what_was_only_asked_for(draw: Draw) -> None:
    sketch = draw("""
        pulumi.export("live", TURN)
        do("switch", fails=TURN == "2", triggers=[TURN])
    """)
    assert sketch.up().ok
    assert not sketch.up(TURN="2").ok
    assert sketch.outputs() == {"live": "2"}


def test_the_output_of_a_stash_keeps_its_first_value_and_its_input_is_current(draw: Draw) -> None:
    sketch = draw("""
        stash = pulumi.Stash("stash", input=TURN)
        pulumi.export("seen", [stash.output, stash.input])
    """)
    assert sketch.up().ok
    assert sketch.up(TURN="2").ok
    assert sketch.outputs() == {"seen": ["1", "2"]}


def test_a_changed_trigger_creates_first_and_deletes_last(draw: Draw) -> None:
    sketch = draw("""
        first = do("first", turn=TURN, triggers=[TURN], delete="echo gone >> done")
        do("second", turn=TURN, triggers=[TURN], opts=ResourceOptions(depends_on=[first]))
    """)
    assert sketch.up().ok
    sketch.did()
    assert sketch.up(TURN="2").ok
    assert sketch.did() == ["first2", "second2", "gone"]


def test_deletes_of_a_failed_run_wait_for_the_next_successful_one(draw: Draw) -> None:
    sketch = draw("""
        first = do("first", turn=TURN, triggers=[TURN], delete="echo gone >> done")
        do("second", fails=TURN == "2", triggers=[TURN], opts=ResourceOptions(depends_on=[first]))
    """)
    assert sketch.up().ok
    assert not sketch.up(TURN="2").ok
    assert "gone" not in sketch.did()
    assert sketch.up(TURN="3").ok
    assert sketch.did().count("gone") == 2


def test_a_step_of_ours_is_replaced_without_a_delete(draw: Draw) -> None:
    sketch = draw("""
        from components.step import step
        from rollout.steps import Gate
        step("gate", Gate(action="deploy", reason="", target=None, serial=int(TURN)),
             SETTINGS, ResourceOptions(), key=TURN)
    """)
    assert sketch.up().ok
    outcome = sketch.up(TURN="2")
    assert outcome.ok, outcome.text
    assert "gate replaced" in outcome.text
    assert not sketch.recorded()["gate"]["inputs"].get("delete")


def test_an_edited_script_or_environment_updates_by_create_and_deletes_nothing(draw: Draw) -> None:
    sketch = draw("""
        do("script", turn=TURN, delete="echo gone >> done")
        do("variable", environment={"TURN": TURN}, delete="echo gone >> done")
    """)
    assert sketch.up().ok
    sketch.did()
    outcome = sketch.up(TURN="2")
    assert "script updated" in outcome.text
    assert sorted(sketch.did()) == ["script2", "variable"]


def test_an_edited_script_runs_its_update_where_it_has_one(draw: Draw) -> None:
    sketch = draw("""do("script", turn=TURN, update=f"echo updated{TURN} >> done")""")
    assert sketch.up().ok
    assert sketch.up(TURN="2").ok
    assert sketch.did() == ["script1", "updated2"]


def test_an_edited_step_of_ours_runs_no_backup_and_no_migration_again(shared: World) -> None:
    markers = shared.state()["markers"]
    with shared.setting("notifyWebhook", "http://127.0.0.1:9/"):  # in each step's environment
        outcome = shared.up(None)
    assert outcome.ok, outcome.text
    settled = shared.up(None)
    assert settled.ok, settled.text
    for step in ("backup", "migrate", "app", "verify"):
        assert not outcome.step_ran(f"blue-{step}"), outcome.text
        assert not outcome.step_ran(f"green-{step}"), outcome.text
    assert shared.state()["markers"] == markers


def test_ignoring_all_changes_freezes_a_resource(draw: Draw) -> None:
    sketch = draw("""
        do("frozen", turn=TURN, triggers=[TURN], environment={"TURN": TURN},
           opts=ResourceOptions(ignore_changes=["*"]))
    """)
    assert sketch.up().ok
    outcome = sketch.up("--expect-no-changes", TURN="2")
    assert outcome.ok, outcome.text
    assert sketch.did() == ["frozen1"]


def test_protection_of_one_resource_does_not_save_the_others(draw: Draw) -> None:
    sketch = draw("""
        volume = do("volume", opts=ResourceOptions(protect=True))
        do("container", delete="echo gone >> done", opts=ResourceOptions(depends_on=[volume]))
    """)
    assert sketch.up().ok
    sketch.did()
    outcome = sketch.run("destroy", "--yes", "--skip-preview")
    assert not outcome.ok
    assert "protected" in outcome.text
    assert sketch.did() == ["gone"]


def test_nothing_runs_after_a_failed_resource(draw: Draw) -> None:
    sketch = draw("""
        failing = do("failing", fails=True)
        do("notify", opts=ResourceOptions(depends_on=[failing]))
    """)
    assert not sketch.up().ok
    assert sketch.did() == ["failing"]


def test_a_failed_deploy_shows_neither_traceback_nor_interrupt(draw: Draw) -> None:
    sketch = draw("""
        failing = do("failing", fails=True)
        failing.stdout.apply(lambda _: do("inner"))
        do("notify", opts=ResourceOptions(depends_on=[failing]))
    """)
    outcome = sketch.up()
    assert not outcome.ok
    for word in ("Traceback", "KeyboardInterrupt"):
        assert word not in outcome.text, outcome.text


def test_a_killed_engine_leaves_its_shell_running(draw: Draw) -> None:
    sketch = draw("""do("step", waits=30)""")
    engine = sketch.start("up", "--yes", "--skip-preview")
    try:
        wait_until((sketch.folder / "done").exists, "the step did not begin", 30)
        engine.kill()
        engine.wait(10)
        assert _at_work(sketch.folder, "sleep")
    finally:
        for process in _at_work(sketch.folder, ""):
            os.kill(process, signal.SIGKILL)


def test_an_up_is_a_preview_and_an_update(draw: Draw) -> None:
    sketch = draw("""do("step")""")
    outcome = sketch.run("up", "--yes")
    assert "Previewing update" in outcome.text
    assert "Updating" in outcome.text


def _at_work(folder: Path, command: str) -> list[int]:
    """Processes that were started in this folder's project."""
    found = []
    mark = f"file://{folder}/state".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ours = mark in (entry / "environ").read_bytes()
            if ours and (entry / "cmdline").read_bytes().startswith(command.encode()):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
