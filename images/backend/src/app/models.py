"""The tables. `users`, `channels`, `videos`, `analytics` and `generation_jobs` bear the names and
columns that the maintenance SQL of the operations manual relies on.

A change of schema expands first: the release before must go on working on the new tables.
"""

from __future__ import annotations

from django.db import models

from app import flaws, release


class User(models.Model):
    email = models.EmailField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "users"


class Channel(models.Model):
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="channels")
    # Renamed in one step by the release that breaks the one before.
    name = models.CharField(
        max_length=100,
        unique=True,
        db_column="title" if flaws.has(flaws.BREAKS_PREVIOUS) else None,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "channels"


class Video(models.Model):
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="videos")
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    if release.at_least("1.1.0"):
        # Nullable: 1.0.0 goes on inserting rows that don't name it.
        thumbnail_url = models.URLField(null=True)

    class Meta:
        db_table = "videos"


class Analytics(models.Model):
    video = models.ForeignKey(Video, on_delete=models.CASCADE)
    date = models.DateTimeField(db_index=True)
    views = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "analytics"


class GenerationJob(models.Model):
    """One video to generate."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"

    key = models.CharField(max_length=100, unique=True, null=True)
    seconds = models.FloatField()
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        db_table = "generation_jobs"


class GenerationEffect(models.Model):
    """What a job brought about; the database refuses a second one.

    Effects and attempts name their job without a foreign key: the manual's clean-up deletes old
    jobs by plain SQL, and the record of what was done outlives them.
    """

    job_id = models.BigIntegerField(unique=True)
    attempt_id = models.BigIntegerField()
    release = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "generation_effects"


class GenerationAttempt(models.Model):
    """One run of a job by one worker. `outcome` stays empty when the worker was lost."""

    class Outcome(models.TextChoices):
        LOST = ""
        RECORDED = "recorded"
        SUPPRESSED = "suppressed"  # the effect was there already

    job_id = models.BigIntegerField(db_index=True)
    worker = models.CharField(max_length=200)
    release = models.CharField(max_length=100)
    redelivered = models.BooleanField(default=False)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.LOST, blank=True)

    class Meta:
        db_table = "generation_attempts"


class Heartbeat(models.Model):
    """One tick of a beat: who sent it when, and who worked it off."""

    beat = models.CharField(max_length=200, db_index=True)
    release = models.CharField(max_length=100)
    worker = models.CharField(max_length=200)
    sent_at = models.DateTimeField(db_index=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "heartbeats"
