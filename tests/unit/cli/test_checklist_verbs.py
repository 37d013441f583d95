"""`ytops release`, `change`, `announce` and `checklist`, as a person types them in a checkout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from ops.probes.forge import TOKEN
from ops.records import read
from ops.verbs import announce, checklist, status
from ops.verbs._night import now, sources
from rollout.changes import owing
from rollout.checklist import ITEMS
from rollout.records import (
    Announcement,
    Change,
    ReleaseRecord,
    announcement_path,
    change_path,
    release_path,
)
from tests.unit.checkout import NOWHERE, Checkout, Site
from tests.unit.cli.happy import look
from tests.unit.cli.test_ytops_cli import ytops
from tests.unit.rollout.night import NOON, emergency, items, load, release, requested


@dataclass
class Said:
    code: int
    out: str
    error: str


Type = Callable[..., Said]


@pytest.fixture
def type_(
    checkout: Checkout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Type:
    monkeypatch.setenv("YTOPS_STACK", "sandbox")
    monkeypatch.delenv(announce.WEBHOOK, raising=False)

    def type_(*words: str) -> Said:
        code = ytops("--cwd", str(checkout.root), *words)
        shown = capsys.readouterr()
        return Said(code, shown.out, shown.err)

    return type_


# release


def test_a_release_record_begins_with_what_is_known(checkout: Checkout, type_: Type) -> None:
    commit = checkout.commit("the release")
    checkout.git("tag", "v1.2.0")
    said = type_("release", "new", "1.2.0")
    assert said.code == 0
    assert said.out == (
        f"digest is left open: The Docker host {NOWHERE} does not answer: "
        + said.out.splitlines()[0].partition("answer: ")[2]
        + "\nreleases/1.2.0.yaml and releases/1.2.0.md, the first release\n"
        "Next: fill them in, commit them, then `ytops change new --release 1.2.0`\n"
    )
    record = read(ReleaseRecord, checkout.root, release_path("1.2.0"))
    assert (record.version, record.commit, record.notes) == (
        "1.2.0",
        commit,
        "releases/1.2.0.md",
    )
    assert "1.2.0" in (checkout.root / "releases/1.2.0.md").read_text()
    first = (checkout.root / "releases/1.2.0.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../docs/schemas/release.schema.json"


def test_what_looks_like_a_number_stays_a_version(checkout: Checkout, type_: Type) -> None:
    assert type_("release", "new", "2.0").code == 0
    assert read(ReleaseRecord, checkout.root, release_path("2.0")).version == "2.0"


def test_a_release_record_is_not_made_anew(checkout: Checkout, type_: Type) -> None:
    type_("release", "new", "1.2.0", "--change", "CR-1")
    assert read(ReleaseRecord, checkout.root, release_path("1.2.0")).change == "CR-1"
    said = type_("release", "new", "1.2.0")
    assert (said.code, said.error) == (
        2,
        "There is a releases/1.2.0.yaml already. Next: `ytops checklist 1.2.0`\n",
    )


# change


def the_change(checkout: Checkout, name: str = "CR-1") -> Change:
    return read(Change, checkout.root, change_path(name))


def test_a_change_s_life_as_a_person_types_it(checkout: Checkout, type_: Type) -> None:
    said = type_("change", "new", "--release", "1.2.0")
    assert said.out == (
        "changes/CR-1.yaml: normal, feature-deployment, for 1.2.0\n"
        "Next: read it through, `change: CR-1` in releases/1.2.0.yaml, commit both; then somebody "
        "else: `ytops change approve CR-1`\n"
    )
    assert the_change(checkout).requestor == "Deployer <deployer@example.com>"
    said = type_("change", "approve", "CR-1", "--by", "Lead <lead@example.com>")
    assert said.out == (
        "CR-1 is approved: team-lead, Lead <lead@example.com>\n"
        "Next: commit changes/CR-1.yaml, then `ytops checklist 1.2.0`\n"
    )
    said = type_("change", "schedule", "CR-1", "2026-11-22T22:00-08:00")
    assert said.out == (
        "CR-1 is scheduled for 2026-11-23 06:00 UTC. Next: commit changes/CR-1.yaml\n"
    )
    said = type_("change", "close", "CR-1", "--note", "went well")
    assert said.out == "CR-1 is closed. Next: commit changes/CR-1.yaml\n"
    history = [(str(e.state), e.note) for e in the_change(checkout).history]
    assert history == [
        ("new", ""),
        ("approved", "team-lead"),
        ("scheduled", "for 2026-11-23 06:00 UTC"),
        ("closed", "went well"),
    ]


def test_each_change_has_the_next_number(checkout: Checkout, type_: Type) -> None:
    for _ in range(2):
        type_("change", "new", "--release", "1.2.0")
    listed = type_("change", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == ["CR-2", "CR-1"]


def test_a_standard_change_is_approved_as_it_is_filed(checkout: Checkout, type_: Type) -> None:
    said = type_("change", "new", "--standard", "--kind", "log-rotation", "--description", "logs")
    assert said.out.endswith("Next: read it through, commit both\n")
    assert [str(e.state) for e in the_change(checkout).history] == ["new", "approved"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            (),
            "--description: expected what is changed and why, or a --release, got neither. "
            "Next: `ytops change new --release VERSION`\n",
        ),
        (
            ("--standard", "--release", "1.2.0"),
            "--kind: expected one of security-patch, log-rotation, certificate-renewal, "
            "backup-verification, because it is a standard change. "
            "Next: `ytops change new --standard --kind security-patch …`\n",
        ),
        (
            ("--standard", "--emergency", "--release", "1.2.0"),
            "--standard, --emergency: expected one of them, got both\n",
        ),
        (
            ("--emergency", "--release", "1.2.0"),
            "--why: expected why an emergency can't wait, got none. "
            "Next: `ytops change new --emergency --why TEXT …`\n",
        ),
        (
            ("--release", "a b", "--risk", "huge"),
            "impact.risk: expected 'low', 'medium' or 'high', got 'huge'\n"
            "release: expected a version such as 1.2.0, got 'a b'\n",
        ),
    ],
)
def test_what_a_request_lacks_is_said_and_nothing_is_filed(
    checkout: Checkout, type_: Type, words: tuple[str, ...], error: str
) -> None:
    said = type_("change", "new", *words)
    assert (said.code, said.error) == (2, error)
    assert not (checkout.root / "changes").exists()


def test_nobody_approves_their_own_change(checkout: Checkout, type_: Type) -> None:
    type_("change", "new", "--release", "1.2.0")
    said = type_("change", "approve", "CR-1")
    assert said.code == 3
    assert said.error == (
        "CR-1: expected somebody else's approval than the requestor's, got Deployer "
        "<deployer@example.com>. Next: ask a team-lead to run `ytops change approve CR-1`\n"
    )
    said = type_("change", "approve", "CR-1", "--role", "friend", "--by", "x")
    assert said.error.startswith("role: expected 'technical-lead', 'security-review',")


def test_a_change_that_is_not_there_is_looked_up(type_: Type) -> None:
    said = type_("change", "approve", "CR-9")
    assert said.error == "There is no changes/CR-9.yaml. Next: `ytops change list`\n"


def test_an_emergency_shows_in_the_list_until_it_is_documented(
    checkout: Checkout, type_: Type
) -> None:
    why = ("--why", "uploads are lost")
    type_("change", "new", "--emergency", "--release", "1.2.1", *why)
    type_("change", "approve", "CR-1", "--role", "platform-ops-lead", "--verbal", "--by", "lead")
    owing = (
        "✗ CR-1: emergency for 1.2.1 (uploads are lost), no deploy written (after one: "
        "`ytops change done CR-1`); not documented. "
        "Next: `ytops change close CR-1 --document TEXT`"
    )
    assert type_("change", "list").out.splitlines()[-1] == owing
    assert type_("change", "close", "CR-1").code == 3
    assert type_("change", "close", "CR-1", "--document", "what happened").code == 0
    assert "emergency for" not in type_("change", "list").out


def test_the_list_shows_what_was_rewritten(checkout: Checkout, type_: Type) -> None:
    type_("change", "new", "--release", "1.2.0")
    checkout.commit()
    values = yaml.safe_load((checkout.root / "changes/CR-1.yaml").read_text())
    checkout.record("changes/CR-1.yaml", {**values, "requestor": "somebody else"})
    words = (
        "changes/CR-1.yaml: requestor: what was requested was edited, from Deployer "
        "<deployer@example.com> to somebody else"
    )
    assert type_("change", "list").out.splitlines()[-1] == f"✗ {words}"
    found = json.loads(type_("change", "list", "--json").out)
    assert (found["rewritten"], found["changes"][0]["id"]) == ([words], "CR-1")


def test_an_empty_list_says_how_to_begin(type_: Type) -> None:
    said = type_("change", "list")
    assert said.out == (
        "There is no change request yet. Next: `ytops change new --release VERSION`\n"
    )


# announce


@pytest.fixture
def hook(site: Site, monkeypatch: pytest.MonkeyPatch, type_: Type) -> Site:
    """The chat's webhook, and the record of 1.2.0."""
    monkeypatch.setenv(announce.WEBHOOK, f"{site.url}/hook/secret")
    site.pages["/hook/secret"] = {"ok": True, "ts": "1763877600.0001"}
    type_("release", "new", "1.2.0")
    return site


def the_announcement(checkout: Checkout) -> Announcement:
    (path,) = (checkout.root / "announcements").glob("*.yaml")
    return read(Announcement, checkout.root, announcement_path(path.stem))


def test_an_announcement_is_posted_and_recorded(
    checkout: Checkout, hook: Site, type_: Type
) -> None:
    said = type_("announce", "1.2.0", "--at", "2030-01-10T22:00-08:00")
    assert said.code == 0
    found = the_announcement(checkout)
    (_, _, body) = hook.heard[0]
    sent = json.loads(body)
    assert (sent["id"], sent["text"]) == (found.id, found.text)
    assert found.text == (
        "YTEMPIRE 1.2.0 is deployed on 2030-01-10 from 22:00 (America/Los_Angeles) on. It goes on "
        "serving meanwhile."
    )
    assert (found.id, found.message_id, found.release) == (
        "2030-01-10-release-1.2.0-team",
        "1763877600.0001",
        "1.2.0",
    )
    assert found.sent is not None
    assert datetime.now(UTC) - found.sent < timedelta(minutes=5)
    assert found.ends - found.begins == timedelta(hours=4)
    assert said.out.splitlines()[-1] == (
        "announcements/2030-01-10-release-1.2.0-team.yaml: message 1763877600.0001. "
        "Next: commit it, then `ytops checklist 1.2.0`"
    )


def test_a_chat_without_names_for_messages_gets_ours(
    checkout: Checkout, hook: Site, type_: Type
) -> None:
    hook.pages["/hook/secret"] = "ok"
    type_("announce", "1.2.0", "--to", "users")
    found = the_announcement(checkout)
    assert (found.message_id, found.audience) == (found.id, "users")


def test_a_second_announcement_does_not_overwrite_the_first(
    checkout: Checkout, hook: Site, type_: Type
) -> None:
    for _ in range(2):
        type_("announce", "1.2.0")
    first, second = sorted(p.stem for p in (checkout.root / "announcements").glob("*"))
    assert second == f"{first}-2"


def test_what_did_not_arrive_is_not_recorded(checkout: Checkout, hook: Site, type_: Type) -> None:
    hook.pages["/hook/secret"] = 500
    said = type_("announce", "1.2.0")
    assert (said.code, said.error) == (
        1,
        "Nobody was told, and nothing is recorded: the webhook answered 500. Next: try again\n",
    )
    assert not (checkout.root / "announcements").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ("1.3.0",),
            "There is no releases/1.3.0.yaml. Next: `ytops release new 1.3.0`\n",
        ),
        (("1.2.0", "--to", "everybody"), "--to: expected team or users, got 'everybody'\n"),
        (
            ("1.2.0", "--at", "tonight"),
            "--at: expected a time with its zone, such as 2025-01-10T22:00-08:00, got 'tonight'. "
            "Next: the same command with such a time\n",
        ),
    ],
)
def test_what_can_t_be_announced_is_said(
    hook: Site, type_: Type, words: tuple[str, ...], error: str
) -> None:
    assert type_("announce", *words).error == error
    assert hook.heard == []


# checklist


def test_the_checklist_of_nothing_lists_every_item_and_its_next_step(type_: Type) -> None:
    said = type_("checklist", "1.2.0")
    assert said.code == 1
    open_now = "✓ window" in said.out  # whether these tests run in the window
    assert said.out.count("must be: ") == len(ITEMS)
    assert said.out.count("Next: ") == len(ITEMS) - open_now
    assert "There is no releases/1.2.0.yaml." in said.out


def test_the_checklist_as_json(type_: Type) -> None:
    said = type_("checklist", "1.2.0", "--json", "--preview")
    found = json.loads(said.out)
    assert (said.code, found["ready"], found["phase"]) == (1, False, "preview")
    by_id = {item["id"]: item for item in found["items"]}
    assert by_id["tests"]["status"] == "unknown"
    assert not by_id["window"]["required"]


def test_the_forge_s_token_is_opened_out_of_the_stack_file(
    checkout: Checkout, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert token(checkout) == ""
    file = checkout.root / "Pulumi.sandbox.yaml"
    file.write_text(file.read_text() + "  ytempire:forgeToken: {secure: v1:sealed}\n")
    assert token(checkout) == ""  # nobody here can open it
    programs = tmp_path_factory.mktemp("bin")
    (programs / "pulumi").write_text('#!/bin/sh\n[ "$3" = forgeToken ] && echo opened\n')
    (programs / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///nowhere")
    assert token(checkout) == "opened"


def token(checkout: Checkout) -> str:
    return sources(checkout.place).settings.forge_token


def test_a_mistake_in_the_limits_is_a_mistake_in_the_configuration(
    checkout: Checkout, type_: Type
) -> None:
    file = checkout.root / "Pulumi.sandbox.yaml"
    file.write_text(file.read_text() + "  ytempire:checklistCpuPercent: lots\n")
    said = type_("checklist", "1.2.0")
    assert said.code == 2
    assert "checklistCpuPercent: expected a number, got 'lots'" in said.error


def shown(*phase: Any, **changes: Any) -> list[str]:
    return list(checklist.screen("1.2.0", "up", tuple(items(*phase, **changes).values())))


def test_the_screen_of_a_night_on_which_all_is_well() -> None:
    lines = shown()
    assert lines[0] == "manual 7.1, Code Readiness"
    assert lines[1] == ("  ✓ tests                  412 of 415 passed (99.3 %), 2 skipped")
    assert lines[2].strip() == (
        "must be: more than 95 % passed, of the release's commit; by: the probe at "
        "2026-11-23 06:30 UTC"
    )
    assert lines[-2:] == ["✓ nothing stops 1.2.0", "Next: `ytops up 1.2.0`"]


def test_the_screen_says_what_stops_and_what_was_waived() -> None:
    quiet, urgent = release(announcement=False), requested(emergency())
    lines = shown("up", NOON, change=urgent, release=quiet, load=load(cpu_percent=99))
    assert lines[-1] == "1 item of 20 stops 1.2.0"
    assert [line.split()[1] for line in lines if line.startswith("  ~")] == [
        "window",
        "once-daily",
        "change-approved",
        "lead-time",
    ]


def test_a_preview_says_what_is_left_for_the_night() -> None:
    found = tuple(items("preview", NOON).values())
    lines = list(checklist.screen("1.2.0", "preview", found))
    assert lines[-1] == "✓ nothing stops 1.2.0; on the night also: window"


# status


def test_status_shows_an_emergency_until_it_is_documented() -> None:
    lines = list(status.screen(look(owing=tuple(owing([emergency()])))))
    assert [line for line in lines if line.startswith("emergency")] == [
        "emergency ✗ CR-17: emergency for 1.2.0 (uploads are lost), no deploy written (after one: "
        "`ytops change done CR-17`); not documented. "
        "Next: `ytops change close CR-17 --document TEXT`"
    ]


def test_now_is_to_the_second() -> None:
    assert now().microsecond == 0
