"""Change records against real git: numbered, whole, and never rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.changes import Changes
from ops.records import RecordError
from rollout import changes
from tests.unit.checkout import Checkout
from tests.unit.rollout.night import LEAD, NOW, change

NEW = change(approvals=[], history=[{"at": NOW, "by": "deployer", "state": "new"}])
EDITED = "changes/CR-17.yaml: priority: what was approved was edited, from medium to high"
FILE = "changes/CR-17.yaml"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """CR-17 was requested, then approved, each committed."""
    checkout = Checkout.make(tmp_path)
    checkout.record(FILE, NEW)
    checkout.commit("CR-17")
    checkout.record(FILE, changes.approve(NEW, LEAD))
    checkout.commit("approve CR-17")
    return checkout


def tampered(checkout: Checkout) -> tuple[str, ...]:
    return Changes(checkout.root).tampered()


def test_appended_records_are_whole(checkout: Checkout) -> None:
    assert tampered(checkout) == ()
    done = changes.deployed(changes.approve(NEW, LEAD), "deployer", NOW)
    checkout.record(FILE, done)
    assert tampered(checkout) == ()


def test_an_edit_on_disk_is_found(checkout: Checkout) -> None:
    checkout.record(FILE, changes.approve(change(**{**NEW.model_dump(), "priority": "high"}), LEAD))
    assert tampered(checkout) == (EDITED,)


def test_an_edit_that_was_committed_is_found_and_so_for_ever(checkout: Checkout) -> None:
    edited = changes.approve(change(**{**NEW.model_dump(), "priority": "high"}), LEAD)
    checkout.record(FILE, edited)
    checkout.commit("edit")
    checkout.record(FILE, changes.deployed(edited, "deployer", NOW))
    checkout.commit("done")
    assert tampered(checkout) == (EDITED,)


def test_a_record_that_was_removed_is_missed(checkout: Checkout) -> None:
    (checkout.root / FILE).unlink()
    words = ("changes/CR-17.yaml: was removed; changes are closed, not removed",)
    assert tampered(checkout) == words
    checkout.commit("remove")
    assert tampered(checkout) == words


def test_what_a_branch_corrected_before_its_merge_is_its_own(checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "work")
    other = change(id="CR-18")
    checkout.record("changes/CR-18.yaml", other)
    checkout.commit("first")
    checkout.record("changes/CR-18.yaml", other.model_copy(update={"priority": "high"}))
    checkout.commit("second thoughts")
    checkout.git("checkout", "--quiet", "main")
    checkout.commit("meanwhile")
    checkout.git("merge", "--quiet", "--no-ff", "--message", "merge", "work")
    assert tampered(checkout) == ()


def test_numbers_are_never_given_twice(checkout: Checkout) -> None:
    assert Changes(checkout.root).next_id() == "CR-18"
    checkout.git("checkout", "--quiet", "-b", "work")
    checkout.record("changes/CR-23.yaml", change(id="CR-23"))
    checkout.commit("on a branch")
    checkout.git("checkout", "--quiet", "main")
    assert Changes(checkout.root).next_id() == "CR-24"


def test_the_first_change_is_number_one(tmp_path: Path) -> None:
    assert Changes(Checkout.make(tmp_path).root).next_id() == "CR-1"


def test_changes_are_read_by_number_and_all_mistakes_at_once(checkout: Checkout) -> None:
    checkout.record("changes/CR-9.yaml", change(id="CR-9"))
    assert [c.id for c in Changes(checkout.root).all()] == ["CR-9", "CR-17"]
    checkout.record("changes/CR-9.yaml", change(id="CR-8"))
    checkout.write("changes/CR-20.yaml", "id: [")
    with pytest.raises(RecordError) as caught:
        Changes(checkout.root).all()
    wrong_name, half = str(caught.value).splitlines()
    assert wrong_name == "changes/CR-9.yaml: id: expected CR-9, got 'CR-8'"
    assert half.startswith("changes/CR-20.yaml, line 2, column 1: it is not whole YAML:")


def test_a_deploy_writes_what_it_passed_by(checkout: Checkout) -> None:
    found = Changes(checkout.root).done("CR-17", "deployer", "1.2.0+a", ("window",))
    assert Changes(checkout.root).get("CR-17") == found
    assert (found.state, found.history[-1].waived) == ("done", ("window",))
    assert tampered(checkout) == ()
