"""The Pulumi CLI, typed: what `ytops` starts, hears and stops.

The CLI's JSON event stream and not the Automation API, which runs the same CLI: measured on an
unchanged stack, `pulumi up --skip-preview --json` takes 1.0 s and `Stack.up()` 2.6 s (its import,
and a CLI call each for select, outputs and history). And the engine is a child of ours: Ctrl-C
reaches it when we say so, and not twice by way of the terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, Literal

from ops import file_backend, pack
from ops.errors import OpsError
from ops.stackfile import PROJECT
from rollout.names import GATE, PARAMETERS

Verb = Literal["preview", "up", "refresh", "destroy"]
Hear = Callable[[str], None]
Tick = Callable[[], None]

POLL_SECONDS = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# After the second Ctrl-C the engine leaves by itself; a step's process is in a group of its own.
KILL_SECONDS = 2.0
# Users come first where the deployer is on the host: two cores are soon taken by a program, an
# engine and its plugins, and a release that boots beside them. Not so a rollback: users need it.
BEHIND_USERS = ("nice", "-n", "10")
LEAVE_SECONDS = 60.0  # a cancelled step gets 20 s, and the switch moves back meanwhile
CONTAINER = "docker:index/container:Container"


class NotReady(OpsError):
    """The environment lacks something that Pulumi needs."""


@dataclass(frozen=True)
class Ended:
    """How a run ended. `errors` is what the CLI itself had to say; `asked_to_stop` counts the
    signals that came while it ran."""

    code: int
    errors: str
    asked_to_stop: int = 0


@dataclass(frozen=True)
class Recorded:
    """The part of the engine's state that tells what a fault left behind."""

    pending: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    """The containers' ids, in the same order."""
    resting: frozenset[str] = frozenset()
    """Those of the containers that a step starts: the engine does not expect them to run."""
    gate: str = ""
    """What the gate of the last deploy carried, as JSON; empty before there was one."""


@dataclass
class Engine:
    """Pulumi on one checkout and stack, with this process's environment."""

    root: Path
    stack: str
    on_stop: Callable[[int], None] = lambda count: None
    extra: dict[str, str] = field(default_factory=dict)
    hurries: bool = False
    """As important as what it stands beside: a rollback."""

    def check(self) -> None:
        """Raise NotReady with the one line that helps, before anything is touched."""
        source = f"Next: `source .env.{self.stack}`, then the same command again."
        if shutil.which("pulumi") is None:
            raise NotReady(f"There is no `pulumi` on the PATH. {source}")
        if not self.backend:
            raise NotReady(f"PULUMI_BACKEND_URL is not set. {source}")
        salted = "encryptionsalt:" in _text(self.root / f"Pulumi.{self.stack}.yaml")
        phrase = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
        if salted and not any(name in self.variables for name in phrase):
            raise NotReady(f"{phrase[0]} is not set. {source}")

    @property
    def backend(self) -> str:
        """Where the state is; empty when nothing says so."""
        return (
            self.variables.get("PULUMI_BACKEND_URL") or _backend_of_project(self.root) or _login()
        )

    @property
    def variables(self) -> dict[str, str]:
        """This process's environment, and what is ours."""
        return {**os.environ, **self.extra}

    def run(self, verb: Verb, *flags: str, hear: Hear, tick: Tick = lambda: None) -> Ended:
        """One run to its end. Each line of its event stream is heard as it comes; `tick` is called
        while it lasts. The first signal asks the engine to cancel, the second ends it."""
        command = ["pulumi", verb, *self._common(), "--json", *flags]
        with (
            tempfile.TemporaryFile("w+", prefix="ytops-events-") as events,
            tempfile.TemporaryFile("w+", prefix="ytops-errors-") as errors,
        ):
            process = self._start(command, events, errors)
            with _forwarding(process, self.on_stop) as signals:
                for line in _lines(events, process, tick, signals):
                    hear(line)
            errors.seek(0)
            return Ended(process.returncode, errors.read().strip(), len(signals))

    def recorded(self) -> Recorded:
        """Pending operations and containers, as the state has them; empty without a state."""
        lying = read_file_state(self.backend, self.stack)
        if lying is not None:
            return lying
        answer = self._call("stack", "export", "--stack", self.stack)
        if answer.returncode:
            if "no stack named" in answer.stderr:
                raise NotReady(
                    f"There is no stack {self.stack} in {self.backend}. "
                    f"Next: `pulumi stack init {self.stack}`."
                )
            raise OpsError(
                f"The state of {self.stack} can't be read: {_words(answer.stderr)}\n"
                f"Next: put back the backend's last good copy of it, then `ytops up`, which takes "
                "over what that one lacks"
            )
        return read_state(answer.stdout)

    def exported(self) -> str:
        """The state as `pulumi stack import` takes it. Its secrets stay sealed."""
        answer = self._call("stack", "export", "--stack", self.stack)
        if answer.returncode:
            raise OpsError(
                f"The state of {self.stack} can't be read: {_words(answer.stderr)}\n"
                "Next: `ytops status`"
            )
        return answer.stdout

    def exchange_ids(self, ids: Mapping[str, str]) -> None:
        """Have the state know resources by other ids."""
        exported = self._call("stack", "export", "--stack", self.stack)
        text = exported.stdout
        for old, new in ids.items():
            text = text.replace(old, new)
        with tempfile.NamedTemporaryFile("w", prefix="ytops-state-", suffix=".json") as file:
            file.write(text)
            file.flush()
            answer = self._call("stack", "import", "--stack", self.stack, "--file", file.name)
        if exported.returncode or answer.returncode:
            raise OpsError(
                f"The state of {self.stack} can't be corrected: "
                f"{_words(exported.stderr or answer.stderr)}\nNext: `ytops up`"
            )

    def begin(self) -> None:
        """Make the stack, with a passphrase for its secrets."""
        answer = self._call("stack", "init", self.stack, "--secrets-provider", "passphrase")
        if answer.returncode:
            raise OpsError(f"`pulumi stack init {self.stack}` failed: {_words(answer.stderr)}")

    def keep_secret(self, path: str, value: str) -> None:
        """Encrypt a value into the stack file; no process list shows it."""
        key = ["--secret", "--path", path, "--stack", self.stack]
        answer = self._call("config", "set", *key, stdin=value)
        if answer.returncode:
            raise OpsError(f"`pulumi config set --secret {path}` failed: {_words(answer.stderr)}")

    def secret_output(self, name: str) -> Any:
        """An output that is a secret. For this process's memory only."""
        answer = self._call("stack", "output", "--json", "--show-secrets", "--stack", self.stack)
        if answer.returncode:
            raise NotReady(
                f"The outputs of {self.stack} can't be read: {_words(answer.stderr)}\n"
                f"Next: `pulumi stack init {self.stack}`, where there is none"
            )
        return json.loads(answer.stdout).get(name) or {}

    def replace(self, kind: str, config: Path) -> None:
        """Make every resource of this kind anew, each before the one that it replaces goes."""
        answer = self._call("stack", "export", "--stack", self.stack)
        resources = json.loads(answer.stdout or "{}").get("deployment", {}).get("resources") or ()
        urns = [r["urn"] for r in resources if r["type"] == kind and not r.get("delete")]
        flags = [word for urn in urns for word in ("--replace", urn)]
        done = self._call(
            *("up", "--yes", "--skip-preview", "--non-interactive", "--stack", self.stack),
            *("--config-file", str(config), *flags),
        )
        if done.returncode:
            said = _words(done.stdout + done.stderr)
            raise OpsError(f"`pulumi up` of {self.stack} failed:\n{said}")

    def cancel(self) -> None:
        """Remove the stack's lock."""
        answer = self._call("cancel", "--yes", "--stack", self.stack)
        if answer.returncode:
            raise OpsError(f"`pulumi cancel` failed: {_words(answer.stderr)}")

    def history(self, count: int) -> list[dict[str, Any]]:
        """The last runs, newest first."""
        size = ["--page-size", str(count)]
        answer = self._call("stack", "history", "--json", "--stack", self.stack, *size)
        if answer.returncode:
            raise OpsError(
                f"the runs of {self.stack} can't be read: {_words(answer.stderr)}. "
                f"Next: `pulumi stack history --stack {self.stack}`"
            )
        found: list[dict[str, Any]] = json.loads(answer.stdout or "[]")
        return found

    def secret(self, key: str) -> str:
        """A value of the stack's configuration that only its key opens; empty where none is set."""
        self.check()
        answer = self._call("config", "get", key, "--stack", self.stack)
        if answer.returncode and "not found" not in answer.stderr:
            raise OpsError(
                f"`{key}` of {self.stack} can't be read: {_words(answer.stderr)}. "
                f"Next: `pulumi config get {key} --stack {self.stack}`"
            )
        return answer.stdout.strip() if answer.returncode == 0 else ""

    def configure(
        self, secrets: Mapping[str, str], plain: Mapping[str, str], forget: Sequence[str] = ()
    ) -> None:
        """Write into the stack file, encrypted as Pulumi does it: all of it, or nothing. Values
        reach Pulumi on its standard input. Keys are property paths."""
        file = self.root / f"Pulumi.{self.stack}.yaml"
        aside = file.with_name(f".{file.stem}.{os.getpid()}.yaml")
        shutil.copy(file, aside)
        place = ("--stack", self.stack, "--config-file", str(aside), "--path")
        try:
            for key, value in secrets.items():
                self._change(key, "set", "--secret", *place, f"{PROJECT}:{key}", value=value)
            words = [f"{PROJECT}:{key}={value}" for key, value in plain.items()]
            if words:
                pairs = (word for pair in words for word in ("--plaintext", pair))
                self._change(", ".join(plain), "set-all", *place, *pairs)
            for key in forget:
                self._change(key, "rm", *place, f"{PROJECT}:{key}")
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)

    def _change(self, key: str, verb: str, *words: str, value: str = "") -> None:
        answer = self._call("config", verb, *words, stdin=value)
        if answer.returncode:
            raise OpsError(
                f"`{key}` of {self.stack} can't be written: {_words(answer.stderr)}\n"
                f"Pulumi.{self.stack}.yaml is as it was."
            )

    def configuration(self) -> tuple[dict[str, str], frozenset[str]]:
        """The stack's values as the program gets them, secrets and defaults among them; and which
        are secret. For this process's memory only."""
        answer = self._call("config", "--show-secrets", "--json", "--stack", self.stack)
        if answer.returncode:
            raise NotReady(
                f"The configuration of {self.stack} can't be read: {_words(answer.stderr)}\n"
                f"Next: `pulumi config --stack {self.stack}`"
            )
        found = {
            key.partition(":")[2]: entry
            for key, entry in json.loads(answer.stdout).items()
            if key.partition(":")[0] == PROJECT
        }
        values = {key: str(entry.get("value", "")) for key, entry in found.items()}
        return values, frozenset(key for key, entry in found.items() if entry.get("secret"))

    def _common(self) -> list[str]:
        return ["--stack", self.stack, "--non-interactive", "--color", "never"]

    def _start(self, command: list[str], out: IO[str], errors: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command if self.hurries else [*BEHIND_USERS, *command],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            text=True,
            start_new_session=True,
        )

    def _call(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--color", "never"],
            cwd=self.root,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        """Ours, and the policies with it; the steps' program is found even when `ytops` was called
        by its path."""
        environment = {**self.variables, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        if not pack.named(self.root):
            environment[pack.VARIABLE] = pack.naming(self.root)
        if shutil.which("ytops-step") is None:
            beside = str(Path(sys.executable).parent)
            environment["PATH"] = f"{beside}{os.pathsep}{environment.get('PATH', '')}"
        return environment


def read_state(text: str) -> Recorded:
    """What `pulumi stack export` prints, cut down."""
    return _recorded(json.loads(text or "{}").get("deployment") or {})


def read_file_state(backend: str, stack: str) -> Recorded | None:
    """The same, read off a file backend: half a second less than to ask the CLI. None where it
    can't be, and the CLI says what is wrong."""
    top = file_backend.folder(backend)
    if top is None:
        return None
    file = top / "stacks" / PROJECT / f"{stack}.json"
    try:
        return _recorded(json.loads(file.read_text())["checkpoint"].get("latest") or {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _recorded(deployment: Mapping[str, Any]) -> Recorded:
    pending = [
        f"{_name(operation['resource']['urn'])} ({operation['type']})"
        for operation in deployment.get("pending_operations") or ()
    ]
    containers = [
        resource
        for resource in deployment.get("resources") or ()
        if resource.get("type") == CONTAINER and not resource.get("delete")
    ]
    return Recorded(
        pending=tuple(pending),
        containers=tuple(map(_container, containers)),
        ids=tuple(str(container.get("id")) for container in containers),
        resting=frozenset(
            _container(container)
            for container in containers
            if (container.get("inputs") or {}).get("mustRun") is False
        ),
        gate=_gate(deployment),
    )


def _container(resource: Mapping[str, Any]) -> str:
    return str((resource.get("outputs") or {}).get("name") or resource.get("id"))


def _gate(deployment: Mapping[str, Any]) -> str:
    gates = (
        (resource.get("inputs") or {}).get("environment")
        for resource in deployment.get("resources") or ()
        if resource.get("urn", "").endswith(f"::{GATE}") and not resource.get("delete")
    )
    found = next(gates, None)
    return str(found.get(PARAMETERS) or "") if isinstance(found, dict) else ""


@contextmanager
def _forwarding(
    process: subprocess.Popen[str], on_stop: Callable[[int], None]
) -> Iterator[list[float]]:
    """Signals are the engine's while it runs. Yields the moments at which they came."""
    moments: list[float] = []

    def forward(number: int, frame: FrameType | None) -> None:
        moments.append(time.monotonic())
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        on_stop(len(moments))

    before = [(number, signal.signal(number, forward)) for number in SIGNALS]
    try:
        yield moments
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        if process.poll() is None:
            _leave(process)


def _lines(
    events: IO[str], process: subprocess.Popen[str], tick: Tick, signals: list[float]
) -> Iterator[str]:
    """The file as it grows, whole lines only, until its writer has ended and all is read.

    A file and not a pipe: when we are killed, the engine is not, and ends what it has begun."""
    offset, rest = 0, b""
    while True:
        ended = process.poll() is not None
        chunk = os.pread(events.fileno(), 1 << 20, offset)
        offset += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if ended and not chunk:
            return
        if len(signals) > 1 and time.monotonic() - signals[1] > KILL_SECONDS:
            _kill(process)
        tick()
        if not chunk:
            time.sleep(POLL_SECONDS)


def _leave(process: subprocess.Popen[str]) -> None:
    """We can't go on; the engine ends in order."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _words(text: str) -> str:
    return text.strip().removeprefix("error: ")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _backend_of_project(root: Path) -> str:
    import yaml

    backend = (yaml.safe_load(_text(root / "Pulumi.yaml")) or {}).get("backend") or {}
    return str(backend.get("url") or "")


def _login() -> str:
    """Where `pulumi login` went."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return str(json.loads(_text(home / "credentials.json") or "{}").get("current") or "")
    except ValueError:
        return ""
