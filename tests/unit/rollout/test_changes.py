"""Changes: approval by category, the emergency's trace, and records that are only appended to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rollout import changes
from rollout.changes import ChangeRefused
from rollout.records import Approval, Change, ChangeState, Status
from tests.unit.rollout.night import LEAD, NOW, VERSION, change, emergency, requested

BEGUN = {"at": NOW, "by": "deployer", "state": "new"}
DONE, ENDED = ({**BEGUN, "state": state} for state in ("done", "closed"))
NEW = {"approvals": [], "history": [BEGUN]}
STANDARD = {"category": "standard", "kind": "certificate-renewal"}


def refused(action: Any) -> str:
    with pytest.raises(ChangeRefused) as caught:
        action()
    return str(caught.value)


# Approval


def test_a_team_lead_approves_a_normal_change() -> None:
    approved = changes.approve(change(**NEW), LEAD)
    assert (approved.state, approved.approvals) == (ChangeState.APPROVED, (LEAD,))
    verdict = changes.approved(approved, VERSION)
    assert (verdict.status, verdict.words) == (
        Status.PASS,
        "CR-17 (normal) was approved by team lead as team-lead",
    )


def test_another_signature_is_kept_and_approves_nothing() -> None:
    signed = changes.approve(change(**NEW), LEAD.model_copy(update={"role": "security-review"}))
    assert signed.state is ChangeState.NEW
    verdict = changes.approved(signed, VERSION)
    assert verdict.status is Status.FAIL
    assert verdict.words == (
        "CR-17 (normal) has team lead's as security-review, and not a team lead's approval"
    )
    assert verdict.next == (
        "`ytops change approve CR-17 --role team-lead`, by another than its requestor"
    )


def test_nobody_approves_what_they_asked_for() -> None:
    own = LEAD.model_copy(update={"by": "deployer"})
    assert refused(lambda: changes.approve(change(**NEW), own)) == (
        "CR-17: expected somebody else's approval than the requestor's, got deployer. "
        "Next: ask a team-lead to run `ytops change approve CR-17`"
    )
    by_hand = change(**{**NEW, "approvals": [own]})
    assert changes.approved(by_hand, VERSION).status is Status.FAIL


def test_nobody_signs_twice() -> None:
    assert refused(lambda: changes.approve(change(), LEAD)) == (
        "CR-17 is approved by team lead as team-lead already. Next: `ytops change list`"
    )


def test_a_standard_change_is_approved_by_its_kind() -> None:
    verdict = changes.approved(change(**NEW, **STANDARD), VERSION)
    assert (verdict.status, verdict.words) == (
        Status.PASS,
        "CR-17 is a standard change (certificate-renewal): approved by its kind",
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (change(release="1.3.0"), "CR-17 is for 1.3.0, not for 1.2.0"),
        (change(release=None), "CR-17 is for no release, not for 1.2.0"),
        (changes.close(change(), "deployer", NOW), "CR-17 is closed"),
    ],
)
def test_a_change_allows_its_own_release_and_only_while_it_is_open(
    found: Change, words: str
) -> None:
    verdict = changes.approved(found, VERSION)
    assert (verdict.status, verdict.words) == (Status.FAIL, words)


# Lead time


@pytest.mark.parametrize(
    ("hours", "status"), [(24, Status.PASS), (23.9, Status.FAIL), (0, Status.FAIL)]
)
def test_a_normal_change_is_asked_for_a_day_before(hours: float, status: Status) -> None:
    since = [{"at": NOW - timedelta(hours=hours), "by": "deployer", "state": "new"}]
    assert changes.lead_time(change(history=since), NOW, 24).status is status


def test_who_is_too_early_is_told_when() -> None:
    verdict = changes.lead_time(change(**NEW), NOW + timedelta(hours=1), 24)
    assert verdict.words == "CR-17 was requested 1.0 h ago"
    assert verdict.next == "wait until 2026-11-24 06:30 UTC, then `ytops up 1.2.0`"


def test_a_standard_change_needs_no_lead_time() -> None:
    assert changes.lead_time(change(**NEW, **STANDARD), NOW, 24).status is Status.PASS


# Emergencies


def test_an_emergency_goes_on_a_named_person_s_word() -> None:
    verdict = changes.approved(emergency(), VERSION)
    assert (verdict.status, verdict.words) == (
        Status.WAIVED,
        "CR-17 (emergency) was approved by ops lead as platform-ops-lead, by word of mouth: "
        "uploads are lost",
    )
    assert changes.excuse(emergency(), VERSION) == "CR-17, ops lead: uploads are lost"


@pytest.mark.parametrize(
    "found",
    [
        None,
        change(),
        emergency(approvals=[]),
        emergency(approvals=[LEAD.model_copy(update={"by": "deployer"})]),
        emergency(release="1.3.0"),
        changes.close(emergency(), "deployer", NOW, document="what happened"),
    ],
    ids=["no change", "normal", "no approver", "own word", "another release", "closed"],
)
def test_nothing_else_excuses(found: Change | None) -> None:
    assert changes.excuse(found, VERSION) == ""


def test_an_emergency_shows_until_it_is_documented() -> None:
    used = changes.deployed(
        changes.approve(
            emergency(approvals=[]), Approval(role="team-lead", by="team lead", at=NOW)
        ),
        "deployer",
        NOW,
        waived=("window", "once-daily"),
    )
    assert list(changes.owing([change(), used])) == [
        "CR-17: emergency for 1.2.0 (uploads are lost), passed by once-daily, window; not "
        "documented. Next: `ytops change close CR-17 --document TEXT`"
    ]
    closed = changes.close(used, "deployer", NOW, document="uploads were lost because …")
    assert closed.documented is not None
    assert list(changes.owing([closed])) == []


def test_an_emergency_is_not_closed_in_silence() -> None:
    assert refused(lambda: changes.close(emergency(), "deployer", NOW)) == (
        "CR-17 is an emergency, and nobody has documented it (manual 5.2): what happened, why it "
        "could not wait, what follows. Next: `ytops change close CR-17 --document TEXT`"
    )


def test_an_emergency_that_nobody_approved_owes_nothing() -> None:
    assert changes.close(emergency(approvals=[]), "deployer", NOW).state is ChangeState.CLOSED


# A change's life


def test_a_change_s_life_from_new_to_closed() -> None:
    life = changes.approve(change(**NEW), LEAD)
    life = changes.schedule(life, NOW + timedelta(days=1), "deployer", NOW)
    life = changes.deployed(life, "deployer", NOW, "1.2.0+ab12cd34ef56")
    life = changes.close(life, "deployer", NOW)
    assert [str(e.state) for e in life.history] == [
        "new",
        "approved",
        "scheduled",
        "done",
        "closed",
    ]
    assert life.history[2].note == "for 2026-11-24 06:30 UTC"


def test_what_is_closed_stays_closed() -> None:
    closed = changes.close(change(), "deployer", NOW)
    words = "CR-17 is closed, and closed changes stay so. Next: `ytops change new`"
    assert refused(lambda: changes.approve(closed, LEAD)) == words
    assert refused(lambda: changes.close(closed, "deployer", NOW)) == words


def test_what_nobody_approved_is_not_done() -> None:
    assert refused(lambda: changes.deployed(change(**NEW), "deployer", NOW)) == (
        "CR-17: expected one of approved, closed after new, got done. "
        "Next: `ytops change approve CR-17`"
    )


# Append-only


def test_appending_rewrites_nothing() -> None:
    before = change(**NEW)
    assert list(changes.rewritten(before, changes.approve(before, LEAD))) == []
    assert list(changes.rewritten(None, before)) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (None, "changes/CR-17.yaml: was removed; changes are closed, not removed"),
        (
            change(requestor="somebody else"),
            "changes/CR-17.yaml: requestor: what was requested was edited, from deployer to "
            "somebody else",
        ),
        (
            change(priority="high"),
            "changes/CR-17.yaml: priority: what was approved was edited, from medium to high",
        ),
        (
            change(history=[{"at": NOW, "by": "deployer", "state": "new"}, change().history[1]]),
            "changes/CR-17.yaml: history[0]: was edited; entries are appended",
        ),
        (
            change(history=change().history[:1]),
            "changes/CR-17.yaml: history[1]: was removed; entries are appended",
        ),
        (
            change(approvals=[]),
            "changes/CR-17.yaml: approvals[0]: was removed; entries are appended",
        ),
    ],
)
def test_what_was_written_stands(after: Change | None, words: str) -> None:
    assert list(changes.rewritten(change(), after)) == [words]


def test_what_nobody_has_approved_yet_may_be_edited() -> None:
    before = change(**NEW)
    assert list(changes.rewritten(before, change(**{**NEW, "priority": "high"}))) == []


# Maintenance


def allowed(found: Change | None, **more: Any) -> changes.Verdict:
    return changes.allows_maintenance(requested(found, **more), NOW, 24)


def test_an_approved_change_without_a_release_allows_a_maintenance() -> None:
    verdict = allowed(change(release=None))
    assert (verdict.status, verdict.words) == (
        Status.PASS,
        "CR-17 (normal) was approved by team lead as team-lead",
    )


def test_an_emergency_allows_one_at_once_on_a_named_person_s_word() -> None:
    verdict = allowed(emergency(release=None))
    assert (verdict.status, verdict.words) == (
        Status.WAIVED,
        "CR-17 (emergency) was approved by ops lead as platform-ops-lead, by word of mouth: "
        "uploads are lost",
    )


@pytest.mark.parametrize(
    ("given", "words", "next"),
    [
        ({"release": VERSION}, f"CR-17 is for {VERSION}, not for a maintenance", "a release"),
        ({"approvals": []}, "CR-17 (normal) has no signature", "change approve"),
        ({"history": [BEGUN]}, "CR-17 was requested 0.0 h ago", "wait until"),
        ({"history": [BEGUN, ENDED]}, "CR-17 is closed", "change new"),
        ({"history": [BEGUN, DONE]}, "the maintenance of CR-17 is done", "config rm maintenance"),
        (STANDARD, "CR-17 is a standard change, which is approved by its kind alone", "a normal"),
    ],
)
def test_no_other_change_allows_one(given: dict[str, Any], words: str, next: str) -> None:
    verdict = allowed(change(**{"release": None, **given}))
    assert verdict.status is Status.FAIL
    assert words in verdict.words
    assert next in verdict.next


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tampered": ("changes/CR-9.yaml: was removed",)}, "changes/CR-9.yaml: was removed"),
        ({"uncommitted": ("changes/CR-17.yaml",)}, "nobody reviewed it: changes/CR-17.yaml"),
    ],
)
def test_nor_does_one_whose_record_cannot_be_believed(given: dict[str, Any], words: str) -> None:
    verdict = allowed(change(release=None), **given)
    assert verdict.status is Status.FAIL
    assert words in verdict.words
