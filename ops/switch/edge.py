"""nginx, as far as the agent can move it: files in a shared volume, a token that makes it reload,
and a status port that says what it has loaded.

A switch announces where traffic is to go, waits until nginx has loaded that, and turns (see
`rollout/edge.py`). `point` is for the rest: one side, from the reload on.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from ops.errors import OpsError
from ops.switch import files
from ops.switch.config import Clock, SwitchConfig
from ops.switch.probes import Answer
from rollout import edge as conf
from rollout.shapes import Pointer, Release

log = logging.getLogger(__name__)

MODES = {
    conf.NGINX_CONF: 0o644,
    conf.RUN_SCRIPT: 0o755,
    conf.CERTIFICATE: 0o644,
    conf.PRIVATE_KEY: 0o440,
}
SELF_SIGNED_DAYS = 3650
POLL_SECONDS = 0.05
# nginx lets its old processes accept for 0.1 s beside the new ones. Its script tells when that is
# over; where an older script runs it, which a container keeps until it is started again, answers
# must be right for longer than that, each on a new connection.
STEADY_SECONDS = 0.35
STEADY_ANSWERS = 5
# A refused connection may be a container that is just being started; this long is down.
DOWN_SECONDS = 1.0


class EdgeFailed(OpsError):
    """nginx did not take what it was given."""


class Status(Protocol):
    """nginx's status port; OSError when it isn't there."""

    def status(self, path: str) -> Answer: ...


class Edge:
    """The edge volume and the nginx that reads it."""

    def __init__(self, config: SwitchConfig, probes: Status, clock: Clock) -> None:
        self._config = config
        self._root = config.edge_path
        self._probes = probes
        self._clock = clock
        self.loaded_at = clock.monotonic()
        """When nginx was last seen to have loaded what it was given."""

    def active(self) -> conf.Active | None:
        """What active.conf says; None if it is missing or not ours."""
        text = files.read(self._root / conf.ACTIVE_CONF)
        return conf.read_active(text, self._turned()) if text else None

    def point(self, pointer: Pointer | None, release: Release | None, serial: int) -> str:
        """Send traffic to `pointer`'s slot. Returns the load that nginx must confirm."""
        load = _name()
        self._load(conf.render_active(self._side(pointer, release), serial, load), load)
        return load

    def announce(
        self,
        before: Pointer | None,
        after: Pointer,
        releases: Mapping[str, Release],
        serial: int,
    ) -> str:
        """Have nginx know `after`, while `before` serves. Returns the load that it must confirm."""
        load, turn = _name(), conf.AFTER + _name()
        self._make_room(turn)
        text = conf.render_active(
            self._side(before, releases[before.identity] if before else None),
            serial,
            load,
            after=self._side(after, releases[after.identity]),
            turn=turn,
        )
        self._load(text, load)
        return load

    def turn(self) -> None:
        """Send each request that begins from now on to what was announced, and confirmed."""
        active = self.active()
        if active is None or not active.turn:
            raise EdgeFailed("active.conf was changed while traffic was to move")
        files.link(self._root / conf.TURNED, active.turn)
        wanted, got = active.after.identity if active.after else "", self._served("identity")
        if got != wanted:
            raise EdgeFailed(f"expected nginx to turn to {wanted}, got {got or 'no answer'}")

    def turn_back(self) -> None:
        """The way back of `turn`, where that is what moved traffic."""
        active = self.active()
        if active and active.turned:
            files.link(self._root / conf.TURNED, conf.BEFORE)

    def confirm(self, load: str) -> None:
        """Wait until nginx serves what `load` names, on every new connection."""
        started = self._clock.monotonic()
        good_since, good = started, 0
        answered = False
        while True:
            got = self._served("load")
            now = self._clock.monotonic()
            answered = answered or got is not None
            if got != load:
                good_since, good = now, 0
            else:
                good += 1
                steady = good >= STEADY_ANSWERS and now - good_since >= STEADY_SECONDS
                if steady or self._told("/accepting") == load:
                    self.loaded_at = self._clock.monotonic()
                    return
            limit = self._config.reload_seconds if answered else DOWN_SECONDS
            if got != load and now - started > limit:
                raise EdgeFailed(self._not_loaded(answered))
            self._clock.sleep(POLL_SECONDS)

    def running(self) -> bool:
        try:
            self._probes.status("/config")
        except OSError:
            return False
        return True

    def draining(self) -> bool:
        """Whether processes of before the last reload may still answer requests: some are counted,
        or nginx has not loaded that one yet. What can't be known counts."""
        try:
            count = self._probes.status("/draining").body.strip()
        except ConnectionRefusedError:
            return False  # a stopped nginx answers nothing any more
        except OSError:
            return True
        return count != "0" or not self._is_loaded()

    def reload_if_missed(self) -> None:
        """An agent that was killed may have written what it did not come to ask nginx to load."""
        if self.running() and not self._is_loaded():
            self._ask_to_reload(_name())

    def _is_loaded(self) -> bool:
        active = self.active()
        return active is None or self._served("load") == active.load

    def install(self, wanted: dict[str, str], self_signed: bool, config_hash: str) -> bool:
        """Write nginx's own files; put the old ones back if a running nginx refuses them.

        Returns whether nginx is running: one that isn't reads them when it starts.
        """
        fresh = _decoded(wanted)
        before = {name: _bytes(self._root / name) for name in fresh}
        self._write(fresh)
        if self_signed and not (self._root / conf.CERTIFICATE).exists():
            self._sign()
        load = self._rewrite_active()
        if not self.running():
            return False
        try:
            self.confirm(load)
            self._check_hash(config_hash)
        except EdgeFailed as failure:
            self._write({name: data for name, data in before.items() if data is not None})
            self._ask_to_reload(_name())
            raise EdgeFailed(
                f"nginx did not take the configuration: {failure}; the previous files are back"
            ) from None
        return True

    def _side(self, pointer: Pointer | None, release: Release | None) -> conf.Side:
        return conf.side(pointer, release, self._config.address(pointer.colour) if pointer else "")

    def _load(self, text: str, load: str) -> None:
        files.write(self._root / conf.ACTIVE_CONF, text)
        self._ask_to_reload(load)

    def _turned(self) -> str:
        """What the link names; empty where that is nothing, to nginx too."""
        link = self._root / conf.TURNED
        return link.resolve().name if link.exists() else ""

    def _make_room(self, turn: str) -> None:
        """The file that a link to `turn` needs. A link that is there stays: processes that end what
        they began before the last reload may still look at it."""
        folder, named = (self._root / conf.TURNED).parent, self._turned()
        for name in (conf.BEFORE, turn):
            files.write(folder / name, "")
        if not named:
            files.link(self._root / conf.TURNED, conf.BEFORE)
        for old in folder.glob(f"{conf.AFTER}*"):
            if old.name not in (named, turn):
                old.unlink()

    def _write(self, contents: dict[str, bytes]) -> None:
        for name, data in contents.items():
            files.write(self._root / name, data, MODES[name])

    def _rewrite_active(self) -> str:
        """The same traffic under a new load name, so that this reload can be told from others."""
        path = self._root / conf.ACTIVE_CONF
        text, active, load = files.read(path), self.active(), _name()
        if text is None or active is None or not active.load:
            raise EdgeFailed(f"{path} is not what the agent wrote: restart the agent")
        self._load(conf.reloaded(text, active, load), load)
        return load

    def _ask_to_reload(self, token: str) -> None:
        files.write(self._root / conf.RELOAD_TOKEN, token + "\n")

    def _told(self, path: str) -> str | None:
        """What nginx's script says there; None when nginx doesn't answer."""
        try:
            return self._probes.status(path).body.strip()
        except OSError:
            return None

    def _served(self, what: Literal["load", "identity"]) -> str | None:
        """What nginx says that it serves; None if it doesn't answer."""
        try:
            return str(json.loads(self._probes.status("/serial").body)[what])
        except OSError:
            return None
        except (ValueError, KeyError, TypeError):
            return ""

    def _not_loaded(self, answered: bool) -> str:
        edge = self._config.names.edge
        if not answered:
            return f"nginx does not answer; see `docker logs {edge}`"
        words = (self._told("/reload") or "").splitlines()
        why = f" ({words[0]})" if words else ""
        return f"nginx did not reload in {self._config.reload_seconds:g} s{why}"

    def _check_hash(self, config_hash: str) -> None:
        try:
            got = json.loads(self._probes.status("/config").body)["config"]
        except (OSError, ValueError, KeyError, TypeError):
            got = "no answer"
        if got != config_hash:
            raise EdgeFailed(f"expected configuration {config_hash}, got {got}")

    def _sign(self) -> None:
        """A certificate for where no authority signs one: the sandbox and the drill."""
        key, certificate = self._root / conf.PRIVATE_KEY, self._root / conf.CERTIFICATE
        certificate.parent.mkdir(parents=True, exist_ok=True)
        fresh_key, fresh = key.with_suffix(".new"), certificate.with_suffix(".new")
        domain = self._config.domain
        done = subprocess.run(
            (
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:P-256", "-nodes", "-days", str(SELF_SIGNED_DAYS)),
                *("-subj", f"/CN={domain}"),
                *("-addext", f"subjectAltName=DNS:{domain},DNS:localhost"),
                *("-keyout", str(fresh_key), "-out", str(fresh)),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EdgeFailed(f"openssl made no certificate: {done.stderr.strip()[-200:]}")
        for made, place, name in (
            (fresh_key, key, conf.PRIVATE_KEY),
            (fresh, certificate, conf.CERTIFICATE),
        ):
            files.write(place, made.read_bytes(), MODES[name])
            made.unlink()
        log.info("made a self-signed certificate for %s", domain)


def _name() -> str:
    return uuid.uuid4().hex[:12]


def _decoded(wanted: dict[str, str]) -> dict[str, bytes]:
    strangers = sorted(set(wanted) - set(MODES))
    if strangers:
        raise OpsError(f"the edge has no file {strangers[0]}: expected {', '.join(MODES)}")
    try:
        return {name: base64.b64decode(text, validate=True) for name, text in wanted.items()}
    except binascii.Error as error:
        raise OpsError(f"files must be base64: {error}") from None


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
