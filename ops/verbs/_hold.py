"""No deploy while a restore is under way, and no restore during a deploy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ops.agent import Session, who
from ops.engine import Engine
from ops.errors import OpsError
from ops.observe import observe
from ops.stackfile import PROJECT
from ops.verbs import _pulumi_lock as pulumi_lock
from ops.verbs._exit import Refused
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs.lock import hold_words

# How a hold of ours begins: one that is left was a killed restore's, because only one runs at once.
RESTORE = "ytops restore"


def refuse_if_busy(place: Place) -> None:
    """Raise Refused during a deploy, and while a person holds them."""
    locks = pulumi_lock.read(Engine(place.root, place.stack).backend, PROJECT, place.stack)
    for lock in locks or ():
        pulumi_lock.refuse_unless_dead(lock, place.stack)
    state = observe(place.docker, place.names).view.state
    if state.pending:
        raise Refused(
            f"A deploy is under way: {state.pending.target.identity} by {state.pending.who} is not "
            "confirmed yet.\nNext: `ytops status`; when it is over, this again."
        )
    if state.hold and not state.hold.why.startswith(RESTORE):
        raise Refused(
            f"Deploys are {hold_words(state.hold)}.\nA restore is held off, too. "
            "Next: when that is over, `ytops unlock`, then this again."
        )


@contextmanager
def deploys_held(place: Place, what: str) -> Iterator[None]:
    """Ours from here. Where there is no switch, nothing can be deployed that would have to wait."""
    if place.docker.inspect(place.names.switch) is None:
        yield
        return
    release_left(place)
    _ask(place, "hold", who=who(), why=f"{RESTORE}: {what}")
    try:
        refuse_if_busy(place)
        yield
    finally:
        try:
            _ask(place, "unhold", who=who())
        except OpsError as error:
            say(f"Deploys stay held: {str(error).splitlines()[0]} Next: `ytops unlock`")


def release_left(place: Place) -> None:
    """The hold of a restore that was killed."""
    hold = observe(place.docker, place.names).view.state.hold
    if hold and hold.why.startswith(RESTORE):
        _ask(place, "unhold", who=who())
        say(f"An earlier restore by {hold.who} was cut off: its hold on deploys is released")


def remember(place: Place, key: str, note: str) -> None:
    """For `status`, on the host. A restore is none the worse for nobody remembering it."""
    if place.docker.inspect(place.names.switch) is None:
        return
    try:
        _ask(place, "mark", key=key, note=note)
    except OpsError as error:
        say(f"It is not in `ytops status`: {str(error).splitlines()[0]}")


def _ask(place: Place, verb: str, **fields: str) -> None:
    with Session(place.docker, place.names.switch, say) as session:
        session.ask(verb, **fields)
