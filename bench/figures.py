"""What the answers say about one change, and what the rounds say together. Pure."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.e2e.load import Answer

Kind = Literal["deploy", "rollback"]
# The load: its first second is left out of everything; then the steady state; after the command, to
# see that all is over.
WARM_UP_SECONDS = 1.0
STEADY_SECONDS = 4.0
AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class Latency:
    """In milliseconds."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Change:
    """One deploy or rollback under load. `switched`: from the command's start until every later
    request was answered by the new release. `flips`: how often the answering release changed."""

    contender: str
    kind: Kind
    round: int
    seconds: float
    switched: float
    sent: int
    failed: int
    flips: int
    steady: Latency
    during: Latency
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Run:
    """One run of a tool without load. `of` says how much it had to look at, 0 for the product."""

    what: str
    of: int
    seconds: float
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Seen:
    """What users saw of one change."""

    switched: float
    sent: int
    failed: int
    flips: int
    steady: Latency
    during: Latency


class Unswitched(Exception):
    """The command succeeded, and other releases went on answering."""


def seen(answers: Sequence[Answer], begun: float, ended: float, version: str) -> Seen:
    """Judge a load around a command that brought `version`."""
    ordered = sorted(answers, key=lambda answer: answer.at)
    first = ordered[0].at + WARM_UP_SECONDS
    steady = [a for a in ordered if first <= a.at < begun]
    after = [a for a in ordered if a.at >= begun]
    others = [a.at for a in after if not _is_of(a, version)]
    switched = max(others, default=begun)
    if not any(a.release == version for a in after if a.at > switched):
        causes = Counter(a.error or str(a.status) for a in after if a.failed)
        named = Counter(a.release for a in after if a.release)
        raise Unswitched(
            f"{version} never was the only one to answer: {dict(named)} did in the "
            f"{ended - begun:.1f} s of the command and after it, and {dict(causes)} failed"
        )
    during = [a for a in after if a.at <= max(ended, switched)]
    return Seen(
        switched=switched - begun,
        sent=len(after),
        failed=sum(a.failed for a in after),
        flips=flips(after),
        steady=latency(steady),
        during=latency(during),
    )


def flips(answers: Iterable[Answer]) -> int:
    """How often another release answered than the time before."""
    named = [answer.release for answer in answers if answer.release]
    return sum(before != after for before, after in itertools.pairwise(named))


def latency(answers: Sequence[Answer]) -> Latency:
    """Of all of them; a request without an answer took as long as it was waited for."""
    times = sorted(answer.seconds * 1000 for answer in answers)
    return Latency(statistics.median(times), percentile(times, 99), times[-1])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of them don't exceed."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank) - 1, 0)]


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Seconds (or whatever) more for each one more: least squares."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _is_of(answer: Answer, version: str) -> bool:
    """Answers that don't name a release can only be wrong by failing."""
    return not answer.failed and answer.release in ("", version)
