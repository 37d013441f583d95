"""The forge's REST API (GitHub's): pull requests with their reviews, and open bugs."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote

from ops.errors import OpsError
from rollout.evidence import Bugs, Review
from rollout.settings import Checklist

TOKEN = "FORGE_TOKEN"
SECONDS = 5
PAGE = 100
PAGES = 10
COMPARED = 250
AT_ONCE = 8
T = TypeVar("T", list[Any], dict[str, Any])


class ForgeError(OpsError):
    """The forge does not answer, or says no."""


@dataclass(frozen=True)
class Forge:
    """One repository there."""

    url: str
    repository: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, settings: Checklist) -> Forge | None:
        """None where none is configured, or without a token: then the records are asked."""
        token = settings.forge_token or os.environ.get(TOKEN, "")
        if not (settings.forge_url and settings.forge_repository and token):
            return None
        return cls(settings.forge_url.rstrip("/"), settings.forge_repository, token)

    def review(self, commit: str, since: str) -> Review:
        """Of each commit that is new, the pull request that brought it, and who else approved that
        at last. Without `since`, of the release's own commit."""
        commits = self._between(since, commit) if since else [commit]
        pulls: dict[int, dict[str, Any]] = {}
        strays: list[str] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, brought in zip(commits, pool.map(self._pulls, commits), strict=True):
                pulls |= {pull["number"]: pull for pull in brought}
                strays += [] if brought else [f"{name[:12]} (in no merged pull request)"]
            approvals = dict(zip(pulls, pool.map(self._approvers, pulls.values()), strict=True))
        missing = [f"#{number}" for number, people in approvals.items() if not people]
        return Review(
            by=self._name(f"reviews of {f'{since[:12]}..' if since else ''}{commit[:12]}"),
            at=datetime.now(UTC),
            authors=(),  # each pull request was looked at for itself
            approvers=tuple(sorted({p for people in approvals.values() for p in people})),
            unreviewed=(*missing, *strays),
        )

    def bugs(self, label: str) -> Bugs:
        found = self._all(f"issues?state=open&labels={quote(label, safe='')}")
        return Bugs(
            by=self._name(f"open issues labelled {label}"),
            at=datetime.now(UTC),
            open=tuple(f"#{issue['number']}" for issue in found if "pull_request" not in issue),
        )

    def _between(self, since: str, commit: str) -> list[str]:
        found = self._get(f"compare/{since}...{commit}?per_page={COMPARED}", dict)
        if found["total_commits"] > len(found["commits"]):
            raise self._error(f"has more than {COMPARED} commits in {since}...{commit}")
        return [entry["sha"] for entry in found["commits"]]

    def _pulls(self, commit: str) -> list[dict[str, Any]]:
        return [pull for pull in self._all(f"commits/{commit}/pulls") if pull.get("merged_at")]

    def _approvers(self, pull: dict[str, Any]) -> set[str]:
        """Whose last word was yes; a comment takes nothing back."""
        last: dict[str, str] = {}
        for review in self._all(f"pulls/{pull['number']}/reviews"):
            if review["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                last[review["user"]["login"]] = review["state"]
        author = pull["user"]["login"]
        return {who for who, state in last.items() if state == "APPROVED" and who != author}

    def _all(self, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        joint = "&" if "?" in what else "?"
        for page in range(1, PAGES + 1):
            part = self._get(f"{what}{joint}per_page={PAGE}&page={page}", list)
            found += part
            if len(part) < PAGE:
                return found
        return found

    def _get(self, what: str, kind: type[T]) -> T:
        request = urllib.request.Request(
            f"{self.url}/repos/{self.repository}/{what}",
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            help = {401: f"is ${TOKEN} right?", 403: f"may ${TOKEN} read it?", 404: "is it there?"}
            raise self._error(
                f"answered {error.code}; {help.get(error.code, 'try again')}"
            ) from None
        except TimeoutError:
            raise self._error(f"did not answer in {SECONDS} s") from None
        except urllib.error.URLError as error:
            raise self._error(f"can't be reached ({error.reason})") from None
        except (OSError, HTTPException) as error:
            raise self._error(f"can't be reached ({type(error).__name__})") from None
        except ValueError:
            raise self._error("did not answer in JSON") from None
        if not isinstance(found, kind):
            raise self._error(f"did not answer {what.partition('?')[0]} with a {kind.__name__}")
        return found

    def _error(self, words: str) -> ForgeError:
        return ForgeError(f"{self.url} ({self.repository}) {words}")

    def _name(self, what: str) -> str:
        return f"{what} at {self.url}"
