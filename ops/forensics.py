"""What a breached stack is, kept as it was found: each container's files, description and log, each
volume's content. Nothing is stopped or changed for it, and nothing of it is written in the clear.

    DIR/containers/NAME/filesystem.tar.zst.age   `docker export`
    DIR/containers/NAME/inspect.json.zst.age     also log.txt, changes.txt, processes.txt
    DIR/volumes/NAME.tar.zst.age
    DIR/host.json.zst.age                        what the engine says of itself
    DIR/SHA256SUMS                               of the files as they lie here
    DIR/CONTENTS                                 the same of what is in them, unpacked
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.backup.packing import Reader, Recipient, Sum, pack
from ops.backup.shell import LONG_SECONDS, Pipe, close
from ops.docker import Answer, Docker, Say
from ops.errors import OpsError
from ops.steps._one_shot import HARDENED
from ops.steps.backup import megabytes
from rollout.names import STACK_LABEL, Names

SPARE_BYTES = 1 << 30
SUFFIX = ".zst.age"
SUMS, CONTENTS = "SHA256SUMS", "CONTENTS"
# Reads what is anybody's, and can do nothing else.
READER = (
    *HARDENED, "--rm", "--network", "none", "--user", "0:0", "--cap-add", "DAC_READ_SEARCH",
    "--log-driver", "none", "--no-healthcheck",
)  # fmt: skip
PROCESSES = ("-eo", "pid,ppid,user,lstart,args")
VOLUME = "/volume"
SIZE = f"exec du -sk {VOLUME}"
# 1: a file changed while it was read, as those of a database that runs do.
TAR = f'tar -C {VOLUME} -cf - .; [ "$?" -le 1 ]'


@dataclass(frozen=True)
class Thing:
    """One file of the evidence: where it goes, and the docker command that gives it. `talks`: its
    words on stderr are part of it."""

    path: str
    command: tuple[str, ...]
    talks: bool = False


@dataclass
class Forensics:
    """One collection. `image`: has `tar` and `du`; the database's. `missing`: what could not be
    had, and why."""

    docker: Docker
    names: Names
    image: str
    recipients: Sequence[Recipient]
    say: Say
    missing: dict[str, str] = field(default_factory=dict)
    _sums: dict[str, tuple[str, str]] = field(default_factory=dict)

    def require_room(self, folder: Path) -> None:
        """Before anything is written: all of it uncompressed is an upper limit."""
        containers = sum(map(self._container_bytes, self._containers()))
        volumes = sum(map(self._volume_bytes, self._volumes()))
        wanted, free = containers + volumes + SPARE_BYTES, shutil.disk_usage(folder).free
        self.say(
            f"At most {megabytes(containers)} in containers and {megabytes(volumes)} in volumes, "
            f"before they are compressed; {folder} has {megabytes(free)} left"
        )
        if wanted > free:
            raise OpsError(
                f"{folder} has {megabytes(free)} left, the evidence may want {megabytes(wanted)}.\n"
                "Nothing was written. Next: the same with a folder on a larger disk"
            )

    def collect(self, target: Path) -> None:
        """Into a new folder, which nobody can write to afterwards."""
        target.mkdir(mode=0o700)
        for thing in self._things():
            try:
                self._take(target, thing)
            except OpsError as error:
                self.missing[thing.path] = str(error).splitlines()[0]
        for name, which in ((SUMS, 0), (CONTENTS, 1)):
            lines = (f"{sums[which]}  {_named(path, which)}\n" for path, sums in self._sums.items())
            (target / name).write_text("".join(lines), encoding="utf-8")
        for path in sorted(target.rglob("*"), reverse=True):
            path.chmod(0o500 if path.is_dir() else 0o400)
        target.chmod(0o500)

    # What there is

    def _things(self) -> Iterator[Thing]:
        """The short-lived first: who runs, who is connected, what was said."""
        yield Thing("host.json", ("info", "--format", "{{json .}}"))
        containers = self._containers()
        seen = self.docker.inspect_all(*containers) if containers else {}
        for name in containers:
            at = f"containers/{name}"
            if name in seen and seen[name].running:
                yield Thing(f"{at}/processes.txt", ("top", name, *PROCESSES))
            yield Thing(f"{at}/changes.txt", ("diff", name))
            yield Thing(f"{at}/inspect.json", ("container", "inspect", name))
            yield Thing(f"{at}/log.txt", ("logs", "--timestamps", name), talks=True)
        for name in containers:
            yield Thing(f"containers/{name}/filesystem.tar", ("export", name))
        for name in self._volumes():
            yield Thing(f"volumes/{name}.tar", self._inside(name, TAR))

    def _containers(self) -> list[str]:
        return self._listed("ps", "--all", "--format", "{{.Names}}")

    def _volumes(self) -> list[str]:
        return self._listed("volume", "ls", "--format", "{{.Name}}")

    def _listed(self, *command: str) -> list[str]:
        mine = f"label={STACK_LABEL}={self.names.stack}"
        return sorted(self.docker.call(*command, "--filter", mine).out.split())

    def _inside(self, volume: str, script: str) -> tuple[str, ...]:
        mount = ("--mount", f"type=volume,src={volume},dst={VOLUME},readonly")
        return ("run", *READER, *mount, "--entrypoint", "sh", self.image, "-c", script)

    def _container_bytes(self, name: str) -> int:
        asked = ("container", "inspect", "--size", "--format", "{{json .SizeRootFs}}", name)
        return int(json.loads(self.docker.call(*asked).out) or 0)

    def _volume_bytes(self, name: str) -> int:
        answer = self.docker.call(*self._inside(name, SIZE), timeout=LONG_SECONDS)
        return int(answer.out.split()[0]) * 1024

    # One of them

    def _take(self, target: Path, thing: Thing) -> None:
        """Read, hashed, compressed, encrypted, hashed again and written, in one pass."""
        path = target / f"{thing.path}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = Sum()
        with path.open("xb") as file:
            lying = Sum(file.write)
            source = self._begin(thing)
            try:
                pack(_Tapped(source, plain), lying, self.recipients)
                answer = source.finish()
            finally:
                source.close()
            lying.flush()
        if answer.code:
            path.unlink()
            raise OpsError(answer.words or f"exit code {answer.code}")
        self._sums[thing.path] = (lying.sha256, plain.sha256)
        self.say(f"{thing.path}: {megabytes(plain.bytes)}, {megabytes(lying.bytes)} as it lies")

    def _begin(self, thing: Thing) -> Pipe | _Both:
        if thing.talks:
            return _Both(self.docker.spawn(thing.command, False, subprocess.STDOUT))
        return Pipe(self.docker.spawn(thing.command, False, subprocess.PIPE), gives=True)


def _named(path: str, unpacked: int) -> str:
    return path if unpacked else f"{path}{SUFFIX}"


@dataclass
class _Both:
    """What a command says, on either of its outputs."""

    process: subprocess.Popen[bytes]

    def read(self, size: int = -1) -> bytes:
        assert self.process.stdout
        return self.process.stdout.read(size)

    def finish(self) -> Answer:
        return Answer(self.process.wait(LONG_SECONDS), "")

    def close(self) -> None:
        close(self.process)


@dataclass
class _Tapped:
    """A reader whose bytes are hashed as they pass."""

    source: Reader
    total: Sum

    def read(self, size: int = -1) -> bytes:
        data = self.source.read(size)
        self.total.write(data)
        return data
