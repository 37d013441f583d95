"""What the checkout tells: the report, the documents, the review, the bugs, people's records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.git import Git, GitError
from ops.probes import backup, bugs, documents, junit, people, requested, review
from ops.probes.backup import Folder
from rollout.evidence import Backup, Bugs, OnCall, Review, Suite, Unknown
from rollout.records import Status
from tests.unit.checkout import Checkout
from tests.unit.rollout.night import (
    DIGEST,
    NOW,
    announcement,
    change,
    emergency,
    manifest,
    rehearsal,
    release,
    rota,
)

REPORT = """\
<testsuites>
 <testsuite name="a" tests="99">
  <properties><property name="commit" value="24e200f"/></properties>
  <testcase name="1"/><testcase name="2"/><testcase name="3"><skipped/></testcase>
 </testsuite>
 <testsuite name="b">
  <testcase name="4"><failure>no</failure></testcase><testcase name="5"><error/></testcase>
 </testsuite>
</testsuites>
"""
RELEASE = release(tests="reports/1.2.0.xml")


def why(found: object) -> str:
    assert isinstance(found, Unknown)
    return found.why


# Tests


def test_a_report_is_counted_case_by_case(checkout: Checkout) -> None:
    checkout.write("reports/1.2.0.xml", REPORT)
    found = junit.suite(checkout.root, RELEASE)
    assert isinstance(found, Suite)
    assert (found.passed, found.failed, found.skipped) == (2, 2, 1)
    assert (found.commit, found.by) == ("24e200f", "reports/1.2.0.xml")


def test_suites_of_different_commits_name_none(checkout: Checkout) -> None:
    other = '<testsuite><properties><property name="commit" value="9"/></properties></testsuite>'
    checkout.write("reports/1.2.0.xml", REPORT.replace("</testsuites>", f"{other}</testsuites>"))
    found = junit.suite(checkout.root, RELEASE)
    assert isinstance(found, Suite)
    assert found.commit == ""


def test_a_report_that_is_not_there_or_not_whole_says_so(checkout: Checkout) -> None:
    assert why(junit.suite(checkout.root, release())) == (
        "releases/1.2.0.yaml names no report as `tests`"
    )
    missing = "reports/1.2.0.xml: No such file or directory"
    assert why(junit.suite(checkout.root, RELEASE)) == missing
    checkout.write("reports/1.2.0.xml", "<testsuites><testsuite>")
    assert why(junit.suite(checkout.root, RELEASE)).startswith(
        "reports/1.2.0.xml is not whole XML: no element found"
    )


# Documents


@pytest.fixture
def documented(checkout: Checkout) -> Checkout:
    """1.1.0 was recorded; then docs/new.md was written for 1.2.0."""
    checkout.record("releases/1.1.0.yaml", {"version": "1.1.0"})
    checkout.write("docs/old.md", "since 1.2.0")
    checkout.commit()
    checkout.write("docs/new.md", "New in 1.2.0: thumbnails.")
    checkout.write("docs/near.md", "For 11.2.0 and 1.2.01.")
    checkout.commit()
    return checkout


@pytest.mark.parametrize(
    ("path", "exists", "changed", "named"),
    [
        ("docs/new.md", True, True, True),
        ("docs/old.md", True, False, True),
        ("docs/near.md", True, True, False),
        ("docs/none.md", False, False, False),
    ],
)
def test_a_document_is_there_changed_and_names_the_version(
    documented: Checkout, path: str, exists: bool, changed: bool, named: bool
) -> None:
    before = release(version="1.1.0")
    found = documents.documents(Git(documented.root), (path,), release(), before)
    (file,) = found.files
    assert (file.exists, file.changed, file.names_version) == (exists, changed, named)
    assert found.since == "1.1.0"


def test_words_that_nobody_committed_do_not_count(documented: Checkout) -> None:
    documented.write("docs/draft.md", "1.2.0")
    for before in (release(version="1.1.0"), None):
        found = documents.documents(Git(documented.root), ("docs/draft.md",), release(), before)
        assert not found.files[0].changed


# Review


def test_the_authors_of_all_that_is_new_are_known(checkout: Checkout) -> None:
    since = checkout.commit("old", "Earlier <earlier@example.com>")
    checkout.commit("new\n\nCo-authored-by: Pair <pair@example.com>")
    last = checkout.commit("newer", "Second <second@example.com>")
    record = release(commit=last, reviewed_by=["Reviewer"])
    found = review.review(Git(checkout.root), None, record, release(commit=since))
    assert isinstance(found, Review)
    assert found.authors == (
        "Author",
        "Pair",
        "Second",
        "author@example.com",
        "pair@example.com",
        "second@example.com",
    )
    assert found.approvers == ("Reviewer",)
    assert found.by == f"releases/1.2.0.yaml and git log {since[:12]}..{last[:12]}"


def test_a_commit_that_git_does_not_know_says_how_to_fetch_it(checkout: Checkout) -> None:
    with pytest.raises(GitError) as caught:
        review.review(Git(checkout.root), None, release(commit="abcdef1"), None)
    assert str(caught.value) == (
        f"{checkout.root} knows no commit abcdef1. "
        f"Next: `git -C {checkout.root} fetch --all`, then the same command again"
    )
    nameless = review.review(Git(checkout.root), None, release(commit=None), None)
    assert why(nameless) == "releases/1.2.0.yaml names no `commit`"


# Bugs


def test_a_signed_statement_is_taken_where_there_is_no_forge() -> None:
    signed = {"status": "pass", "by": "team lead", "at": NOW, "source": "tracker"}
    found = bugs.bugs(None, "critical", release(critical_bugs=signed))
    assert isinstance(found, Bugs)
    assert (found.open, found.signed_by, found.by) == (
        (),
        "team lead",
        "releases/1.2.0.yaml (tracker)",
    )


@pytest.mark.parametrize("broken", [{"by": ""}, {"at": None}, {"status": "unknown"}])
def test_an_unsigned_statement_is_none(broken: dict[str, object]) -> None:
    signed = {"status": "pass", "by": "team lead", "at": NOW, **broken}
    assert why(bugs.bugs(None, "critical", release(critical_bugs=signed))) == (
        "releases/1.2.0.yaml: `critical_bugs` is not signed (it needs `status: pass`, `by` and "
        "`at`)"
    )


def test_a_bug_that_is_named_is_open() -> None:
    said = {"status": "fail", "by": "team lead", "at": NOW, "open": ["#12"]}
    found = bugs.bugs(None, "critical", release(critical_bugs=said))
    assert isinstance(found, Bugs)
    assert found.open == ("#12",)


# People


def test_announcements_of_other_versions_do_not_count(checkout: Checkout) -> None:
    checkout.record("announcements/a.yaml", announcement())
    checkout.record("announcements/b.yaml", announcement(id="b", release="1.1.0"))
    found = people.announced(checkout.root, "1.2.0")
    assert [a.id for a in found.announcements] == ["1.2.0-team"]


def test_the_rota_is_read(checkout: Checkout) -> None:
    assert why(people.on_call(checkout.root)) == "there is no rota.yaml"
    checkout.record("rota.yaml", rota())
    found = people.on_call(checkout.root)
    assert isinstance(found, OnCall)
    assert found.rota.confirmed(NOW) is Status.PASS


def test_the_rehearsal_is_read(checkout: Checkout) -> None:
    assert people.rehearsed(checkout.root, "1.2.0").record is None
    checkout.record("rehearsals/1.2.0.json", rehearsal())
    found = people.rehearsed(checkout.root, "1.2.0").record
    assert found is not None
    assert found.digest == DIGEST


# The change


def test_records_that_nobody_committed_are_named(checkout: Checkout) -> None:
    record = release(change="CR-17")
    checkout.record("releases/1.2.0.yaml", record)
    checkout.record("changes/CR-17.yaml", change())
    both = ("releases/1.2.0.yaml", "changes/CR-17.yaml")
    assert requested.requested(checkout.root, record).uncommitted == both
    checkout.commit()
    assert requested.requested(checkout.root, record).uncommitted == ()
    checkout.record("releases/1.2.0.yaml", release(reviewed_by=["somebody"]))
    assert requested.requested(checkout.root, record).uncommitted == both[:1]


def test_other_emergencies_are_named_until_they_are_documented(checkout: Checkout) -> None:
    checkout.record("changes/CR-16.yaml", emergency(id="CR-16"))
    checkout.record("changes/CR-17.yaml", change())
    found = requested.requested(checkout.root, release(change="CR-17"))
    assert (found.emergencies, found.change) == (("CR-16",), change())
    own = requested.requested(checkout.root, release(change="CR-16"))
    assert own.emergencies == ()


# Backups


def stored(root: Path, hour: int, series: str = "database/daily", **changes: object) -> Path:
    """A backup that began at that hour of the night; its manifest."""
    began = datetime(2026, 11, 23, hour, tzinfo=UTC)
    folder = root / series / f"{began:%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    (folder / "dump").write_text("rows")
    key = f"{folder.relative_to(root)}/dump"
    whole = manifest(
        series=series,
        started=began,
        finished=began + timedelta(minutes=1),
        artifacts=[{"key": key, "bytes": 4, "sha256": "ab" * 32}],
        **changes,
    )
    (folder / "manifest.json").write_text(whole.model_dump_json())
    return folder / "manifest.json"


def test_the_newest_verified_backup_of_this_stack_counts(tmp_path: Path) -> None:
    stored(tmp_path, 1)
    stored(tmp_path, 2, verifications=[])
    stored(tmp_path, 3, stack="sandbox")
    stored(tmp_path, 4, series="files/media")
    found = backup.backup(Folder(tmp_path, "production"))
    assert isinstance(found, Backup)
    assert found.newest is not None
    assert found.newest.started.hour == 1


def test_without_a_store_nothing_is_known(tmp_path: Path) -> None:
    assert why(backup.backup(None)) == "no store of backups is known here"
    found = backup.backup(Folder(tmp_path, "production"))
    assert isinstance(found, Backup)
    assert found.newest is None


def test_a_broken_manifest_says_so(tmp_path: Path) -> None:
    stored(tmp_path, 1)
    stored(tmp_path, 2).write_text('{"series": "database/daily",')
    with pytest.raises(OpsError, match=r"20261123T020000Z/manifest.json is not whole: Invalid"):
        backup.backup(Folder(tmp_path, "production"))
