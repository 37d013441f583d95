"""`manage.py load_jobs --count 1000 --seconds 0.5`: many jobs at once."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from app import jobs


class Command(BaseCommand):
    help = "Queues numbered generation jobs; prints their ids as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, required=True)
        parser.add_argument("--seconds", type=float, default=1.0)
        parser.add_argument("--prefix", help="their keys are PREFIX-1 and so on")

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = jobs.load(options["count"], options["seconds"], options["prefix"])
        ids = [job.pk for job in loaded]
        self.stdout.write(json.dumps({"loaded": len(ids), "ids": ids}))
