"""`kill -9` of all that a run consists of: engine, plugins, language host, program, steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import replace

from tests.e2e.faults.catalogue import Act, Ends, Fault, of_a_rollback
from tests.e2e.faults.moments import (
    BEGIN,
    DOCKER_PLUGIN,
    MID,
    MOVING,
    STEPS,
    Moment,
    is_before_the_switch,
)
from tests.e2e.faults.processes import Process, below
from tests.e2e.faults.scene import Scene

HOST = "pulumi-language-python"
Victim = Callable[[list[Process]], Process | None]


def engine(found: list[Process]) -> Process | None:
    return next((p for p in found if p.program == "pulumi"), None)


def plugin(name: str) -> Victim:
    return lambda found: next((p for p in found if p.program == name), None)


def program(found: list[Process]) -> Process | None:
    """`__main__.py`: the language host starts it; the policy pack beside it is not meant."""
    hosts = {p.pid for p in found if p.program == HOST}
    ours = (p for p in found if p.parent in hosts and "pulumi.policy" not in p.words)
    return next(ours, None)


def language_host(found: list[Process]) -> Process | None:
    """The one that runs the program."""
    ours = program(found)
    return next((p for p in found if ours and p.pid == ours.parent), None)


def step(found: list[Process]) -> Process | None:
    return next((p for p in found if any(w.endswith("/ytops-step") for w in p.words[1:2])), None)


def kill(victim: Victim, moment: Moment) -> Act:
    def inject(scene: Scene) -> None:
        with scene.at(moment):
            found = victim(below(scene.run.process.pid))
            assert found, f"there was nobody to kill {moment.words}:\n{scene.run.text}"
            os.kill(found.pid, signal.SIGKILL)

    return inject


def _kills(
    who: str,
    group: str,
    victim: Victim,
    moments: Iterable[Moment],
    ends: Ends = "fails",
    undone: tuple[Moment, ...] = (),
) -> list[Fault]:
    """`undone`: those from the switch on that the host must undo."""
    return [
        Fault(
            f"kill-{who}@{moment.name}",
            group,
            moment.words,
            kill(victim, moment),
            ends=ends,
            undone=moment in undone or (is_before_the_switch(moment) and ends == "fails"),
        )
        for moment in moments
    ]


def _by_hand(faults: Iterable[Fault]) -> list[Fault]:
    return [
        replace(f, id=f"{f.id}+by-hand", title=f"{f.title}; recovered by hand", by_hand=True)
        for f in faults
    ]


def _bounded(faults: Iterable[Fault], *ids: str) -> list[Fault]:
    return [replace(f, bounded=f.id in ids) for f in faults]


ENGINE = "The engine (`pulumi`) is killed"
COMMANDS = "The command plugin, which runs the steps, is killed"
DOCKER = "The Docker plugin, which makes the containers, is killed"
LANGUAGE = "The language host is killed"
PROGRAM = "The Python program is killed"
STEP = "The process of a step is killed"

COMMAND_PLUGIN = plugin("pulumi-resource-command")
# Who asked for the switch is gone, and the engine with it or not: nobody will confirm it.
UNDONE = (MOVING, MID["switch"])
# Every boundary and every middle.
ALL = [moment for name in STEPS for moment in (BEGIN[name], MID[name])]
ALL.insert(ALL.index(MID["switch"]), MOVING)
ROLLBACK = [MID["gate"], BEGIN["switch"], MOVING, MID["switch"], MID["cache"], MID["notify"]]
# The steps that are commands: in the middle of the others this plugin has nothing to do.
RUN_BY_COMMANDS = [MID[name] for name in STEPS if name not in ("app", "worker", "beat")]
MADE_BY_DOCKER = [
    MID["gate"],  # before it was ever asked
    BEGIN["app"],
    MID["app"],
    BEGIN["worker"],
    MID["worker"],
    MID["beat"],
    MID["switch"],
]
MIDDLES = [MID[name] for name in STEPS]

FAULTS = tuple(
    _bounded(
        [
            *_kills("engine", ENGINE, engine, ALL),
            *of_a_rollback(_kills("engine", ENGINE, engine, ROLLBACK)),
            *_by_hand(
                _kills("engine", ENGINE, engine, (MID["migrate"], MID["app"], MID["switch"]))
            ),
            *_kills("command", COMMANDS, COMMAND_PLUGIN, RUN_BY_COMMANDS, undone=UNDONE),
            *of_a_rollback(
                _kills("command", COMMANDS, COMMAND_PLUGIN, (MOVING, MID["switch"]), undone=UNDONE)
            ),
            *_kills("docker", DOCKER, plugin(DOCKER_PLUGIN), MADE_BY_DOCKER, ends="either"),
            *_kills("language", LANGUAGE, language_host, MIDDLES, ends="either"),
            *of_a_rollback(
                _kills("language", LANGUAGE, language_host, (MID["switch"],), ends="either")
            ),
            *_kills("program", PROGRAM, program, MIDDLES, ends="either"),
            *of_a_rollback(_kills("program", PROGRAM, program, (MID["switch"],), ends="either")),
            *_kills("step", STEP, step, RUN_BY_COMMANDS, undone=UNDONE),
            *of_a_rollback(_kills("step", STEP, step, (MID["switch"],), undone=UNDONE)),
        ],
        "kill-engine@migrate-mid",
        "kill-engine@switch-mid+rollback",
        "kill-command@switch-mid+rollback",
        "kill-language@healthy-mid",
    )
)
