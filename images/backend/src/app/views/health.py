"""Is it up, what is it, and does it reach what it needs?"""

from __future__ import annotations

import time

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from app import flaws, release

# A dependency that takes longer counts as down: whoever asks is waiting.
REDIS_SECONDS = 2


def health(request: HttpRequest) -> JsonResponse:
    """Of this process alone: a database outage mustn't make Docker restart the app."""
    if flaws.has(flaws.NEVER_HEALTHY):
        return JsonResponse({"status": "starting"}, status=503)
    if flaws.has(flaws.HUNG_HEALTH):
        time.sleep(flaws.HUNG_SECONDS)
    return JsonResponse({"status": "ok"})


def status(request: HttpRequest) -> JsonResponse:
    """Which release answers, and whether it can work."""
    database, broker = _database(), _redis()
    return JsonResponse(
        {
            "version": flaws.WRONG_VERSION if flaws.has(flaws.WRONG_NAME) else release.VERSION,
            "fingerprint": release.FINGERPRINT,
            "environment": settings.ENVIRONMENT,
            "database": database,
            "redis": broker,
        },
        status=200 if database == broker == "ok" else 503,
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "down"
    return "ok"


def _redis() -> str:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS
    )
    try:
        client.ping()
    except redis.RedisError:
        return "down"
    finally:
        client.close()
    return "ok"
