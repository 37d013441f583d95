"""Every rule of the pack by the real engine: all at once in a preview, one violation each. Those
about the bucket need its provider and are in tests/s3/test_storage_policies.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from policies import checklist, configuration, containers, plan, steps, storage
from policies.containers import CONTAINER
from policies.steps import COMMAND
from policies.storage import VOLUME
from rollout.checklist import ITEMS
from rollout.names import CONFIGURATION
from tests.e2e.sketch import Sketch
from tests.e2e.world import ROOT, Outcome
from tests.policies.test_configuration import LAXER
from tests.policies.test_configuration import good as configured
from tests.policies.test_containers import BROKEN
from tests.policies.test_containers import GOOD as CONTAINED
from tests.policies.test_plan import slot, third_deploy
from tests.policies.test_steps import GOOD as STEP
from tests.policies.test_storage import labelled
from tests.unit.rollout.night import ONE_BROKEN, items

# Each under a parent of its own type, so that a name may come again.
PROGRAM = """
    import json
    for number, (kind, name, inputs) in enumerate(json.load(open("cases.json"))):
        above = pulumi.ComponentResource(f"sketch:index:Case{number}", f"case{number}")
        under = ResourceOptions(parent=above)
        made = pulumi.CustomResource if ":index" in kind else pulumi.ComponentResource
        made(kind, name, inputs, under)
"""
# What only a bucket can break.
OF_THE_BUCKET = {p.name for p in storage.POLICIES if p.name.startswith("bucket-")}

Case = tuple[str, str, dict[str, Any]]


def everything() -> set[str]:
    """The mandatory rules of the pack."""
    modules = (checklist, configuration, containers, plan, steps, storage)
    named = {policy.name for module in modules for policy in module.POLICIES}
    return named - OF_THE_BUCKET - {"checklist-on-the-night"}


def broken() -> list[Case]:
    """The broken properties of the unit tests, and what these build by hand."""
    return [
        *((CONTAINER, "blue-app", {**CONTAINED, **inputs}) for inputs, _ in BROKEN),
        *((CONFIGURATION, "configuration", {**configured(), **inputs}) for inputs, _ in LAXER),
        *((COMMAND, "gate", gate(parameters)) for parameters in plans()),
        (COMMAND, "blue-migrate", {**STEP, "delete": "docker rm -f x"}),
        (COMMAND, "blue-image", {**STEP, "triggers": ["1.2.0"]}),
        (VOLUME, "postgres", {}),
        *((CONTAINER, part, {**CONTAINED, **labelled(part)}) for part in ("postgres", "nginx")),
    ]


def gate(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"create": "true", "environment": {"STEP": json.dumps(parameters)}}


def plans() -> list[dict[str, Any]]:
    """A deploy each in which one thing is wrong; and one to which each item says no."""
    filled, nowhere, twice, withdrawn, refused = (third_deploy() for _ in range(5))
    slot(filled, "green")["frozen"] = False
    nowhere["target"]["identity"] = "9.9.9+0123456789ab"
    twice["draining"] = [twice["target"]["identity"]]
    withdrawn["withdrawn"] = {withdrawn["target"]["identity"]: 2}
    found = [items(**ONE_BROKEN[entry.id])[entry.id] for entry in ITEMS]
    refused["checklist"] = msgspec.to_builtins(found)
    return [filled, nowhere, twice, withdrawn, refused]


def preview(folder: Path, cases: list[Case]) -> Outcome:
    sketch = Sketch(folder)
    sketch.create(PROGRAM)
    (folder / "cases.json").write_text(json.dumps(cases))
    assert sketch.run("config", "set", "ytempire:protect", "true").ok
    pack = str(ROOT / "policies")
    return sketch.run("preview", "--color=never", PULUMI_OPTION_POLICY_PACK=pack)


def test_each_rule_refuses_what_breaks_it_and_says_so(tmp_path: Path) -> None:
    outcome = preview(tmp_path, broken())
    assert not outcome.ok
    text = " ".join(outcome.text.split())
    assert {rule for rule in everything() if f" {rule} (" in text} == everything(), outcome.text
    for _, expected in [*BROKEN, *LAXER]:
        assert expected.partition(": ")[2] in text


def test_what_breaks_none_passes(tmp_path: Path) -> None:
    passed = third_deploy()
    passed["checklist"] = [*map(msgspec.to_builtins, items().values())]
    good: list[Case] = [
        (CONTAINER, "blue-app", CONTAINED),
        (CONFIGURATION, "configuration", configured()),
        (COMMAND, "gate", gate(passed)),
        (COMMAND, "blue-migrate", STEP),
    ]
    outcome = preview(tmp_path, good)
    assert outcome.ok, outcome.text
    assert "[mandatory]" not in outcome.text
