"""Asking over HTTP: a slot's app at its own address, the public port, and nginx's status port."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ops.switch.config import Clock, SwitchConfig
from rollout.names import EDGE_HTTP_PORT, EDGE_HTTPS_PORT, EDGE_STATUS_PORT, Colour
from rollout.shapes import Release

PAUSE_SECONDS = 0.5  # between rounds, as in the watch
BODY_LIMIT = 1 << 20


class ProbeFailed(Exception):
    """Expected against got. `release_at_fault`: the release answered, and wrongly."""

    def __init__(self, words: str, *, release_at_fault: bool = False) -> None:
        super().__init__(words)
        self.release_at_fault = release_at_fault


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


class Probes:
    """Speaks to apps and edge from the switch's own, fixed address."""

    def __init__(self, config: SwitchConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._tls = ssl.create_default_context()
        # Whether the certificate is good is monitored; here the question is which release answers.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def app(self, colour: Colour, release: Release, timeout: float) -> int:
        """Every endpoint of the slot's app; asked again until right or `timeout` has passed.

        Returns the milliseconds that the last round took.
        """
        deadline = self._clock.monotonic() + timeout
        while True:
            started = self._clock.monotonic()
            try:
                self._round(release, lambda path: self._from_app(colour, release, path))
            except ProbeFailed as failure:
                if self._clock.monotonic() + PAUSE_SECONDS >= deadline:
                    raise ProbeFailed(f"{colour}: {failure}", release_at_fault=True) from None
                self._clock.sleep(PAUSE_SECONDS)
            else:
                return round(1000 * (self._clock.monotonic() - started))

    def public(self, release: Release) -> None:
        """Every endpoint through the edge, and that it is this release that answers."""
        self._round(release, lambda path: self._from_public(release, path))

    def status(self, path: str) -> Answer:
        """nginx's status port; OSError if it isn't there."""
        where = http.client.HTTPConnection(
            self._config.address("edge"), EDGE_STATUS_PORT, timeout=1.0
        )
        return _get(where, path, {})

    def _round(self, release: Release, ask: Callable[[str], Answer]) -> None:
        _check_status(release, ask(release.status_path))
        for path in release.endpoints:
            if path != release.status_path:
                ask(path)

    def _from_app(self, colour: Colour, release: Release, path: str) -> Answer:
        where = http.client.HTTPConnection(
            self._config.address(colour), release.port, timeout=self._config.probe_seconds
        )
        headers = {"X-Forwarded-Proto": "https" if self._config.tls else "http"}
        try:
            return _expect_ok(path, self._ask(where, path, headers))
        except OSError as error:
            raise ProbeFailed(f"{path}: expected 200, got {_words(error)}") from None

    def _from_public(self, release: Release, path: str) -> Answer:
        try:
            answer = self._ask(self._public_connection(), path, {})
        except OSError as error:
            words = f"{path} through the edge: expected 200, got {_words(error)}"
            # nginx always answers, if only 504; no answer in time is the app using it all up.
            raise ProbeFailed(words, release_at_fault=isinstance(error, TimeoutError)) from None
        shown = answer.headers.get(self._config.release_header.lower(), "")
        if shown != release.identity:
            name = self._config.release_header
            raise ProbeFailed(f"{path}: expected {name} {release.identity}, got {shown or 'none'}")
        return _expect_ok(f"{path} through the edge", answer)

    def _public_connection(self) -> http.client.HTTPConnection:
        host, timeout = self._config.address("edge"), self._config.probe_seconds
        if not self._config.tls:
            return http.client.HTTPConnection(host, EDGE_HTTP_PORT, timeout=timeout)
        connection = http.client.HTTPSConnection(
            host, EDGE_HTTPS_PORT, timeout=timeout, context=self._tls
        )
        plain = socket.create_connection((host, EDGE_HTTPS_PORT), timeout)
        try:
            connection.sock = self._tls.wrap_socket(plain, server_hostname=self._config.domain)
        except OSError:
            plain.close()
            raise
        return connection

    def _ask(self, where: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Answer:
        return _get(where, path, {"Host": self._config.domain, **headers})


def _get(where: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Answer:
    try:
        where.request("GET", path, headers={**headers, "User-Agent": "ytempire-switch"})
        response = where.getresponse()
        body = response.read(BODY_LIMIT).decode(errors="replace")
        return Answer(
            response.status, {key.lower(): value for key, value in response.getheaders()}, body
        )
    except http.client.HTTPException as error:
        raise ConnectionError(f"a broken answer ({type(error).__name__})") from None
    finally:
        where.close()


def _expect_ok(what: str, answer: Answer) -> Answer:
    if answer.status != http.client.OK:
        words = f"{what}: expected 200, got {answer.status}"
        raise ProbeFailed(words, release_at_fault=True)
    return answer


def _check_status(release: Release, answer: Answer) -> None:
    try:
        said = json.loads(answer.body)
        got = (str(said["version"]), str(said["fingerprint"]))
    except (ValueError, KeyError, TypeError):
        words = f"{release.status_path}: expected JSON with version and fingerprint"
        raise ProbeFailed(f"{words}, got {answer.body[:80]!r}", release_at_fault=True) from None
    if got != (release.version, release.fingerprint):
        words = f"{release.status_path}: expected {release.identity}, got {'+'.join(got)}"
        raise ProbeFailed(words, release_at_fault=True)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error) or type(error).__name__).lower()
