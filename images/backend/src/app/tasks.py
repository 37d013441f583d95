"""What workers do. Every task may be delivered twice; its effect happens once."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from app import release
from app.celery import app
from app.models import GenerationAttempt, GenerationEffect, GenerationJob, Heartbeat

HEARTBEATS_KEPT = timedelta(days=1)


# A database that is away fails no job: it is tried again, with growing pauses, without end.
@app.task(
    bind=True,
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=2,
    retry_backoff_max=60,
    max_retries=None,
)
def generate_video(self: Any, job_id: int, seconds: float) -> None:
    """Generates one video, and records that it did, once, however often it is delivered."""
    attempt = GenerationAttempt.objects.create(
        job_id=job_id,
        worker=self.request.hostname or "",
        release=release.IDENTITY,
        redelivered=bool((self.request.delivery_info or {}).get("redelivered")),
    )
    if not GenerationEffect.objects.filter(job_id=job_id).exists():
        GenerationJob.objects.filter(pk=job_id, completed_at=None).update(
            status=GenerationJob.Status.RUNNING
        )
        time.sleep(seconds)
    _finish(attempt)


def _finish(attempt: GenerationAttempt) -> None:
    """Effect, job and attempt change together or not at all."""
    now = timezone.now()
    with transaction.atomic():
        recorded = _record_effect(attempt)
        if recorded:
            GenerationJob.objects.filter(pk=attempt.job_id).update(
                status=GenerationJob.Status.DONE, completed_at=now
            )
        outcome = GenerationAttempt.Outcome
        attempt.outcome = outcome.RECORDED if recorded else outcome.SUPPRESSED
        attempt.finished_at = now
        attempt.save(update_fields=["outcome", "finished_at"])
    if recorded:
        _write_media(attempt)


def _record_effect(attempt: GenerationAttempt) -> bool:
    """False when another attempt was first; the unique column decides, not a look beforehand."""
    try:
        with transaction.atomic():
            GenerationEffect.objects.create(
                job_id=attempt.job_id, attempt_id=attempt.pk, release=release.IDENTITY
            )
    except IntegrityError:
        return False
    return True


def _write_media(attempt: GenerationAttempt) -> None:
    """Leaves the video where the volume is mounted; a worker without one goes without."""
    folder = Path(settings.MEDIA_ROOT)
    if not os.access(folder, os.W_OK):
        return
    video = folder / f"job-{attempt.job_id}.txt"
    unfinished = video.with_suffix(f".{attempt.pk}.part")
    unfinished.write_text(f"video of job {attempt.job_id} by {attempt.release}\n")
    unfinished.replace(video)


@app.task(bind=True)
def heartbeat(self: Any, beat: str, release_identity: str) -> None:
    """Records one tick of beat."""
    sent_at = datetime.fromisoformat(self.request.sent_at)
    Heartbeat.objects.create(
        beat=beat, release=release_identity, worker=self.request.hostname or "", sent_at=sent_at
    )
    Heartbeat.objects.filter(sent_at__lt=timezone.now() - HEARTBEATS_KEPT).delete()
