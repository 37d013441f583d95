"""What containers of this machine cost: their control groups' processor time, and the resident
sets of their processes, looked at from beside ten times a second."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.meter import PAGE_BYTES, SAMPLE_SECONDS
from tests.e2e.world import docker

CGROUPS = Path("/sys/fs/cgroup")
SERVER = "postgres"  # the server's processes are called so, its clients are not
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Group:
    """A container's, of the first or second kind of control groups."""

    cpu: Path
    processes: Path

    @classmethod
    def of(cls, container: str) -> Group:
        process = docker("inspect", "-f", "{{.State.Pid}}", container).strip()
        lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
        at = {names: path.lstrip("/") for _, names, path in (x.split(":", 2) for x in lines)}
        of_cpu = next((names for names in at if "cpuacct" in names.split(",")), None)
        if of_cpu is None:
            folder = CGROUPS / at[""]
            return cls(folder / "cpu.stat", folder / "cgroup.procs")
        folder = CGROUPS / "cpuacct" / at[of_cpu]
        return cls(folder / "cpuacct.usage", folder / "cgroup.procs")

    @property
    def cpu_seconds(self) -> float:
        text = self.cpu.read_text()
        if self.cpu.name == "cpuacct.usage":
            return int(text) / 1e9
        return int(text.split()[1]) / 1e6  # its first line is `usage_usec N`

    def resident(self) -> Iterator[int]:
        with suppress(OSError):
            for process in self.processes.read_text().split():
                yield _resident(process)


@dataclass
class Watch:
    """From `begin` to `end`: what these containers and this other process use."""

    groups: tuple[Group, ...]
    store: int
    """The S3 server's process."""
    peak: int = field(default=0, init=False)
    cpu_seconds: float = field(default=0.0, init=False)
    store_cpu_seconds: float = field(default=0.0, init=False)

    def __enter__(self) -> Watch:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before = self._cpu(), _process_cpu(self.store)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        used, stored = self._before
        self.cpu_seconds = self._cpu() - used
        self.store_cpu_seconds = _process_cpu(self.store) - stored

    def _cpu(self) -> float:
        return sum(group.cpu_seconds for group in self.groups)

    def _look(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            now = sum(size for group in self.groups for size in group.resident())
            self.peak = max(self.peak, now)


def groups(containers: Iterable[str]) -> tuple[Group, ...]:
    return tuple(map(Group.of, containers))


def _resident(process: str) -> int:
    """0 for PostgreSQL's own, whose shared buffers would count for each of them."""
    with suppress(OSError, IndexError):
        if Path(f"/proc/{process}/comm").read_text().strip() != SERVER:
            return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def _process_cpu(process: int) -> float:
    """Its own and its ended children's."""
    numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, numbers[11:15])) / TICKS
