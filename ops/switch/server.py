"""The agent's socket: one thread reads a connection's lines, another answers them in order.

A switch belongs to its connection. Any line, even while a long verb runs, shows that the caller is
alive; the end of input is its leaving, and so is silence: between verbs and during a watch, which
last, but not while it waits for an answer that the agent owes it.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ops.errors import OpsError
from ops.switch.config import Clock, SwitchConfig, complaints
from ops.switch.protocol import Caller
from rollout.state import Record

log = logging.getLogger(__name__)

LINE_LIMIT = 4 << 20  # nginx's files are the largest request
RENEW = "renew"
WATCH = "watch"

Verbs = Mapping[str, tuple[type[Record], Callable[[Any, Caller], dict[str, Any]]]]


class Server:
    """Accepts connections until the process ends."""

    def __init__(self, config: SwitchConfig, clock: Clock, verbs: Verbs) -> None:
        self._config = config
        self._clock = clock
        self._verbs = verbs
        path = Path(config.socket)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)  # only the agent's own user, which `docker exec` has too
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(mask)
        self._socket.listen(16)

    def run(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:
                return
            connection = Connection(stream, self._config, self._clock, self._verbs)
            threading.Thread(target=connection.run, daemon=True).start()

    def close(self) -> None:
        # A thread in accept() only wakes up on a shutdown.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Connection:
    """One caller. `current` is the id of the request that events belong to."""

    def __init__(
        self, stream: socket.socket, config: SwitchConfig, clock: Clock, verbs: Verbs
    ) -> None:
        self._stream = stream
        self._lease = config.lease_seconds
        self._switch = config.names.switch
        self._clock = clock
        self._verbs = verbs
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._sending = threading.Lock()
        self._current: Any = None
        self._heard = clock.monotonic()
        self._owing = False
        self._closed = False

    def say(self, words: str) -> None:
        log.info("%s", words)
        self._send({"id": self._current, "event": words})

    def gone(self) -> bool:
        silent = self._clock.monotonic() - self._heard > self._lease
        return self._closed or (silent and not self._owing)

    def run(self) -> None:
        """Read until the caller leaves; what it asked before that is still answered."""
        worker = threading.Thread(target=self._work, daemon=True)
        worker.start()
        try:
            with self._stream.makefile("rb") as lines:
                while line := lines.readline(LINE_LIMIT):
                    self._heard = self._clock.monotonic()
                    self._take(line)
        except OSError:
            pass  # the caller was cut off: the same as leaving
        self._closed = True
        self._requests.put(None)
        worker.join()
        self._stream.close()

    def _take(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            request["id"], request["verb"]
        except (ValueError, TypeError, KeyError):
            self._send({"id": None, "ok": False, "error": "expected JSON with id and verb"})
            return
        if request["verb"] == RENEW:
            self._send({"id": request["id"], "ok": True, "result": {}})
        else:
            self._requests.put(request)

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            self._current, verb = request.pop("id"), request.pop("verb")
            self._owing = verb != WATCH
            answer = self._answer(verb, request)
            self._heard = max(self._heard, self._clock.monotonic() if self._owing else 0.0)
            self._owing = False
            self._send({"id": self._current, **answer})

    def _answer(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        try:
            if name not in self._verbs:
                known = ", ".join(self._verbs)
                raise OpsError(f"the switch agent has no verb {name!r}: expected {known}")
            model, verb = self._verbs[name]
            return {"ok": True, "result": verb(model.model_validate(fields), self)}
        except OpsError as error:
            return _refusal(name, str(error))
        except ValidationError as error:
            return _refusal(name, f"{name}: {complaints(error)}")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "%s failed: %s: %s (%s:%s)",
                name,
                type(error).__name__,
                error,
                Path(place.filename).name,
                place.lineno,
            )
            words = f"the switch agent failed in {name} ({type(error).__name__}: {error})"
            return _refusal(name, f"{words}; see `docker logs {self._switch}`")

    def _send(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode() + b"\n"
        with self._sending:
            try:
                self._stream.sendall(data)
            except OSError:
                self._closed = True


def _refusal(name: str, words: str) -> dict[str, Any]:
    log.warning("%s refused: %s", name, words)
    return {"ok": False, "error": words}
