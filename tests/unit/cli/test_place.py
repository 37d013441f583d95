"""Which stack a verb works on."""

from __future__ import annotations

import json
from hashlib import sha1
from pathlib import Path

import pytest

from ops.verbs._place import Place
from tests.unit.cli.happy import place

BACKEND = "file:///state"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place(tmp_path)
    for variable in ("YTOPS_STACK", "PULUMI_STACK"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", BACKEND)
    return tmp_path


def select(checkout: Path, stack: str) -> None:
    digest = sha1(str(checkout / "Pulumi.yaml").encode()).hexdigest()
    folder = checkout / "home" / "workspaces"
    folder.mkdir(parents=True)
    name = f"ytempire-{digest}-workspace.json"
    (folder / name).write_text(json.dumps({"stacks": {BACKEND: f"organization/ytempire/{stack}"}}))


def test_without_any_word_it_is_the_sandbox(checkout: Path) -> None:
    assert Place.find("", checkout).stack == "sandbox"


def test_the_selected_stack_is_found_without_the_pulumi_cli(checkout: Path) -> None:
    select(checkout, "drill")
    assert Place.find("", checkout).stack == "drill"


def test_the_environment_goes_before_the_selection(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select(checkout, "drill")
    monkeypatch.setenv("YTOPS_STACK", "production")
    assert Place.find("", checkout).stack == "production"


def test_the_option_goes_before_all_and_may_be_qualified(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YTOPS_STACK", "production")
    assert Place.find("organization/ytempire/drill", checkout).stack == "drill"
