"""Channels and their videos."""

from __future__ import annotations

import contextlib
from typing import Any

import redis
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse

from app import release
from app.models import Channel, Video

CACHE_SECONDS = 5
NEWEST = 100


def channels(request: HttpRequest) -> JsonResponse:
    rows = Channel.objects.order_by("pk").values("id", "name", "created_at")
    return JsonResponse(list(rows), safe=False)


def videos(request: HttpRequest) -> JsonResponse:
    """The newest ones, cached for a moment; without the cache it is only slower."""
    rows = None
    with contextlib.suppress(redis.RedisError):
        rows = cache.get("videos")
    if rows is None:
        rows = _newest_videos()
        with contextlib.suppress(redis.RedisError):
            cache.set("videos", rows, CACHE_SECONDS)
    return JsonResponse(rows, safe=False)


def _newest_videos() -> list[dict[str, Any]]:
    columns = ["id", "channel_id", "title", "created_at"]
    if release.at_least("1.1.0"):
        columns.append("thumbnail_url")
    return list(Video.objects.order_by("-pk").values(*columns)[:NEWEST])
