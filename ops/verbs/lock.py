"""`ytops lock` and `unlock`: a person's hold on deploys, and Pulumi's own lock on the stack."""

from __future__ import annotations

from ops.agent import Session, who
from ops.engine import Engine
from ops.observe import observe
from ops.stackfile import PROJECT
from ops.verbs import _pulumi_lock as pulumi_lock
from ops.verbs._exit import Refused
from ops.verbs._paper import say, when
from ops.verbs._place import Place
from rollout.state import Hold

OWNERS = {
    "alive": "its process is alive: a run is under way",
    "dead": "its process is gone: stranded. `ytops unlock`, or the next `ytops up`, clears it",
    "elsewhere": "whether its process lives can only be seen there",
}


def lock(place: Place, why: str) -> None:
    """Hold deploys until `unlock`. Without `why`: say which locks there are."""
    if why:
        view = observe(place.docker, place.names).view
        live = view.state.releases.get(view.edge.identity) if view.edge else None
        version = live.version if live else ""
        answer = _ask(place, "hold", who=who(), why=why, version=version)
        say(f"Deploys are {hold_words(Hold.model_validate(answer['hold']))}")
        say("Next, when that is over: `ytops unlock`")
    else:
        hold = observe(place.docker, place.names).view.state.hold
        say(f"Deploys are {hold_words(hold)}" if hold else "Deploys are not locked by anybody.")
    for line in _pulumi_lines(place):
        say(line)


def unlock(place: Place) -> None:
    """Release the hold, and Pulumi's lock when its owner is known to be dead. Raises Refused when
    all that is left is a lock that may be in use."""
    was = _unhold(place)
    if was:
        hold = Hold.model_validate(was)
        say(f"Unlocked. It had been {hold_words(hold)}")
    locks = _pulumi_locks(place)
    try:
        pulumi_lock.clear_stranded(locks or [], _engine(place), say)
    except Refused as refusal:
        if not was:
            raise
        say(f"Pulumi's lock stays. {refusal}")
    if not was and not locks:
        say("Nothing was locked.")


def _unhold(place: Place) -> object:
    """Where there is no switch, nothing is held."""
    if place.docker.inspect(place.names.switch) is None:
        return None
    return _ask(place, "unhold", who=who()).get("was")


def hold_words(hold: Hold) -> str:
    at = f", while {hold.version} is live" if hold.version else ""
    return f"locked by {hold.who} since {when(hold.since)}{at}: {hold.why}"


def _pulumi_lines(place: Place) -> list[str]:
    locks = _pulumi_locks(place)
    if locks is None:
        return ["Pulumi's lock can't be read on this backend; `ytops up` says when it is taken."]
    return [f"Pulumi's lock: {lock}; {OWNERS[lock.owner()]}." for lock in locks]


def _pulumi_locks(place: Place) -> list[pulumi_lock.PulumiLock] | None:
    return pulumi_lock.read(_engine(place).backend, PROJECT, place.stack)


def _engine(place: Place) -> Engine:
    return Engine(place.root, place.stack)


def _ask(place: Place, verb: str, **fields: str) -> dict[str, object]:
    with Session(place.docker, place.names.switch, say) as session:
        return session.ask(verb, **fields)
