"""Shared by all tests: hypothesis has no deadline (two busy cores) and keeps no files; signals are
as a terminal gives them.

A shell starts its background jobs with SIGINT ignored, and each child inherits that; the programs
under test, and the stubs in their place, must hear a Ctrl-C there too.
"""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")
signal.signal(signal.SIGINT, signal.default_int_handler)
