"""When the program asks for the checklist, and what the gate carries of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest

from ops.gather import Sources
from ops.observe import Observation
from ops.probes.backup import Folder
from policies import checklist as rules
from policies import configuration, containers, plan, steps, storage
from rollout.checklist import ITEMS
from rollout.evidence import Evidence
from rollout.state import HostState
from tests.policies.judge import resource_rules, violations
from tests.unit.components.program import NETWORK, VOLUME, Declaration, deployed, run
from tests.unit.rollout.host_model import Host
from tests.unit.rollout.night import NOW, ONE_BROKEN, change, evidence, requested
from tests.unit.stack_files import PLACEHOLDERS, ROOT

PACK = resource_rules(
    [
        *rules.POLICIES,
        *configuration.POLICIES,
        *containers.POLICIES,
        *plan.POLICIES,
        *steps.POLICIES,
        *storage.POLICIES,
    ]
)


@dataclass
class Asked:
    """Stands in for the probes; remembers who asked."""

    calls: list[tuple[Sources, str, Observation | None]] = field(default_factory=list)

    def __call__(self, sources: Sources, version: str, seen: Observation | None) -> Evidence:
        self.calls.append((sources, version, seen))
        return evidence(version=version)

    @property
    def versions(self) -> list[str]:
        return [version for _, version, _ in self.calls]


def checklist(declaration: Declaration) -> list[dict[str, Any]]:
    parameters = json.loads(declaration.step("gate").inputs["environment"]["STEP"])
    found: list[dict[str, Any]] = parameters["checklist"]
    return found


def test_a_deploy_to_production_carries_how_each_item_stands() -> None:
    asked = Asked()
    host = deployed("production", "1.0.0")
    found = checklist(run("production", host, version="1.1.0", gathered=asked))
    assert [item["id"] for item in found] == [entry.id for entry in ITEMS]
    backup = next(item for item in found if item["id"] == "disk-space")
    assert (backup["measured"], backup["limit"], backup["severity"]) == (
        "/ 61 % free, /mnt/backup1 45 % free",
        "more than 20 % free on each",
        "high",
    )
    assert asked.versions == ["1.1.0"]


def judged_on(now: datetime = NOW, **found: Any) -> list[str]:
    """What the whole pack says of a deploy to production on such a night."""
    host = deployed("production", "1.1.0")
    declared = run(
        "production", host, version="1.2.0", now=now, gathered=lambda *_: evidence(**found)
    )
    return [
        text
        for r in declared.resources
        for text in violations(PACK, r.type, r.inputs, r.name, protect=r.protect)
    ]


def test_a_compliant_release_goes_to_production_without_a_violation() -> None:
    assert judged_on() == []


@pytest.mark.parametrize("name", ONE_BROKEN)
def test_in_production_each_item_made_false_is_all_that_is_refused(name: str) -> None:
    refused = [text.partition(": ")[0] for text in judged_on(**ONE_BROKEN[name])]
    assert refused == [f"checklist-{name}"]


def test_the_items_carry_no_contact_of_anybody() -> None:
    declared = run("production", Host(), version="1.0.0")
    assert evidence().on_call.model_dump()["rota"]["shifts"][0]["contact"] == "on-call@ytempire.com"
    assert "on-call@ytempire.com" not in json.dumps(checklist(declared))


def test_the_probes_get_the_program_s_own_settings_and_what_it_has_seen() -> None:
    asked = Asked()
    host = deployed("production", "1.0.0")
    run("production", host, version="1.1.0", gathered=asked, checklistBackups="backups")
    ((sources, _, seen),) = asked.calls
    assert sources.root == ROOT
    assert sources.docker.host == "ssh://deploy@ops.ytempire.example"
    assert (sources.ops_image, sources.backend_image) == ("ytempire/ops:0.1.0", "ytempire/backend")
    assert sources.settings.forge_token == PLACEHOLDERS["forgeToken"]
    assert sources.backups == Folder(ROOT / "backups", "production")
    assert seen is not None
    assert seen.view == host.view()


def test_in_a_preview_what_belongs_to_the_night_is_not_required() -> None:
    required = {
        preview: {
            item["id"]
            for item in checklist(run("production", Host(), version="1.0.0", preview=preview))
            if item["required"]
        }
        for preview in (True, False)
    }
    assert required[False] == {entry.id for entry in ITEMS}
    assert required[True] == {entry.id for entry in ITEMS if not entry.tonight}


def test_a_preview_without_the_host_does_not_ask_it_again() -> None:
    asked = Asked()

    def gone(*_: object) -> Observation:
        return Observation.from_record(HostState())

    run("production", gone, version="1.0.0", preview=True, gathered=asked)
    assert asked.calls[0][0].away == "the Docker host does not answer"


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", ""])
def test_a_rollback_and_a_run_without_a_deploy_ask_for_nothing(version: str) -> None:
    asked = Asked()
    host = deployed("production", "1.0.0", "1.1.0")
    assert checklist(run("production", host, version=version, gathered=asked)) == []
    assert asked.versions == []


def test_bringing_back_what_a_hand_has_moved_asks_for_nothing() -> None:
    asked = Asked()
    host = deployed("production", "1.0.0", "1.1.0")
    host.move_by_hand("blue")
    run("production", host, version="1.1.0", gathered=asked)
    assert asked.versions == []


def test_a_stack_that_is_not_held_to_it_asks_for_nothing() -> None:
    asked = Asked()
    assert checklist(run("sandbox", Host(), version="1.0.0", gathered=asked)) == []
    assert asked.versions == []
    held = run("sandbox", Host(), version="1.0.0", gathered=asked, checklistRequired="true")
    assert len(checklist(held)) == len(ITEMS)


def test_a_run_without_a_deploy_declares_the_evidence_that_was_recorded() -> None:
    host = deployed("production", "1.0.0")
    gate = run("production", host, version="1.0.0").step("gate")
    assert {"environment", "create", "triggers"} <= set(gate.ignore)
    gate = run("production", host, version="1.1.0").step("gate")
    assert gate.ignore == ()


# The pack


@pytest.mark.parametrize("version", ["1.1.0", "1.0.0"])
@pytest.mark.parametrize("policies", ["", "/another/pack"])
def test_production_is_not_run_without_its_policies(version: str, policies: str) -> None:
    host = deployed("production", "1.0.0", "1.1.0")
    with pytest.raises(pulumi.RunError) as refused:
        run("production", host, version=version, policies=policies)
    assert str(refused.value) == (
        "production is a production stack and runs with its policies only, but "
        "PULUMI_OPTION_POLICY_PACK does not name them. Next: `source .env.production`, or "
        f"`export PULUMI_OPTION_POLICY_PACK={ROOT}/policies`, then the same command again; "
        "`ytops` does it by itself."
    )


def test_the_sandbox_is_run_without_them() -> None:
    assert run("sandbox", Host(), version="1.0.0", policies="").step("gate")


def test_another_pack_may_stand_beside_ours(tmp_path: Path) -> None:
    both = f"{tmp_path},{ROOT / 'policies'}"
    assert run("production", Host(), version="1.0.0", policies=both).step("gate")


# Maintenance

LASTING = ("postgres", "redis", "nginx")


def maintained(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Declaration:
    """A run of production with nothing to deploy that names a change."""
    found = requested(change(**{"release": None, **given}))
    monkeypatch.setattr("ops.maintenance.named", lambda root, name: found)
    return run("production", deployed("production", "1.0.0"), version="1.0.0", maintenance="CR-17")


def test_under_an_approved_change_datastores_and_edge_may_be_replaced_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = maintained(monkeypatch)
    assert not any(declared.container(name).protect for name in LASTING)
    kept = [r for kind in (VOLUME, NETWORK) for r in declared.of(kind)]
    assert kept
    assert all(r.protect for r in kept)
    gate = declared.step("gate")
    assert gate.ignore == ()
    assert json.loads(gate.inputs["environment"]["STEP"])["maintenance"] == {
        "change": "CR-17",
        "word": "CR-17 (normal) was approved by team lead as team-lead",
    }


def test_a_change_that_does_not_allow_it_protects_as_always_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = maintained(monkeypatch, approvals=[])
    assert all(declared.container(name).protect for name in LASTING)
    assert "environment" in declared.step("gate").ignore
    (warning,) = declared.warnings
    assert warning == (
        "CR-17 allows no maintenance, and all stays protected: CR-17 (normal) has no signature, "
        "and not a team lead's approval. Next: `ytops change approve CR-17 --role team-lead`, by "
        "another than its requestor"
    )


def test_a_change_that_is_not_there_stops_nothing_either() -> None:
    host = deployed("production", "1.0.0")
    declared = run("production", host, version="1.0.0", maintenance="CR-0")
    assert all(declared.container(name).protect for name in LASTING)
    (warning,) = declared.warnings
    assert warning.endswith("There is no changes/CR-0.yaml. Next: `ytops change list`")
