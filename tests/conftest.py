"""Shared by all tests: hypothesis has no deadline (two busy cores) and keeps no files."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")
