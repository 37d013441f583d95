"""`manage.py jobs_summary`: what became of the jobs, as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from app import jobs


class Command(BaseCommand):
    help = "Counts jobs, effects, attempts and beats, as JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(jobs.summary()))
