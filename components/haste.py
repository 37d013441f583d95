"""What Pulumi's SDK does for nobody, left out: a program lives for seconds, and its users wait.

It reaches into the SDK; a unit test holds each of these places against the SDK that is pinned.
"""

from __future__ import annotations

import asyncio
import gc

import pulumi
from pulumi.runtime import settings, stack


def make_haste() -> None:
    """Call it once, before anything is declared."""
    # A sixth of the program's CPU time went into looking for garbage that its end frees anyway.
    gc.disable()
    # The SDK tells the engine ten things of each resource for `--debug`, and waits each time.
    setattr(pulumi.log, pulumi.log.debug.__name__, _unheard)
    setattr(stack, _wait.__name__, _settled)


def _unheard(*_: object) -> None:
    pass


_wait = stack.wait_for_rpcs


async def _settled(await_all_outstanding_tasks: bool = True) -> None:
    """At the end, the SDK looks through all outputs whenever one is known: with fifty containers,
    a second. It finds them known here."""
    while await_all_outstanding_tasks:
        pending = [task for task in list(settings.SETTINGS.outputs) if not task.done()]
        if not pending:
            break
        await asyncio.wait(pending)
    await _wait(await_all_outstanding_tasks)
