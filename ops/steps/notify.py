"""Notify: tells the webhook that a switch is done, as the host remembers it."""

from __future__ import annotations

import os

from ops import notify
from ops.agent import Session
from ops.docker import Docker, Say
from ops.errors import OpsError
from rollout.state import Event
from rollout.steps import WEBHOOK, Notify


def run(parameters: Notify, say: Say) -> None:
    url = os.environ.get(WEBHOOK, "")
    if not url:
        say("no webhook is configured: nobody is told")
        return
    try:
        last = _last_switch(parameters, say)
    except OpsError as error:  # the switch is done: telling of it never fails a deploy
        say(f"nobody was told: {str(error).splitlines()[0]}")
        return
    if last is None:
        say(f"nobody was told: the host does not remember switch {parameters.serial}")
        return
    fields = {"event": "done", "stack": parameters.stack, **_fields(last)}
    if notify.send(url, _words(parameters.stack, last), fields, say):
        say("told the webhook")


def _last_switch(parameters: Notify, say: Say) -> Event | None:
    with Session(Docker(), parameters.switch, say) as session:
        found = session.ask("state")["state"].get("last_switch")
    last = Event.model_validate(found) if found else None
    return last if last and last.serial == parameters.serial else None


def _words(stack: str, last: Event) -> str:
    came = f" (before: {last.source})" if last.source else ", the first release"
    return f"YTEMPIRE {stack}: {last.kind} of {last.target} is done{came}"


def _fields(last: Event) -> dict[str, str | int]:
    return {
        "source": last.source,
        "target": last.target,
        "kind": last.kind,
        "serial": last.serial,
        "who": last.who,
    }
