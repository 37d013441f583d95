"""A conversation with the switch agent, over `docker exec`: verbs out, events and answers back.

One session is one connection. A switch that was begun on it is undone by the agent when it ends
without `confirm`; until then the session tells the agent every two seconds that it is still there.
"""

from __future__ import annotations

import getpass
import itertools
import json
import os
import queue
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Any

from ops.docker import LOG_LINES, Container, Docker, Say, end
from ops.errors import OpsError, SwitchRefused

# Without packages: a third of its start would be looking for them. The path is the image's.
CLIENT = ("python3", "-I", "-S", "ops/switch/client.py")
RENEW_SECONDS = 2
LISTEN_SECONDS = 0.2
SILENCE_SECONDS = 120  # without a word, beyond what was asked for: as good as gone
START_SECONDS = 60  # from `docker start` to an answer: about 1, and on a busy host 20

Result = dict[str, Any]


class Lost(OpsError):
    """The connection to the agent ended before the answer."""


def who() -> str:
    """Who is deploying: $YTOPS_WHO, else user@host."""
    return os.environ.get("YTOPS_WHO") or f"{getpass.getuser()}@{socket.gethostname()}"


class Session:
    """`with Session(docker, container, say) as session: session.ask("state")`."""

    def __init__(self, docker: Docker, container: str, say: Say) -> None:
        self.docker = docker
        self.container = container
        self._say = say
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Result | None]] = {}
        self._turn = threading.Lock()
        self._ended = False
        self._stop_renewing = threading.Event()
        self._errors: deque[str] = deque(maxlen=LOG_LINES)

    def __enter__(self) -> Session:
        # Started before it is known whether the agent runs: nearly always it does.
        client = self._client()
        try:
            found = _agent(self.docker, self.container)
            if not found.is_up:
                end(client)
                _wake(self.docker, found)
                client = self._client()
        except BaseException:
            end(client)
            raise
        self._process = client
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._listen, self._overhear)
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave. The agent hears of it by the end of its input."""
        self._stop_renewing.set()
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        end(self._process)

    def ask(self, verb: str, **fields: Any) -> Result:
        """Send a verb; say the events that come; return the result.

        Raises SwitchRefused with the agent's words, Lost when the connection ends before.
        """
        number, answers = self._send(verb, fields)
        patience = SILENCE_SECONDS + max(fields.get("timeout", 0), fields.get("seconds", 0))
        try:
            while (message := self._next(answers, verb, patience)) is not None:
                if "event" in message:
                    self._say(str(message["event"]))
                elif message.get("ok"):
                    result: Result = message.get("result") or {}
                    return result
                else:
                    raise SwitchRefused(str(message.get("error") or "the switch refused"))
        finally:
            self._waiting.pop(number, None)
        raise self._lost(verb)

    def _next(
        self, answers: queue.SimpleQueue[Result | None], verb: str, patience: float
    ) -> Result | None:
        """The next message; None when the line is dead. In short waits: a signal that another
        thread takes does not wake this one."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with suppress(queue.Empty):
                return answers.get(timeout=LISTEN_SECONDS)
        raise Lost(
            f"The switch agent did not answer `{verb}` in {patience:.0f} s.\n"
            f"Next: `docker logs --tail 50 {self.container}`"
        )

    def begin(self, **fields: Any) -> Result:
        """Move traffic, and keep saying that we are there until the session ends."""
        threading.Thread(target=self._renew, daemon=True).start()
        return self.ask("begin", **fields)

    def _client(self) -> subprocess.Popen[bytes]:
        command = ["exec", "--interactive", self.container, *CLIENT]
        return self.docker.spawn(command, True, subprocess.PIPE)

    # The threads

    def _listen(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    message = json.loads(line)
                    waiting = self._waiting.get(message.get("id"))
                    if waiting:
                        waiting.put(message)
        with self._turn:
            self._ended = True
            for waiting in list(self._waiting.values()):
                waiting.put(None)

    def _overhear(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                self._errors.append(line.decode(errors="replace").rstrip())

    def _renew(self) -> None:
        while not self._stop_renewing.wait(RENEW_SECONDS):
            try:
                number, _ = self._send("renew", {})
            except OpsError:
                return  # whoever waits for an answer says so
            self._waiting.pop(number, None)

    def _send(
        self, verb: str, fields: dict[str, Any]
    ) -> tuple[int, queue.SimpleQueue[Result | None]]:
        number = next(self._numbers)
        answers: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        line = json.dumps({"id": number, "verb": verb, **fields}) + "\n"
        assert self._process.stdin
        with self._turn:
            self._waiting[number] = answers
            try:
                if self._ended:
                    raise BrokenPipeError
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()
            except (OSError, ValueError):
                self._waiting.pop(number, None)
                raise self._lost(verb) from None
        return number, answers

    def _lost(self, verb: str) -> OpsError:
        """Why the line is dead: the host, the container or the agent."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._readers[1].join(1)
        words = "\n".join(self._errors).strip()
        reason = f": {words}" if words else "."
        return self.docker.unreachable(words) or Lost(
            f"The connection to the switch agent ended before it answered `{verb}`{reason}\n"
            f"Next: `docker logs --tail 50 {self.container}`"
        )


def _agent(docker: Docker, container: str) -> Container:
    found = docker.inspect(container)
    if found is None:
        raise OpsError(
            f"There is no switch agent ({container}) on {docker.host}. "
            "Next: `ytops up`, which declares it"
        )
    return found


def _wake(docker: Docker, agent: Container) -> None:
    """The agent's container, started when it stands still, and answering."""
    container = agent.name
    if agent.stopped:
        docker.start(container)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        # Docker's own health check comes every few seconds only; the client knows at once.
        if '"ok"' in docker.exec(container, *CLIENT, "health").out:
            return
        found = docker.inspect(container)
        if found is None or found.stopped:
            break
        time.sleep(0.2)
    lines = "\n".join(f"  {line}" for line in docker.logs(container).splitlines())
    raise OpsError(
        f"The switch agent ({container}) does not come up on {docker.host}. Its last lines:\n"
        f"{lines}\nNext: `docker inspect {container}`"
    )
