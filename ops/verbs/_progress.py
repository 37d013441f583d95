"""A run as people follow it: steps in words, each with how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ops.verbs._events import STEP, Event
from ops.verbs._paper import OK, paint

NAME_WIDTH = 16
# A step that takes longer than this shows what it says while it runs, in a log too.
LONG_SECONDS = 10.0

_QUIET_OPS = {"same", "read", "refresh", "discard", "read-discard", "read-replacement"}
_QUIET_TYPES = ("pulumi:", "ytempire:")
_DONE_WORDS = {
    "create": "created",
    "update": "updated",
    "create-replacement": "created anew",
    "delete": "removed",
    "delete-replaced": "removed, the old one",
    "import": "adopted",
}
_PLAN_WORDS = {
    "create": "create",
    "update": "update",
    "create-replacement": "replace",
    "delete": "remove",
    "import": "adopt",
}
_STEP_OPS = {"create", "update", "create-replacement"}
_PLAN = "plan: "


@dataclass
class Step:
    """A step under way."""

    name: str
    noun: str
    begun: float
    said: str = ""


@dataclass
class Progress:
    """Takes events, gives the lines to print. `running` is what is under way."""

    clock: Callable[[], float] = time.monotonic
    running: dict[str, Step] = field(default_factory=dict)
    planned: list[str] = field(default_factory=list)
    done: int = 0
    _told: set[str] = field(default_factory=set)

    def hear(self, event: Event) -> list[str]:
        if event.kind == "warned":
            return self._once(f"! {event.text}")
        if event.kind == "said" and event.text.startswith(_PLAN):
            return self._once(event.text)
        if event.kind == "said" and event.urn in self.running:
            return self._said(self.running[event.urn], event.text)
        if _is_quiet(event):
            return []
        if event.planning:
            self._plan(event)
            return []
        if event.kind == "started":
            self.running[event.urn] = Step(event.name, event.noun, self.clock())
        elif event.kind == "failed":
            return self._failed(event)
        elif event.kind == "done":
            return self._done(event)
        return []

    def _plan(self, event: Event) -> None:
        if event.kind != "started" or event.op not in _PLAN_WORDS:
            return
        word = "run" if event.is_step else f"{_PLAN_WORDS[event.op]} {event.noun}"
        self.planned.append(f"{word:<18} {event.name}")

    def _once(self, line: str) -> list[str]:
        """The engine says the same in the preview and in the update."""
        if line in self._told:
            return []
        self._told.add(line)
        return [line]

    def _said(self, step: Step, text: str) -> list[str]:
        step.said = text.splitlines()[-1].strip()
        if self.clock() - step.begun < LONG_SECONDS:
            return []
        return [f"{step.name:<{NAME_WIDTH}} {step.said}"]

    def _done(self, event: Event) -> list[str]:
        step = self.running.pop(event.urn, None)
        if step is None:
            return []
        self.done += 1
        default = "done" if event.is_step else f"{step.noun} {_DONE_WORDS.get(event.op, event.op)}"
        took = f"{self.clock() - step.begun:.1f} s"
        return [f"{step.name:<{NAME_WIDTH}} {step.said or default} {paint(OK, 'green')} {took}"]

    def _failed(self, event: Event) -> list[str]:
        """Its words come at the end, in one piece."""
        step = self.running.pop(event.urn, None)
        took = f" after {self.clock() - step.begun:.1f} s" if step else ""
        return [f"{event.name:<{NAME_WIDTH}} {paint('failed', 'red')}{took}"]


def _is_quiet(event: Event) -> bool:
    """Bookkeeping: what stays, what merely groups, and a step's replacement, which does nothing."""
    if event.op in _QUIET_OPS or event.type.startswith(_QUIET_TYPES) or not event.type:
        return True
    if event.kind == "failed":
        return False
    return event.op == "replace" or (event.type == STEP and event.op not in _STEP_OPS)
