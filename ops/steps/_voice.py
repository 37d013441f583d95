"""What a step says: short lines on stdout, one message on stderr, never a secret in either."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote

from rollout.steps import LOGINS, REDACT, WEBHOOK

# Variables that hold one secret each; LOGINS holds some by their users, REDACT all of the
# settings'.
SECRETS = ("PGPASSWORD", "REDISCLI_AUTH", "REPLICATION_PASSWORD", WEBHOOK)
HIDDEN = "***"

_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
_SHORTEST = 4  # anything shorter is found in ordinary words
_SHORTEST_LINE = 12  # of a secret of several lines, which a log shows one by one


class Voice:
    """A step's two outputs. Secret values are blotted out, wherever they come from: `secrets`, or
    the step's own."""

    def __init__(self, secrets: Iterable[str] | None = None) -> None:
        values = _values() if secrets is None else secrets
        found = {form for value in values for form in _forms(value)}
        self._secrets = sorted(found, key=len, reverse=True)
        self._turn = threading.Lock()

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", text)

    def say(self, line: str) -> None:
        with self._turn, suppress(BrokenPipeError):  # work goes on when nobody listens
            print(self.clean(line), flush=True)

    def fail(self, message: str) -> None:
        with self._turn, suppress(BrokenPipeError):
            print(self.clean(message), file=sys.stderr, flush=True)


def _values() -> Iterator[str]:
    yield from (os.environ.get(name, "") for name in SECRETS)
    with suppress(ValueError):
        yield from (str(value) for value in json.loads(os.environ.get(REDACT) or "[]"))
    with suppress(ValueError, AttributeError):
        yield from map(str, json.loads(os.environ.get(LOGINS) or "{}").values())


def _forms(value: str) -> Iterator[str]:
    """As it is, in a URL, in JSON, in Python's words; and its lines."""
    if len(value) >= _SHORTEST:
        yield from (value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1])
    if "\n" in value:
        yield from (line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)
