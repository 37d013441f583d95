"""A stack of its own on this machine's Docker: the real engine, real containers, nothing shared."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops import file_backend
from rollout.edge import RELOAD_TOKEN
from rollout.names import Colour, other
from tests.e2e.load import Load

ROOT = Path(__file__).resolve().parents[2]
# What a checkout holds that a run needs; linked, so that a test edits only its own stack file.
LINKED = ("__main__.py", "components", "ops", "rollout", "policies", ".venv")
COMMAND_SECONDS = 420
# A busy machine is slow for a while without a release being at fault: p95 is not judged here.
PATIENT_MS = 14_000
HSTS_SECONDS = 600  # of the shared stack
_turns = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    code: int
    text: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.code == 0

    def step_ran(self, name: str) -> bool:
        """Whether the engine created, replaced or updated this resource."""
        return bool(re.search(rf"^ *(\+|~|\+-|\+\+) .*\b{re.escape(name)} ", self.text, re.M))


class Running:
    """A command that goes on: its lines are kept as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._begun = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, words: str) -> None:
        """Until it says so; a command that ends first fails the test."""
        ended = self.process.poll
        wait_until(
            lambda: self.said(words) or ended() is not None, f"no {words!r}", COMMAND_SECONDS
        )
        assert self.said(words), f"it ended without saying {words!r}:\n{self.text}"

    def said(self, words: str) -> bool:
        return any(re.search(words, line) for line in self.lines)

    def kill(self) -> None:
        """As the kernel does when memory is short: at once, and this process alone."""
        self.process.kill()
        self.process.wait(10)

    def interrupt(self) -> None:
        """Ctrl-C: the terminal tells all of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> Outcome:
        code = self.process.wait(COMMAND_SECONDS)
        self._reader.join(5)
        return Outcome(code, self.text, time.monotonic() - self._begun)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)


@dataclass(frozen=True)
class Recorded:
    """What a run left in the engine's state: the release that its outputs name, the operations
    that were cut off, whether a lock is there, and whether anything is protected."""

    output: str
    operations: list[str]
    locked: bool
    protects: bool = False


@dataclass
class World:
    """One stack. `number` keeps its ports and networks apart from the others'."""

    stack: str
    folder: Path
    number: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return 18000 + self.number

    @property
    def https_port(self) -> int:
        return self.port + 500

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PULUMI_BACKEND_URL": file_backend.address(self.folder / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "sandbox",
            "YTOPS_STACK": self.stack,
            "NO_COLOR": "1",
        }

    def create(self) -> None:
        """A folder with the project and a stack file made from the sandbox's."""
        (self.folder / "state").mkdir(parents=True)
        shutil.copy(ROOT / "Pulumi.yaml", self.folder)
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        sandbox = yaml.safe_load((ROOT / "Pulumi.sandbox.yaml").read_text())
        net = f"172.29.{self.number * 4 % 256}"
        sandbox["config"] |= {
            f"ytempire:{key}": value
            for key, value in {
                "version": "",
                "edgeTls": "off",
                "edgeHttpPort": self.port,
                "edgeHttpsPort": self.https_port,
                "networkEdgeSubnet": f"{net}.0/24",
                "networkAppSubnet": f"172.29.{self.number * 4 % 256 + 1}.0/24",
                "networkDataSubnet": f"172.29.{self.number * 4 % 256 + 2}.0/24",
                "backupSchedule": False,
                "watchSeconds": 3,
                "watchP95Ms": PATIENT_MS,
                **self.settings,
            }.items()
        }
        self.stack_file.write_text(yaml.safe_dump(sandbox, sort_keys=False))
        self.run("pulumi", "stack", "select", "--create", self.stack, check=True)

    @property
    def stack_file(self) -> Path:
        return self.folder / f"Pulumi.{self.stack}.yaml"

    def set(self, key: str, value: Any) -> None:
        content = yaml.safe_load(self.stack_file.read_text())
        content["config"][f"ytempire:{key}"] = value
        if value is None:
            del content["config"][f"ytempire:{key}"]
        self.stack_file.write_text(yaml.safe_dump(content, sort_keys=False))

    def get(self, key: str) -> Any:
        return yaml.safe_load(self.stack_file.read_text())["config"].get(f"ytempire:{key}")

    def run(
        self, *command: str, check: bool = False, environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """A command in the project's folder, as a user would type it."""
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        outcome = Outcome(done.returncode, done.stdout, time.monotonic() - started)
        print(f"\n$ {' '.join(command)}   [{outcome.code}, {outcome.seconds:.1f} s]", flush=True)
        if check or not outcome.ok:
            print(outcome.text, file=sys.stderr, flush=True)
        if check:
            assert outcome.ok, f"{' '.join(command)} failed:\n{outcome.text}"
        return outcome

    def start(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The same, running on, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def begin(self, *command: str, environment: Mapping[str, str] | None = None) -> Running:
        """The same, with its output at hand while it runs."""
        print(f"\n$ {' '.join(command)} &", flush=True)
        return Running(self.start(*command, environment=environment))

    def begin_up(self) -> Running:
        return self.begin("pulumi", "up", "--yes", "--skip-preview", "--color=never")

    def change(self) -> str:
        """Ask for a new release of the version that the stack file names; what marks it."""
        turn = f"TURN={next(_turns)}"
        self.set("backendEnvironment", self._variables | dict([turn.split("=")]))
        return turn

    def ask_for_the_idle(self) -> str:
        """Ask, on purpose, for the release that stands ready: only traffic has to move."""
        state = self.state()
        identity: str = state["slots"][self.idle]["identity"]
        release = state["releases"][identity]
        turn = {k: v for k, v in release["environment"].items() if k == "TURN"}
        self.set("version", release["version"])
        self.set("backendEnvironment", self._variables | turn)
        withdrawn = state["withdrawn"].get(identity)
        self.set("reinstate", f"{identity}@{withdrawn['serial']}" if withdrawn else None)
        return identity

    def secret(self, key: str) -> str:
        """What Pulumi opens."""
        done = subprocess.run(
            ["pulumi", "config", "get", key],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    @property
    def _variables(self) -> dict[str, str]:
        """What this world gives to every backend."""
        return dict(self.settings.get("backendEnvironment", {}))

    @contextmanager
    def setting(self, key: str, value: Any) -> Iterator[None]:
        """For a while."""
        before = self.get(key)
        self.set(key, value)
        try:
            yield
        finally:
            self.set(key, before)

    def load(self, rate: float = 25) -> Load:
        """A load on the address that users have."""
        tls = self.get("edgeTls") != "off"
        return Load(self.https_port if tls else self.port, rate, tls=tls)

    def up(self, version: str | None = None, *arguments: str) -> Outcome:
        """Plain `pulumi up`, with `version` written to the stack file first."""
        if version is not None:
            self.set("version", version)
        return self.run("pulumi", "up", "--yes", "--skip-preview", "--color=never", *arguments)

    def ytops(self, *arguments: str) -> Outcome:
        return self.run("ytops", *arguments)

    def outputs(self) -> dict[str, Any]:
        answer = self.run("pulumi", "stack", "output", "--json", check=True)
        found: dict[str, Any] = json.loads(answer.text)
        return found

    def state(self) -> dict[str, Any]:
        """What the host remembers, read straight out of the switch's volume, also when the agent
        does not run or its container is gone."""
        if self.name("switch") not in self.containers():
            volume = f"{self.name('vol-control')}:/control:ro"
            reader = ("--rm", "--network=none", f"--volume={volume}", "--entrypoint=cat")
            text = docker("run", *reader, "ytempire-sandbox/redis:7", "/control/state.json")
        else:
            with tempfile.TemporaryDirectory() as folder:
                docker("cp", f"{self.name('switch')}:/control/state.json", folder)
                text = (Path(folder) / "state.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def recorded(self) -> Recorded:
        """What the engine remembers, read straight out of its file: no run is needed for it."""
        state = self.folder / "state" / ".pulumi"
        file = state / "stacks" / "ytempire" / f"{self.stack}.json"
        locks = state / "locks" / "organization" / "ytempire" / self.stack
        locked = any(locks.glob("*.json"))
        try:
            latest = json.loads(file.read_text())["checkpoint"]["latest"] or {}
        except (OSError, json.JSONDecodeError):
            return Recorded("not readable", [], locked)
        resources = latest.get("resources") or []
        stacks = [r for r in resources if r["type"] == "pulumi:pulumi:Stack"]
        return Recorded(
            output=str((stacks[0].get("outputs") or {}).get("release", "")) if stacks else "",
            operations=[
                operation["resource"]["urn"].rsplit("::", 1)[-1]
                for operation in latest.get("pending_operations") or ()
            ],
            locked=locked,
            protects=any(r.get("protect") for r in resources),
        )

    def live(self) -> tuple[str, str]:
        """Colour and version that serve."""
        live = self.state()["live"]
        return live["colour"], live["identity"].split("+")[0]

    @property
    def idle(self) -> Colour:
        return other(self.state()["live"]["colour"])

    def live_release(self) -> dict[str, Any]:
        """How the live release was started."""
        state = self.state()
        found: dict[str, Any] = state["releases"][state["live"]["identity"]]
        return found

    def history(self) -> list[dict[str, Any]]:
        text = docker("exec", self.name("switch"), "cat", "/control/history.jsonl")
        return [json.loads(line) for line in text.splitlines()]

    def containers(self) -> dict[str, str]:
        """The stack's containers by name, running or not: their ids."""
        listed = docker(
            "ps", "-a", "--filter", f"label=ytempire.stack={self.stack}",
            "--format", "{{.Names}} {{.ID}}",
        )  # fmt: skip
        return dict(line.split() for line in listed.splitlines())

    def name(self, part: str) -> str:
        return f"ytempire-{self.stack}-{part}"

    def write(self, part: str, path: str, content: str) -> None:
        """A file, inside a container."""
        docker("exec", "-i", self.name(part), "sh", "-c", f"cat > {path}", stdin=content)

    def reload_edge(self) -> None:
        """As the switch has nginx do it. Each time by another token: the same one is no news."""
        self.write("switch", f"/edge/{RELOAD_TOKEN}", f"by-hand-{time.monotonic_ns()}\n")

    def sql(self, query: str) -> str:
        return docker(
            "exec", self.name("postgres"), "psql", "-U", "ytempire", "-d", "ytempire", "-Atc", query
        ).strip()

    def processes(self) -> list[int]:
        """What was started here and still runs: plugins and steps outlive a killed engine."""
        mark = f"YTOPS_STACK={self.stack}\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                    found.append(int(folder.name))
        return found

    def quiet(self) -> None:
        """Until nothing that a killed run left is at work any more; then end its idle plugins."""
        with suppress(AssertionError):
            wait_until(lambda: not self.processes(), "it lingers", seconds=2)
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def destroy(self) -> None:
        """Remove all of it, and say what stayed."""
        self.quiet()
        self.run("pulumi", "cancel", "--yes")
        if self.recorded().protects:
            self.run("pulumi", "state", "unprotect", "--all", "--yes")
        gone = self.run("pulumi", "destroy", "--yes", "--skip-preview", "--refresh")
        self._forget_backups()
        left = self.leftovers()
        for kind, names in left.items():
            for name in names:
                docker(*kind.split(), name, check=False)
        assert gone.ok, gone.text
        assert not any(left.values()), f"left behind: {left}"

    def _forget_backups(self) -> None:
        """What keeps them is not declared, and outlives the stack."""
        mine = (f"label=ytempire.stack={self.stack}", "label=ytempire.part=backup")
        kept = docker("volume", "ls", "-q", *(w for one in mine for w in ("--filter", one))).split()
        if kept:
            docker("volume", "rm", *kept)

    def leftovers(self) -> dict[str, list[str]]:
        label = f"label=ytempire.stack={self.stack}"
        return {
            "rm -fv": docker("ps", "-aq", "--filter", label).split(),
            "network rm": docker("network", "ls", "-q", "--filter", label).split(),
            "volume rm": docker("volume", "ls", "-q", "--filter", label).split(),
        }


def wait_until(
    true: Callable[[], object], otherwise: str | Callable[[], str], seconds: float = 120
) -> None:
    """`otherwise`: what to say if it doesn't come true; a function of it is asked only then."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.1)


def docker(*arguments: str, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, input=stdin
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout
