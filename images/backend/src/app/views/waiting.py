"""Requests that take long: what a switch must not cut."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from app import release

SLOWEST_SECONDS = 60
LONGEST_STREAM_SECONDS = 600


def slow(request: HttpRequest) -> JsonResponse:
    """Answers after `?seconds=`, all at once."""
    seconds = _seconds(request, SLOWEST_SECONDS)
    if seconds is None:
        return _refusal(SLOWEST_SECONDS)
    time.sleep(seconds)
    return JsonResponse({"slept": seconds, "version": release.VERSION})


def stream(request: HttpRequest) -> HttpResponseBase:
    """One line each second for `?seconds=`, then `end`: a client sees whether it was cut."""
    seconds = _seconds(request, LONGEST_STREAM_SECONDS)
    if seconds is None:
        return _refusal(LONGEST_STREAM_SECONDS)
    response = StreamingHttpResponse(_ticks(int(seconds)), content_type="text/plain")
    # nginx passes each line on at once.
    response["X-Accel-Buffering"] = "no"
    return response


def _ticks(seconds: int) -> Iterator[str]:
    for second in range(1, seconds + 1):
        time.sleep(1)
        yield f"{second} {release.VERSION}\n"
    yield "end\n"


def _seconds(request: HttpRequest, most: int) -> float | None:
    try:
        seconds = float(request.GET.get("seconds", "5"))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= most else None


def _refusal(most: int) -> JsonResponse:
    return JsonResponse({"error": f"seconds should be a number from 0 to {most}"}, status=400)
