"""Taking jobs in, and counting what became of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Min

from app.models import GenerationAttempt, GenerationEffect, GenerationJob, Heartbeat
from app.tasks import generate_video

# The longest generation there is; the broker's visibility timeout is chosen to exceed it.
LONGEST_SECONDS = 15 * 60


def enqueue(seconds: float, key: str | None = None) -> tuple[GenerationJob, bool]:
    """Takes one job in. The same key again is the same job, not another one.

    A job whose message can't be sent isn't kept: the caller hears of it, and asks again.
    """
    with transaction.atomic():
        if key is None:
            job, created = GenerationJob.objects.create(seconds=seconds), True
        else:
            job, created = GenerationJob.objects.get_or_create(
                key=key, defaults={"seconds": seconds}
            )
    if created:
        try:
            generate_video.delay(job.pk, job.seconds)
        except Exception:
            job.delete()
            raise
    return job, created


def load(count: int, seconds: float, prefix: str | None = None) -> list[GenerationJob]:
    """Takes in many numbered jobs, `PREFIX-1` and so on, over one broker connection."""
    start = prefix or f"load-{uuid.uuid4().hex[:8]}"
    jobs = GenerationJob.objects.bulk_create(
        GenerationJob(seconds=seconds, key=f"{start}-{number}") for number in range(1, count + 1)
    )
    with generate_video.app.connection_for_write() as connection:
        for job in jobs:
            generate_video.apply_async((job.pk, job.seconds), connection=connection)
    return jobs


def summary() -> dict[str, Any]:
    """Counts that tell a lost job from a late one, and a repeated attempt from a double effect."""
    states = _counts(GenerationJob, "status")
    effects = GenerationEffect.objects.aggregate(
        rows=Count("pk"), jobs=Count("job_id", distinct=True)
    )
    attempts_by_job = GenerationAttempt.objects.values("job_id").annotate(times=Count("pk"))
    return {
        **{state: states.get(state, 0) for state in GenerationJob.Status.values},
        "total": sum(states.values()),
        "effects": effects["rows"],
        "duplicates": effects["rows"] - effects["jobs"],
        "attempts": GenerationAttempt.objects.count(),
        "attempts_by_outcome": _named(_counts(GenerationAttempt, "outcome")),
        "attempts_by_release": _counts(GenerationAttempt, "release"),
        "effects_by_release": _counts(GenerationEffect, "release"),
        "jobs_attempted_twice": attempts_by_job.filter(times__gt=1).count(),
        "beats": beats(),
    }


def beats() -> list[dict[str, Any]]:
    """Every beat that ever ticked: two whose spans overlap ran at the same time."""
    rows = Heartbeat.objects.values("beat", "release").annotate(
        ticks=Count("pk"), first=Min("sent_at"), last=Max("sent_at")
    )
    return [
        {**row, "first": row["first"].isoformat(), "last": row["last"].isoformat()}
        for row in rows.order_by("first")
    ]


def _counts(model: Any, column: str) -> Counter[str]:
    rows: Iterable[tuple[str, int]] = model.objects.values_list(column).annotate(Count("pk"))
    return Counter(dict(rows))


def _named(outcomes: Counter[str]) -> dict[str, int]:
    return {outcome or "unfinished": count for outcome, count in outcomes.items()}
