"""Runs the SDK's launcher, and tells the host when the user has already seen the error.

A program that raises `pulumi.RunError` ends with status 1 after its message was shown, just as one
that calls `sys.exit(1)` without a word. Status 32 keeps the host from adding a line to the former.
"""

import runpy
import sys
from typing import Any

ALREADY_SHOWN = 32
shown: list[bool] = []

try:
    from pulumi import log
except ImportError:
    pass  # the launcher says so itself
else:
    show = log.error

    def remember(*args: Any, **kwargs: Any) -> None:
        shown.append(True)
        show(*args, **kwargs)

    log.error = remember

try:
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    if end.code == 1 and shown:
        sys.exit(ALREADY_SHOWN)
    raise
