"""The two logins that each datastore has for the application, and their turns.

One is in use: releases are started with it. The other has no password, except while a release that
was started with it is kept. A new password is given to the login that is out of use, the next
release takes it up, and nobody is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from rollout.fingerprint import referenced
from rollout.shapes import Release

Turn = Literal["a", "b"]


@dataclass(frozen=True)
class Login:
    """`key`: its password's configuration key, and how a release's environment refers to it."""

    key: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Logins:
    """Both of one datastore."""

    turn: Turn
    a: Login
    b: Login

    @property
    def current(self) -> Login:
        return self.a if self.turn == "a" else self.b

    @property
    def other(self) -> Login:
        return self.b if self.turn == "a" else self.a

    @property
    def users(self) -> tuple[str, str]:
        return self.a.user, self.b.user

    def open(self, kept: Iterable[Release]) -> tuple[Login, ...]:
        """Those that may log in: the one in use, and what kept releases were started with."""
        used = {self.current.key, *(key for release in kept for key in keys_of(release))}
        return tuple(login for login in (self.a, self.b) if login.key in used)


def keys_of(release: Release) -> set[str]:
    """The secrets that it was started with, by reference."""
    return referenced(release.environment)


def second(user: str) -> str:
    """The name of the login b beside a."""
    return f"{user}_b"
