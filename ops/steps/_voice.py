"""What a step says: short lines on stdout, one message on stderr, never a secret in either."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import unquote, urlsplit

SECRETS = ("PGPASSWORD", "REDISCLI_AUTH", "WEBHOOK", "APP_PASSWORD", "REPLICATION_PASSWORD")
HIDDEN = "***"

_SECRET_NAME = re.compile(r"PASSW|SECRET|TOKEN|_KEY$|AUTH$|CREDENTIAL|WEBHOOK", re.I)
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@")
_SHORTEST = 4  # anything shorter is found in ordinary words


class Voice:
    """A step's two outputs. Values of secret variables are blotted out, wherever they come from."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._turn = threading.Lock()
        self.keep_secret(SECRETS)

    def keep_secret(self, variables: Iterable[str]) -> None:
        """Hide what is secret in these variables of the environment, by their names and values."""
        values = {secret for name in variables for secret in _secrets(name, os.environ.get(name))}
        long_enough = {value for value in values if len(value) >= _SHORTEST}
        self._secrets = tuple(sorted({*self._secrets, *long_enough}, key=len, reverse=True))

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


def _secrets(name: str, value: str | None) -> set[str]:
    """The whole value where the name says so; the password of a URL, as written and as meant."""
    if not value:
        return set()
    if _SECRET_NAME.search(name):
        return {value}
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}
