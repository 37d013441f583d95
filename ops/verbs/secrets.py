"""`ytops secrets list` and `rotate`: which credentials there are, and another value for each."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Sequence
from typing import Any

from ops.verbs import _database as database
from ops.verbs import _store_keys as store_keys
from ops.verbs._exit import Failed, Misused
from ops.verbs._paper import BAD, say, when
from ops.verbs._place import Place
from ops.verbs._rotation import Rotation
from rollout.credentials import ROTATED, Credential, credential, present, unfinished


def listed(place: Place, *, as_json: bool) -> None:
    """Names and moments, and no value: nothing is decrypted for it."""
    rows = [_row(place, one) for one in present(place.file.values())]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        moment = f"rotated {when(row['rotated'])}" if row["rotated"] else "not rotated yet"
        rest = f"  {BAD} a rotation is under way: `ytops secrets rotate`" * row["under_way"]
        say(f"{row['name']:<{width}}  {moment}; {row['used']}{rest}")


def _row(place: Place, one: Credential) -> dict[str, Any]:
    values = place.file.values()
    rotated = values.get(ROTATED) or {}
    both = one.way == "turn" and {one.name, f"{one.name}B"} <= values.keys()
    return {
        "name": one.name,
        "rotated": str(rotated.get(one.name, "")),
        "used": one.used,
        "note": one.note,
        "way": one.way,
        "under_way": both,
    }


def rotate(place: Place, names: Sequence[str], *, everything: bool, yes: bool) -> None:
    """Give the named ones other values; without a name, end what was cut off."""
    chosen = _all(place) if everything else _named(names)
    if not chosen and not unfinished(database.settings(place).datastores):
        raise Misused(
            "Which one? Next: `ytops secrets list`, then `ytops secrets rotate NAME…`, or `--all`"
        )
    given = {one.name: _ask_for(one) for one in chosen if one.way == "given"}
    for one in chosen:
        if one.note and one.way in ("made", "store"):
            say(f"{one.name}: {one.note}")
    _consent(place, yes)
    if any(one.way == "store" for one in chosen):
        store_keys.rotate(place)
        chosen = [one for one in chosen if one.way != "store"]
        if not chosen:
            return
    Rotation(place, tuple(one.name for one in chosen), given).go()
    if everything:
        for one in present(place.file.values()):
            if one.way in ("given", "by hand", "store"):
                say(f"  left to do: {one.name} ({one.note})")


def _all(place: Place) -> list[Credential]:
    """Those that we make ourselves."""
    return [one for one in present(place.file.values()) if one.way in ("turn", "made")]


def _named(names: Sequence[str]) -> list[Credential]:
    chosen = []
    for name in dict.fromkeys(names):
        one = credential(name)
        if one is None:
            raise Misused(f"{name} is no credential. Next: `ytops secrets list`")
        if one.way == "by hand":
            raise Misused(f"{name} is not rotated by this: {one.note}.")
        chosen.append(one)
    return chosen


def _ask_for(one: Credential) -> str:
    """Where nobody sees it: a terminal does not show it, a script pipes it."""
    if sys.stdin.isatty():
        value = getpass.getpass(f"{one.name} ({one.note}): ")
    else:
        value = sys.stdin.readline()
    if not value.strip():
        raise Misused(
            f"{one.name}: expected its new value on standard input, got none. Next: "
            f"`ytops secrets rotate {one.name} < FILE`"
        )
    return value.strip()


def _consent(place: Place, yes: bool) -> None:
    if yes or not place.configuration.protected:
        return
    if not sys.stdin.isatty():
        raise Misused(
            f"{place.stack} is protected: it wants a yes, and nobody can answer here. "
            "Next: the same command with `--yes`."
        )
    question = f"Rotate on {place.stack}, deploy, and give up what could be rolled back to? [y/N] "
    if input(question).strip().lower() not in ("y", "yes"):
        raise Failed("Nothing was changed.")
