"""Where the commands of a job run: a shell, wherever it is started, and its pipes."""

from __future__ import annotations

import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from ops.docker import ANSWER_SECONDS, Answer, Docker, by_name, end
from ops.errors import OpsError

BLOCK = 1 << 20  # bytes that pass at once
LONG_SECONDS = 6 * 3600  # what may take long: a dump, reading a drive
FOLLOW_SECONDS = 0.2
_TAIL = 20


class Pipe:
    """A command that takes or gives a file. Its other words are kept."""

    def __init__(self, process: subprocess.Popen[bytes], gives: bool) -> None:
        self._process = process
        self._words: deque[bytes] = deque(maxlen=_TAIL)
        talk = process.stderr if gives else process.stdout
        assert talk
        self._ear = threading.Thread(target=lambda: self._words.extend(talk), daemon=True)
        self._ear.start()

    def read(self, size: int = -1) -> bytes:
        assert self._process.stdout
        return self._process.stdout.read(size)

    def pour(self, take: Callable[[bytes], object], heard: Callable[[int], None]) -> Answer:
        """All that the command gives is taken; `heard` is told how many bytes so far. Its end."""
        passed = 0
        while data := self.read(BLOCK):
            take(data)
            passed += len(data)
            heard(passed)
        return self.finish()

    def write(self, data: bytes) -> int:
        assert self._process.stdin
        try:
            self._process.stdin.write(data)
        except OSError:
            raise OpsError(self.finish().words or "the host takes no more") from None
        return len(data)

    def follow(self, tick: Callable[[], None], timeout: float = LONG_SECONDS) -> Answer:
        """Its end, while our end of the pipe stays open: it may leave when that is gone."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            tick()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(FOLLOW_SECONDS)
                break
        return self.finish(FOLLOW_SECONDS)

    def finish(self, timeout: float = LONG_SECONDS) -> Answer:
        """Its end: exit code, and what it said besides the file."""
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise OpsError(f"a command on the host was not over after {timeout:.0f} s") from None
        self._ear.join(ANSWER_SECONDS)
        return Answer(code, b"".join(self._words).decode(errors="replace"))

    def close(self) -> None:
        close(self._process)


def close(process: subprocess.Popen[bytes]) -> None:
    """End it, if it has not ended, and its pipes."""
    end(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with suppress(OSError, ValueError):
                stream.close()


class Shell(ABC):
    """`words` of a script are its $0, $1 …; `variables` are in its environment, and nowhere
    else."""

    @property
    @abstractmethod
    def where(self) -> str:
        """In words."""

    @abstractmethod
    def run(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Answer:
        """To its end. Its failure is the caller's to judge."""

    @abstractmethod
    def spawn(
        self,
        script: str,
        *words: str,
        stdin: bool,
        errors: int,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A script that goes on; its stdout is a pipe."""

    def must(self, script: str, *words: str, stdin: bytes | None = None) -> str:
        answer = self.run(script, *words, stdin=stdin, timeout=LONG_SECONDS)
        if answer.code:
            raise OpsError(answer.words or f"exit code {answer.code}")
        return answer.out

    @contextmanager
    def pipe(
        self,
        script: str,
        *words: str,
        gives: bool,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Pipe]:
        """A script that gives a file on its stdout, or takes one on its stdin."""
        errors = subprocess.PIPE if gives else subprocess.STDOUT
        process = self.spawn(script, *words, stdin=not gives, errors=errors, variables=variables)
        pipe = Pipe(process, gives)
        try:
            yield pipe
        finally:
            pipe.close()


class ContainerShell(Shell):
    """In a container on the host."""

    def __init__(self, docker: Docker, container: str) -> None:
        self.docker = docker
        self.container = container

    @property
    def where(self) -> str:
        return self.docker.host

    def run(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Answer:
        return self.docker.exec(
            self.container,
            *("sh", "-c", script, *words),
            stdin=stdin,
            variables=variables,
            timeout=timeout,
        )

    def spawn(
        self,
        script: str,
        *words: str,
        stdin: bool,
        errors: int,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        command = [
            "exec", *(["--interactive"] if stdin else []), *by_name(variables or ()),
            self.container, "sh", "-c", script, *words,
        ]  # fmt: skip
        return self.docker.spawn(command, stdin, errors, variables)
