"""Generation jobs."""

from __future__ import annotations

import json
import logging

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST
from kombu.exceptions import OperationalError

from app import jobs

log = logging.getLogger(__name__)


@require_POST
def create(request: HttpRequest) -> JsonResponse:
    """`{"seconds": 2.5, "key": "optional"}` → 202 and the job's id."""
    try:
        seconds, key = _wanted(request.body)
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400)
    try:
        job, created = jobs.enqueue(seconds, key)
    except OperationalError:
        log.exception("a job could not be queued")
        return JsonResponse({"error": "the queue can't be reached; try again"}, status=503)
    return JsonResponse({"id": job.pk, "key": job.key, "created": created}, status=202)


def summary(request: HttpRequest) -> JsonResponse:
    return JsonResponse(jobs.summary())


def _wanted(body: bytes) -> tuple[float, str | None]:
    try:
        wanted = json.loads(body or b"{}")
    except json.JSONDecodeError:
        raise ValueError("the body should be a JSON object") from None
    if not isinstance(wanted, dict):
        raise ValueError("the body should be a JSON object")
    seconds, key = wanted.get("seconds", 1), wanted.get("key")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"seconds should be a number, got {seconds!r}")
    if not 0 <= seconds <= jobs.LONGEST_SECONDS:
        raise ValueError(f"seconds should be from 0 to {jobs.LONGEST_SECONDS}, got {seconds}")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= 100):
        raise ValueError("key should be a string of 1 to 100 characters")
    return float(seconds), key
