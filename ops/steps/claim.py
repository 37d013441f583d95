"""Claim: the idle slot is taken for a release; steps of an overtaken run are refused from here."""

from __future__ import annotations

from ops.agent import Session, who
from ops.docker import Docker, Say
from rollout.steps import Claim


def run(parameters: Claim, say: Say) -> None:
    with Session(Docker(), parameters.switch, say) as session:
        session.ask(
            "claim",
            **parameters.only("colour", "release", "claim", "live"),
            who=who(),
        )
    live = parameters.live
    beside = f"beside {live.identity} in {live.colour}" if live else "for the first release"
    say(f"{parameters.colour} is {parameters.release.identity}'s, {beside}")
