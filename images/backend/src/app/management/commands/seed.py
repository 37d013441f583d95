"""`manage.py seed --channels 3 --videos 20`: data to look at, and to back up."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from app.models import Analytics, Channel, User, Video


class Command(BaseCommand):
    help = "Makes channels with videos and a month of figures; those that exist are left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--channels", type=int, default=3)
        parser.add_argument("--videos", type=int, default=20, help="for each channel")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        owner, _ = User.objects.get_or_create(email="owner@example.com")
        for number in range(1, options["channels"] + 1):
            channel, created = Channel.objects.get_or_create(
                name=f"channel {number}", defaults={"owner": owner}
            )
            if created:
                self._fill(channel, options["videos"])
        rows = {model._meta.db_table: model.objects.count() for model in (Channel, Video)}
        self.stdout.write(json.dumps(rows))

    def _fill(self, channel: Channel, count: int) -> None:
        videos = Video.objects.bulk_create(
            Video(channel=channel, title=f"{channel.name}, video {number}")
            for number in range(1, count + 1)
        )
        now = timezone.now()
        Analytics.objects.bulk_create(
            Analytics(video=video, date=now - timedelta(days=day), views=day * 10)
            for video in videos
            for day in range(30)
        )
