"""The trace of a deploy in its change request: done, what was waived, and who was told of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.changes import Changes
from ops.engine import Engine, NotReady, Recorded, read_file_state
from ops.observe import Observation
from ops.verbs import _trace as trace
from ops.verbs import announce
from ops.verbs import change as verb
from ops.verbs._exit import Refused
from rollout import changes, steps
from rollout.plan import View
from rollout.records import Approval, Change
from rollout.shapes import Pointer
from rollout.state import HostState
from tests.unit.checkout import Checkout, Site
from tests.unit.rollout.night import (
    NOON,
    NOW,
    VERSION,
    deploy,
    emergency,
    history,
    items,
    release,
    requested,
)  # fmt: skip
from tests.unit.rollout.night import change as normal

WAIVED = ("window", "once-daily", "change-approved", "lead-time")
PASSED = ", ".join(WAIVED)
LIVE = f"{VERSION}+ab12cd34ef56"
FILE = "changes/CR-17.yaml"
NEW = [{"at": NOW, "by": "deployer", "state": "new"}]
TEAM_LEAD = Approval(role="team-lead", by="team lead", at=NOW)
BY_OPS_LEAD = Approval(role="platform-ops-lead", by="ops lead", at=NOW, verbal=True)


def carried(identity: str = LIVE) -> str:
    """The parameters of the gate of an emergency at noon, after another deploy."""
    excuse = requested(emergency(), emergencies=())
    found = items(now=NOON, change=excuse, history=history(deploy(NOON))).values()
    target = Pointer(colour="green", identity=identity)
    gate = steps.Gate(action="deploy", reason="", target=target, serial=2, checklist=tuple(found))
    return gate.json()


@dataclass
class Night:
    """1.2.0 serves, under CR-17. `told`: what to tell after a deploy."""

    checkout: Checkout
    site: Site

    @property
    def change(self) -> Change:
        return Changes(self.checkout.root).get("CR-17")

    def under(self, change: Change) -> None:
        self.checkout.record(FILE, change)
        self.checkout.commit("CR-17")

    def told(self, identity: str = LIVE) -> list[str]:
        return trace.deployed(self.checkout.place, Engine(self.checkout.root, "sandbox"), identity)


@pytest.fixture
def night(checkout: Checkout, site: Site, monkeypatch: pytest.MonkeyPatch) -> Night:
    checkout.record(f"releases/{VERSION}.yaml", release())
    monkeypatch.setattr(Engine, "recorded", lambda self: Recorded(gate=carried()))
    monkeypatch.setattr(Engine, "check", lambda self: None)
    monkeypatch.setenv(announce.WEBHOOK, f"{site.url}/hook")
    site.pages["/hook"] = "ok"
    return Night(checkout, site)


@pytest.fixture
def dark(night: Night) -> Night:
    """The same under an emergency."""
    night.under(changes.approve(emergency(approvals=[]), BY_OPS_LEAD))
    return night


def test_an_emergency_writes_down_what_it_passed_by(dark: Night) -> None:
    assert dark.told() == [
        f"CR-17, an emergency, is done. It passed by {PASSED}. Next: commit "
        "changes/CR-17.yaml, then `ytops change close CR-17 --document TEXT`"
    ]
    last = dark.change.history[-1]
    assert (str(last.state), last.note, last.waived) == ("done", LIVE, WAIVED)
    assert last.by == "Deployer <deployer@example.com>"
    assert Changes(dark.checkout.root).tampered() == ()


def test_an_emergency_is_announced(dark: Night) -> None:
    dark.told()
    ((_, _, body),) = dark.site.heard
    assert json.loads(body) == {
        "text": f"YTEMPIRE sandbox: {LIVE} went out under the emergency change CR-17 (uploads are "
        f"lost), approved by ops lead. It passed by {PASSED}. Not documented yet.",
        "event": "emergency",
        "stack": "sandbox",
        "target": LIVE,
        "change": "CR-17",
        "waived": PASSED,
    }


def test_an_emergency_shows_until_somebody_documents_it(dark: Night) -> None:
    assert list(changes.owing([dark.change])) == [
        "CR-17: emergency for 1.2.0 (uploads are lost), no deploy written (after one: "
        "`ytops change done CR-17`); not documented. "
        "Next: `ytops change close CR-17 --document TEXT`"
    ]
    dark.told()
    (owed,) = changes.owing([dark.change])
    assert "passed by change-approved, lead-time, once-daily, window; not documented" in owed
    verb.close(dark.checkout.place, "CR-17", document="uploads were lost because …")
    assert list(changes.owing([dark.change])) == []


def test_a_webhook_that_is_away_fails_nothing(
    dark: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    dark.site.pages["/hook"] = 500
    assert dark.told()[0].startswith("CR-17, an emergency, is done.")
    assert capsys.readouterr().out == ("nobody was told: the webhook at 127.0.0.1 answered 500\n")


def test_a_stack_without_a_webhook_says_that_nobody_was_told(
    dark: Night, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(announce.WEBHOOK)
    monkeypatch.setattr(Engine, "secret", lambda self, key: "")
    assert dark.told()[0].startswith("CR-17, an emergency, is done.")
    assert "nobody was told of CR-17: No webhook is configured" in capsys.readouterr().out


def test_a_second_run_writes_nothing_more(dark: Night) -> None:
    dark.told()
    before = dark.change
    assert dark.told() == []
    assert dark.change == before
    assert len(dark.site.heard) == 1


def test_a_normal_change_is_done_without_a_word_to_anybody(night: Night) -> None:
    night.under(changes.approve(normal(approvals=[], history=NEW), TEAM_LEAD))
    assert night.told() == ["CR-17 is done: commit changes/CR-17.yaml."]
    assert str(night.change.state) == "done"
    assert night.site.heard == []


def test_a_change_that_cannot_be_written_fails_nothing(night: Night) -> None:
    night.under(normal(approvals=[], history=NEW))
    assert night.told() == [
        "The change request does not say that 1.2.0 is deployed: CR-17: expected one of approved, "
        "closed after new, got done. Next: `ytops change approve CR-17`"
    ]
    (night.checkout.root / FILE).unlink()
    (told,) = night.told()
    assert told == (
        "The change request does not say that 1.2.0 is deployed: There is no changes/CR-17.yaml. "
        "Next: `ytops change list`"
    )


@pytest.mark.parametrize("gone", ["change", "record"])
def test_a_release_without_a_change_has_nothing_to_say(night: Night, gone: str) -> None:
    path = night.checkout.root / f"releases/{VERSION}.yaml"
    if gone == "record":
        path.unlink()
    else:
        night.checkout.record(f"releases/{VERSION}.yaml", release(change=None))
    assert night.told() == []


@pytest.mark.parametrize("gate", ["", carried("1.1.0+000000000000"), '{"target": null}'])
def test_only_the_gate_of_this_release_says_what_was_waived(gate: str) -> None:
    assert trace.passed(gate, LIVE) is None


@pytest.mark.parametrize("gate", ["", "another's"])
def test_an_emergency_that_no_gate_saw_says_that_it_is_not_known(
    dark: Night, monkeypatch: pytest.MonkeyPatch, gate: str
) -> None:
    found = Recorded(gate=carried("1.1.0+000000000000") if gate else "")
    monkeypatch.setattr(Engine, "recorded", lambda self: found)
    (told,) = dark.told()
    assert told.startswith("CR-17, an emergency, is done. It passed by not known. ")
    assert dark.change.history[-1].waived == ("not known",)


def test_the_gate_is_read_off_the_state(tmp_path: Path) -> None:
    urn = "urn:pulumi:sandbox::ytempire::command:local:Command::"
    gate = {"urn": f"{urn}gate", "inputs": {"environment": {"STEP": carried()}}}
    other = {"urn": f"{urn}blue-image", "inputs": {"environment": {"STEP": "{}"}}}
    file = tmp_path / ".pulumi/stacks/ytempire/sandbox.json"
    file.parent.mkdir(parents=True)
    latest = {"resources": [other, gate]}
    file.write_text(json.dumps({"checkpoint": {"latest": latest}}))
    found = read_file_state(f"file://{tmp_path}", "sandbox")
    assert found is not None
    assert trace.passed(found.gate, LIVE) == WAIVED


# After plain Pulumi

Serve = Callable[[str], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def serve(identity: str) -> None:
        edge = Pointer(colour="green", identity=identity) if identity else None
        seen = Observation(View(HostState(), edge))
        monkeypatch.setattr(verb, "observe", lambda docker, names: seen)

    return serve


def test_a_deploy_by_plain_pulumi_is_written_by_hand(
    dark: Night, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(LIVE)
    verb.done(dark.checkout.place, "CR-17", by="team-lead@example.org")
    assert capsys.readouterr().out.startswith("CR-17, an emergency, is done. It passed by window")
    assert dark.change.history[-1].by == "team-lead@example.org"


@pytest.mark.parametrize(
    ("identity", "serves"),
    [("1.1.0+000000000000", "1.1.0+000000000000 serves"), ("", "no release serves")],
)
def test_what_does_not_serve_is_not_done(
    dark: Night, serve: Serve, identity: str, serves: str
) -> None:
    serve(identity)
    with pytest.raises(Refused) as caught:
        verb.done(dark.checkout.place, "CR-17")
    assert str(caught.value) == f"CR-17 is for 1.2.0, and {serves}. Next: `ytops up 1.2.0`"


def test_without_a_state_nothing_is_written(
    dark: Night, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: Engine) -> Recorded:
        raise NotReady("There is no stack sandbox.")

    serve(LIVE)
    monkeypatch.setattr(Engine, "recorded", gone)
    with pytest.raises(NotReady):
        verb.done(dark.checkout.place, "CR-17")
    assert str(dark.change.state) == "approved"


# A maintenance

WORD = "CR-17 (normal) was approved by team lead as team-lead"
FOR_NO_RELEASE: dict[str, Any] = {"release": None, "approvals": []}


def gate_of_a_maintenance(change: str = "CR-17", word: str = WORD) -> str:
    target = Pointer(colour="green", identity=LIVE)
    gate = steps.Gate(
        action="nothing",
        reason="",
        target=target,
        serial=2,
        maintenance=steps.Maintenance(change=change, word=word),
    )
    return gate.json()


@pytest.fixture
def maintained(night: Night, monkeypatch: pytest.MonkeyPatch) -> Night:
    """The stack file names CR-17, which is for no release, and a run has gone under it."""
    night.under(changes.approve(normal(**FOR_NO_RELEASE, history=NEW), TEAM_LEAD))
    file = night.checkout.root / "Pulumi.sandbox.yaml"
    file.write_text(f"{file.read_text()}  ytempire:maintenance: CR-17\n")
    monkeypatch.setattr(Engine, "recorded", lambda self: Recorded(gate=gate_of_a_maintenance()))
    return night


def maintenance(night: Night) -> list[str]:
    return trace.maintained(night.checkout.place, Engine(night.checkout.root, "sandbox"))


def test_a_maintenance_is_written_down_and_can_be_used_no_more(maintained: Night) -> None:
    assert maintenance(maintained) == [
        "The maintenance of CR-17 is done: `pulumi config rm maintenance`, commit "
        "changes/CR-17.yaml. The next run protects everything again: `ytops up`"
    ]
    last = maintained.change.history[-1]
    assert (str(last.state), last.note) == ("done", WORD)
    assert changes.allows_maintenance(requested(maintained.change), NOW, 0).words == (
        "the maintenance of CR-17 is done"
    )
    assert maintenance(maintained) == []
    assert maintained.site.heard == []


def test_an_emergency_s_maintenance_is_announced(
    maintained: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintained.under(changes.approve(emergency(**FOR_NO_RELEASE), BY_OPS_LEAD))
    (told,) = maintenance(maintained)
    assert told.startswith("The maintenance of CR-17 is done")
    ((_, _, body),) = maintained.site.heard
    assert json.loads(body)["text"] == (
        "YTEMPIRE sandbox: datastores or edge were replaced under the emergency change CR-17 "
        "(uploads are lost), approved by ops lead. It passed by lead-time. Not documented yet."
    )


def test_a_run_that_was_no_maintenance_writes_none(
    maintained: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "recorded", lambda self: Recorded(gate=carried()))
    assert maintenance(maintained) == []
    with pytest.raises(Refused) as caught:
        verb.done(maintained.checkout.place, "CR-17")
    assert str(caught.value) == (
        "CR-17 is for no release, and the last run was no maintenance under it. Next: `pulumi "
        "config set maintenance CR-17`, then `ytops up`; or `ytops change close CR-17`"
    )


def test_after_plain_pulumi_a_maintenance_is_written_by_hand(
    maintained: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.done(maintained.checkout.place, "CR-17")
    assert capsys.readouterr().out.startswith("The maintenance of CR-17 is done")


def test_a_maintenance_whose_record_is_gone_fails_nothing(maintained: Night) -> None:
    (maintained.checkout.root / FILE).unlink()
    assert maintenance(maintained) == [
        "CR-17 does not say that its maintenance is done: There is no changes/CR-17.yaml. "
        "Next: `ytops change list`"
    ]


def test_the_gate_of_a_maintenance_does_not_say_what_a_deploy_waived() -> None:
    assert trace.passed(gate_of_a_maintenance(), LIVE) is None
