"""`ytops verify --contract`: what was expected, what was found, why it matters, where it stands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops import contract as gathering
from ops.errors import OpsError
from ops.observe import Observation
from ops.verbs import verify
from rollout import contract
from rollout.contract import Finding
from rollout.plan import View
from tests.unit.cli.happy import NEW, observation, place

GOOD = Finding(contract.READ_ONLY, True, "read-only")
UNTRIED = contract.unasked_stop()
BAD = Finding(contract.SETTINGS[2], False, "4")


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *found: Finding, as_json: bool = False
) -> int:
    monkeypatch.setattr(verify, "observe", lambda *_: observation())
    monkeypatch.setattr(gathering, "findings", lambda _: list(found))
    return verify.verify_contract(place(folder), as_json=as_json)


def test_what_breaks_the_contract_says_why_it_matters_and_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, GOOD, UNTRIED, BAD) == 1
    assert (
        capsys.readouterr().out
        == """\
1.1.0+bbbb on green is asked; a connection is left idle for a minute
The image (docs/backend-contract.md#the-image)
✓ root: expected read-only, with `/tmp` in memory; found read-only
? stop: expected a running request is answered after SIGTERM; found not tried: \
`backendSlowPath` names no path that takes some seconds
    why: a slot that is given away may still answer its last requests
Jobs (docs/backend-contract.md#jobs)
✗ worker_prefetch_multiplier: expected 1; found 4
    why: a stopped worker holds no queue of jobs
1.1.0+bbbb breaks 1 of 3 items; not found out: 1
Next: correct the backend by docs/backend-contract.md, then deploy it: `ytops up VERSION`
"""
    )


def test_what_was_not_tried_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, GOOD, UNTRIED) == 0
    assert "1.1.0+bbbb keeps to the contract; not found out: 1" in capsys.readouterr().out


def test_for_programs_every_item_has_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, BAD, as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "release": "1.1.0+bbbb",
        "colour": "green",
        "ok": False,
        "findings": [
            {
                "name": "worker_prefetch_multiplier",
                "ok": False,
                "expected": "1",
                "found": "4",
                "why": "a stopped worker holds no queue of jobs",
                "where": "docs/backend-contract.md#jobs",
            }
        ],
    }


def test_where_no_release_serves_there_is_nothing_to_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "observe", lambda *_: Observation(View()))
    with pytest.raises(OpsError, match=r"Next: `ytops up VERSION`"):
        verify.verify_contract(place(tmp_path))


def test_workers_are_asked_by_the_command_that_starts_them() -> None:
    command = ("celery", "-A", "shop.celery", "worker", "-l", "info")
    found = gathering.inspecting(replace(NEW, worker_command=command))
    assert found == ["celery", "-A", "shop.celery", "inspect"]


def test_a_worker_command_that_is_not_celerys_is_named() -> None:
    odd = replace(NEW, worker_command=("run-worker",))
    with pytest.raises(OpsError) as caught:
        gathering.inspecting(odd)
    assert str(caught.value) == (
        "`backendWorkerCommand` is run-worker: expected Celery's `worker` in it"
    )
