"""SIGINT, as a terminal sends it: to the whole group of `pulumi up`, or of `ytops up`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.e2e.faults.catalogue import Act, Fault, of_a_rollback
from tests.e2e.faults.kills import ALL, MIDDLES
from tests.e2e.faults.moments import MID, MOVING, Moment, is_before_the_switch
from tests.e2e.faults.scene import Scene
from tests.e2e.world import Outcome

PULUMI = "Ctrl-C in `pulumi up`"
YTOPS = "Ctrl-C in `ytops up`"


def interrupt(moment: Moment, times: int = 1) -> Act:
    def inject(scene: Scene) -> None:
        with scene.at(moment):
            for _ in range(times):
                scene.run.interrupt()

    return inject


def _pulumi(moments: Iterable[Moment], times: int = 1) -> list[Fault]:
    often = "" if times == 1 else ", twice"
    # The last step may have ended by the time the engine hears of it.
    return [
        Fault(
            f"interrupt{'-twice' if times > 1 else ''}@{moment.name}",
            PULUMI,
            moment.words + often,
            interrupt(moment, times),
            undone=is_before_the_switch(moment) or moment in (MOVING, MID["switch"]),
            ends="either" if moment.name.startswith("notify") else "fails",
        )
        for moment in moments
    ]


def _ytops(moments: Iterable[Moment]) -> list[Fault]:
    return [
        replace(
            fault,
            id=f"ytops-{fault.id}",
            group=YTOPS,
            command=("ytops", "up"),
            check=_says_what_serves,
        )
        for fault in _pulumi(moments)
    ]


def _says_what_serves(scene: Scene, broken: Outcome) -> None:
    if not broken.ok:
        live = scene.world.state()["live"]["identity"]
        assert broken.code == 130, broken.text
        assert f"{live} is live" in broken.text, broken.text


BOUNDED = {"interrupt@switch-mid+rollback"}

FAULTS = tuple(
    replace(fault, bounded=fault.id in BOUNDED)
    for fault in (
        *_pulumi(ALL),
        *_pulumi((MID["migrate"], MID["switch"]), times=2),
        *of_a_rollback(_pulumi((MID["gate"], MOVING, MID["switch"], MID["cache"]))),
        *_ytops(MIDDLES),
        *of_a_rollback(_ytops((MID["switch"], MID["cache"]))),
    )
)
