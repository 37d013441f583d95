"""What takes the place of data is done once the stack's name was typed."""

from __future__ import annotations

import sys

from ops.verbs._exit import Failed, Misused
from ops.verbs._place import Place


def confirm(place: Place, yes: bool) -> None:
    """`yes`: asked for in the command. Raises Misused where nobody can type, Failed where something
    else was."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misused(
            f"This wants {place.stack} typed, and nobody can type here. Nothing was touched.\n"
            "Next: the same command with `--yes`."
        )
    try:
        answer = input(f"Type the stack's name, {place.stack}, to go on: ")
    except EOFError:
        answer = ""
    if answer.strip() != place.stack:
        raise Failed("Nothing was touched.")
