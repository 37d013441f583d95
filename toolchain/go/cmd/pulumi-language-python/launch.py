"""Runs the SDK's launcher, and tells the host when the user has already seen the error.

A program that raises `pulumi.RunError` ends with status 1 after its message was shown, just as one
that calls `sys.exit(1)` without a word. Status 32 keeps the host from adding a line to the former.

With `--warm NAMES` it imports these first, and is told on its standard input what to run (warm.go).
"""

import importlib
import json
import os
import runpy
import sys
from contextlib import suppress
from typing import Any

ALREADY_SHOWN = 32
shown: list[bool] = []


def warm_up(names: str) -> None:
    for name in names.split(","):
        with suppress(Exception):  # the program finds the same, and says so
            importlib.import_module(name)
    order = sys.stdin.readline()
    if not order:
        sys.exit(0)  # no program is wanted any more
    told = json.loads(order)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(told["env"])
    os.chdir(told["dir"])
    sys.argv = [sys.argv[0], *told["argv"]]


if sys.argv[1] == "--warm":
    warm_up(sys.argv[2])

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
