"""Where everything is."""

from django.urls import path

from app.views import catalogue, health, jobs, waiting

urlpatterns = [
    path("health", health.health),
    path("api/v1/status", health.status),
    path("api/v1/channels", catalogue.channels),
    path("api/v1/videos", catalogue.videos),
    path("api/v1/jobs", jobs.create),
    path("api/v1/jobs/summary", jobs.summary),
    path("api/v1/slow", waiting.slow),
    path("api/v1/stream", waiting.stream),
]
