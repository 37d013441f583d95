"""What the checklist's verbs share: where the evidence is, the limits, and who is at it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ops import gather
from ops.agent import who
from ops.engine import Engine
from ops.errors import OpsError
from ops.gather import Sources
from ops.git import Git
from ops.probes.forge import TOKEN
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from rollout.judge import Limits
from rollout.settings import SettingsError, keys, load_checklist


def limits(place: Place) -> Limits:
    """What a deploy of this stack is judged by."""
    try:
        return Limits(*load_checklist(place.stack, _raw(place)))
    except SettingsError as error:
        raise Misused(str(error)) from None


def sources(place: Place, backups: Path | None = None) -> Sources:
    """Where a deploy of this stack looks; `backups` is a person's word for another folder."""
    try:
        found = gather.sources(place.root, place.names, place.docker, _raw(place))
    except SettingsError as error:
        raise Misused(str(error)) from None
    more = {"forge_token": _token(place)} | ({"backups": str(backups.resolve())} if backups else {})
    checklist = found.settings.model_copy(update=more)
    return replace(found, limits=replace(found.limits, checklist=checklist))


def _raw(place: Place) -> dict[str, str]:
    """The stack's values; of a secret none."""
    return {key: place.configuration.get(key) for key in keys()}


def _token(place: Place) -> str:
    """The forge's, out of the stack file; empty where there is none, or this person can't open it:
    then the records are asked."""
    if os.environ.get(TOKEN) or "forgeToken" not in place.file.values():
        return ""
    with suppress(OpsError):
        return Engine(place.root, place.stack).secret("forgeToken")
    return ""


def person(place: Place, named: str = "") -> str:
    """Who acts, as the commits of this checkout name them."""
    return named or Git(place.root).user() or who()


def now() -> datetime:
    """As records write it: to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def moment(text: str, option: str) -> datetime:
    """A time that a person typed. Raises Misused."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Misused(
            f"{option}: expected a time with its zone, such as 2025-01-10T22:00-08:00, got {text!r}"
            ". Next: the same command with such a time"
        )
    return found
