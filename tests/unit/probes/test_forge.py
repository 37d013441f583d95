"""The forge, as a server on the loopback speaks it."""

from __future__ import annotations

from typing import Any

import pytest

from ops.probes import bugs, forge
from ops.probes.forge import Forge, ForgeError
from rollout.evidence import Bugs
from tests.unit.checkout import Site
from tests.unit.rollout.night import limits, release

PULL: dict[str, Any] = {"number": 7, "merged_at": "2026-11-20T10:00:00Z", "user": {"login": "ann"}}


def said(who: str, state: str) -> dict[str, Any]:
    return {"user": {"login": who}, "state": state}


@pytest.fixture
def there(site: Site) -> Forge:
    """One new commit since the last release, in pull request 7, which ben approved."""
    commits = {"total_commits": 1, "commits": [{"sha": "c1"}]}
    site.pages["/repos/o/r/compare/old...new"] = commits
    site.pages["/repos/o/r/commits/c1/pulls"] = [PULL]
    site.pages["/repos/o/r/pulls/7/reviews"] = [said("ben", "APPROVED"), said("ben", "COMMENTED")]
    site.pages["/repos/o/r/issues"] = []
    return Forge(site.url, "o/r", "secret-token")


def test_every_new_pull_request_was_approved_by_another(there: Forge, site: Site) -> None:
    found = there.review("new", "old")
    assert (found.approvers, found.unreviewed) == (("ben",), ())
    assert found.by == f"reviews of old..new at {site.url}"
    assert {headers["Authorization"] for _, headers, _ in site.heard} == {"Bearer secret-token"}


@pytest.mark.parametrize(
    "reviews",
    [
        [],
        [said("ann", "APPROVED")],
        [said("ben", "APPROVED"), said("ben", "CHANGES_REQUESTED")],
        [said("ben", "APPROVED"), said("ben", "DISMISSED")],
    ],
    ids=["nobody", "its author", "taken back", "dismissed"],
)
def test_a_pull_request_without_another_s_last_yes_is_unreviewed(
    there: Forge, site: Site, reviews: list[Any]
) -> None:
    site.pages["/repos/o/r/pulls/7/reviews"] = reviews
    assert there.review("new", "old").unreviewed == ("#7",)


@pytest.mark.parametrize("pulls", [[], [{**PULL, "merged_at": None}]])
def test_a_commit_outside_of_a_merged_pull_request_is_unreviewed(
    there: Forge, site: Site, pulls: list[Any]
) -> None:
    site.pages["/repos/o/r/commits/c1/pulls"] = pulls
    assert there.review("new", "old").unreviewed == ("c1 (in no merged pull request)",)


def test_the_first_release_is_asked_for_by_its_own_commit(there: Forge, site: Site) -> None:
    assert there.review("c1", "").approvers == ("ben",)
    assert not [path for path, *_ in site.heard if "compare" in path]


def test_more_commits_than_the_forge_lists_are_not_passed_over(there: Forge, site: Site) -> None:
    site.pages["/repos/o/r/compare/old...new"] = {"total_commits": 300, "commits": []}
    with pytest.raises(ForgeError, match=r"has more than 250 commits in old\.\.\.new"):
        there.review("new", "old")


def test_open_bugs_are_listed_and_pull_requests_are_none(there: Forge, site: Site) -> None:
    site.pages["/repos/o/r/issues"] = [{"number": 12}, {"number": 13, "pull_request": {}}]
    found = bugs.bugs(there, "severity: critical", release())
    assert isinstance(found, Bugs)
    assert found.open == ("#12",)
    assert "labels=severity%3A%20critical" in site.heard[-1][0]


def test_all_pages_are_read(there: Forge, site: Site) -> None:
    many = [{"number": number} for number in range(forge.PAGE)]
    query = "/repos/o/r/issues?state=open&labels=critical&per_page=100&page="
    site.pages |= {f"{query}1": many, f"{query}2": [{"number": 500}]}
    assert len(there.bugs("critical").open) == forge.PAGE + 1


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (401, "answered 401; is $FORGE_TOKEN right?"),
        (404, "answered 404; is it there?"),
        (500, "answered 500; try again"),
        ("<html>", "did not answer in JSON"),
        ({"message": "no"}, "did not answer issues with a list"),
    ],
)
def test_what_the_forge_says_instead_is_told(
    there: Forge, site: Site, page: Any, words: str
) -> None:
    site.pages["/repos/o/r/issues"] = page
    with pytest.raises(ForgeError) as caught:
        there.bugs("critical")
    assert str(caught.value) == f"{site.url} (o/r) {words}"


def test_a_forge_that_is_not_there_is_said_without_its_token() -> None:
    with pytest.raises(ForgeError, match=r"can't be reached \(\[Errno 111\]") as caught:
        Forge("http://127.0.0.1:1", "o/r", "secret-token").bugs("critical")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Forge("u", "o/r", "secret-token"))


def test_the_forge_is_asked_only_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(forge.TOKEN, raising=False)
    there = {"forge_url": "https://forge.example/", "forge_repository": "o/r", "forge_token": ""}
    settings = limits().checklist.model_copy(update=there)
    assert Forge.of(settings) is None
    monkeypatch.setenv(forge.TOKEN, "t")
    assert Forge.of(settings) == Forge("https://forge.example", "o/r", "t")
