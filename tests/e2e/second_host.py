"""A second Docker host on this machine, for tests that break an engine or its disk, or need an
empty one.

Its engine has everything of its own: a small ext4 disk in a file (so that a full one is really
full), a network namespace (so that rules and ports don't collide with the first engine's), a
socket. Sockets are no part of a namespace: `dockerHost: unix://…` reaches it from anywhere. The
ports that it publishes are in the namespace: what asks them is run `inside` it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

START_SECONDS = 60
STOP_SECONDS = 60
CLONE_NEWNET = 0x40000000  # setns(2)
# Free of the shared engine: what `docker save` gives is read by the second one from a pipe.
COPY_SECONDS = 300


class SecondHost:
    """Use as a context manager. `name` is short and unique: the namespace's, and a folder in /run.

    `folder` holds disk and log. `live_restore` is what the README asks a user to configure.
    """

    def __init__(
        self, name: str, folder: Path, *, disk_mb: int = 4000, live_restore: bool = True
    ) -> None:
        self.name, self.folder = name, folder
        self.disk = folder / "disk"
        self._image = folder / "disk.img"
        self._disk_mb = disk_mb
        self._live_restore = live_restore
        self._run = Path("/run") / name  # short: a socket's path has at most 107 characters
        self._ballast = self.disk / "ballast"
        self._engine: subprocess.Popen[bytes] | None = None

    @property
    def docker_host(self) -> str:
        return f"unix://{self._run}/docker.sock"

    @property
    def inside(self) -> tuple[str, ...]:
        """What to put before a command, so that the host's published ports are on 127.0.0.1.

        Not `ip netns exec`, which hides the control groups."""
        return ("nsenter", f"--net={self.namespace}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """For a while, what this thread does and starts (commands, a load's thread) is inside, and
        speaks to this engine."""
        before = os.environ.get("DOCKER_HOST")
        with open("/proc/thread-self/ns/net") as outside, self.namespace.open() as namespace:
            _set_namespace(namespace.fileno())
            os.environ["DOCKER_HOST"] = self.docker_host
            try:
                yield
            finally:
                _set_namespace(outside.fileno())
                os.environ.pop("DOCKER_HOST")
                os.environ.update({"DOCKER_HOST": before} if before else {})

    @property
    def namespace(self) -> Path:
        return Path("/run/netns") / self.name

    @property
    def log(self) -> Path:
        return self.folder / "dockerd.log"

    def __enter__(self) -> SecondHost:
        self._remove()  # what an interrupted earlier run left
        self.disk.mkdir(parents=True, exist_ok=True)
        self._run.mkdir()
        try:
            _call("truncate", f"--size={self._disk_mb}M", str(self._image))
            _call("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
            _call("mount", "-o", "loop", str(self._image), str(self.disk))
            _call("ip", "netns", "add", self.name)
            _call(*self.inside, "ip", "link", "set", "lo", "up")
            self._configure()
            self.start_engine()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    # The engine

    def _configure(self) -> None:
        """Without the proxy processes, which end with the engine: users of a real host come from
        outside, by the kernel's rules; here they come from 127.0.0.1, and take the same way."""
        settings = {"live-restore": self._live_restore, "userland-proxy": False}
        (self.folder / "daemon.json").write_text(json.dumps(settings))

    def start_engine(self) -> None:
        with self.log.open("ab") as log:
            self._engine = subprocess.Popen(
                [
                    *self.inside, "dockerd",
                    f"--config-file={self.folder / 'daemon.json'}",
                    f"--data-root={self.disk / 'docker'}", f"--exec-root={self._run / 'exec'}",
                    f"--pidfile={self._run / 'docker.pid'}", f"--host={self.docker_host}",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            lives = self._engine.poll() is None and time.monotonic() < deadline
            assert lives, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def stop_engine(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; with live-restore its containers run on."""
        assert self._engine
        self._engine.send_signal(number)
        self._engine.wait(STOP_SECONDS)
        if number == signal.SIGKILL:  # containerd is its child, and is as gone when a host restarts
            self._end_containerd()

    def restart_engine(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Stop and start it, as a package upgrade does; how long nobody answered."""
        begun = time.monotonic()
        self.stop_engine(number)
        self.start_engine()
        return time.monotonic() - begun

    def docker(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(self._docker(*arguments), capture_output=True, text=True, timeout=120)
        assert not check or not done.returncode, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def load_images(self, *names: str) -> None:
        """Copy images from the first engine."""
        environment = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
        save = subprocess.Popen(["docker", "save", *names], stdout=subprocess.PIPE, env=environment)
        subprocess.run(
            self._docker("load", "--quiet"), stdin=save.stdout, stdout=subprocess.DEVNULL,
            check=True, timeout=COPY_SECONDS,
        )  # fmt: skip
        assert save.stdout
        save.stdout.close()
        assert save.wait(10) == 0, f"`docker save {' '.join(names)}` failed"

    # The disk

    def fill(self, leave_kb: int = 0) -> None:
        """Make the disk full but for this much."""
        space = os.statvfs(self.disk)
        size = space.f_bavail * space.f_frsize - leave_kb * 1024
        if size > 0:
            # Real blocks, at once; what a last partial allocation refuses is full as well.
            with suppress(subprocess.CalledProcessError):
                _call("fallocate", f"--length={size}", str(self._ballast))

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    # The end

    def _docker(self, *arguments: str) -> Sequence[str]:
        return ("docker", "--host", self.docker_host, *arguments)

    def _remove(self) -> None:
        """Everything, also of a run that was cut off; by process id and path, nothing by guess."""
        self.make_room()
        if self.disk.is_mount():
            with suppress(AssertionError, subprocess.SubprocessError):
                self._remove_containers()
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for place in self._mounts():
            subprocess.run(["umount", "--lazy", place], capture_output=True)
        if self.namespace.exists():
            _call("ip", "netns", "del", self.name)
        self._image.unlink(missing_ok=True)
        shutil.rmtree(self._run, ignore_errors=True)

    def _remove_containers(self) -> None:
        """Their processes are no children of anything that we could end otherwise."""
        if not self._answers():
            self.start_engine()
        ids = self.docker("ps", "--all", "--quiet").split()
        if ids:
            self.docker("rm", "--force", "--volumes", *ids)
        if self._engine:
            self.stop_engine()

    def _answers(self) -> bool:
        return subprocess.run(self._docker("info"), capture_output=True).returncode == 0

    def _end_containerd(self) -> None:
        pid_file = self._run / "exec" / "containerd" / "containerd.pid"
        with suppress(OSError, ValueError):
            process = int(pid_file.read_text())
            os.kill(process, signal.SIGKILL)
            while Path(f"/proc/{process}").exists():
                time.sleep(0.05)

    def _processes(self) -> list[int]:
        """What was started with a folder of this host's on its command line: engine and shims."""
        marks = (f"{self._run}/".encode(), f"{self.disk}/".encode())
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                if any(mark in command for mark in marks) and int(folder.name) != os.getpid():
                    found.append(int(folder.name))
        return found

    def _mounts(self) -> list[str]:
        """Its disk and what the engine mounted below, the innermost first."""
        places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        ours = (f"{self._run}/", f"{self.disk}/")
        return [p for p in reversed(places) if p == str(self.disk) or p.startswith(ours)]


def _set_namespace(descriptor: int) -> None:
    """Of this thread alone, and of what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
