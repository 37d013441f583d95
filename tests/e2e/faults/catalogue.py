"""The catalogue of faults: what is broken, when, and what that may cost the users.

A module of faults is named in `MODULES` and has a tuple `FAULTS`. `scene.py` plays each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.e2e.faults.scene import Scene
    from tests.e2e.world import Outcome

MODULES = ("kills", "interrupts", "agents", "services", "drift", "state", "host")

# What a fault breaks into: a deploy of a new release, a rollback, or a quiet system.
Change = Literal["deploy", "rollback", "nothing"]
# What it hits by itself. `nothing`: no request may fail. `edge`, `live`, `store`: users may notice
# it for as long as what was hit takes to return.
Hits = Literal["nothing", "edge", "live", "store"]
# How the command that was broken ends; `either` where both are right.
Ends = Literal["fails", "arrives", "either"]
Act = Callable[["Scene"], None]
Check = Callable[["Scene", "Outcome"], None]


@dataclass(frozen=True)
class Fault:
    """One way to break one change.

    id: `kill-engine@migrate-mid`; a fault of a rollback says so: `…@switch-mid+rollback`.
    title: in plain words; with the group's title it makes a sentence for docs/faults.md.
    inject: is called once the command runs; waits for its moment, breaks, and returns.
    prepare: before the command is begun (its environment, a proxy).
    command: what is broken; empty for `pulumi up`.
    undone: when it has ended, the release before it serves.
    check: what else must hold of the broken command.
    by_hand: recovery by the commands that are printed instead of by `ytops up`.
    bounded: part of `make test`.
    remote: is played on a host of its own, by ssh.
    """

    id: str
    group: str
    title: str
    inject: Act
    breaks: Change = "deploy"
    hits: Hits = "nothing"
    ends: Ends = "fails"
    prepare: Act | None = None
    command: tuple[str, ...] = ()
    undone: bool = False
    check: Check | None = None
    by_hand: bool = False
    bounded: bool = False
    remote: bool = False


def of_a_rollback(faults: Iterable[Fault]) -> list[Fault]:
    """The same, in the middle of a rollback."""
    return [
        replace(f, id=f"{f.id}+rollback", title=f"rollback: {f.title}", breaks="rollback")
        for f in faults
    ]


def catalogue() -> list[Fault]:
    """All of them, in the order of their modules."""
    found: list[Fault] = []
    for name in MODULES:
        found += import_module(f"tests.e2e.faults.{name}").FAULTS
    twice = {fault.id for fault in found if [f.id for f in found].count(fault.id) > 1}
    assert not twice, f"faults of the same id: {sorted(twice)}"
    return found
