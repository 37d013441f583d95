"""A drive of the host: a folder that a job's shell has at hand."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from ops.backup.packing import Reader
from ops.backup.place import Written
from ops.backup.shell import Pipe, Shell
from ops.errors import OpsError
from rollout.backups import MANIFEST, Catalogue, Folder, catalogue
from rollout.records import Artifact
from rollout.retention import Series
from rollout.wal import Piece, pieces

# What is not finished lies in a folder of another name, which no listing takes for a backup's.
PARTIAL = ".partial"
KEYS = f"cd \"$0\" && find . -path ./{Series.WAL} -prune -o -type f -printf '%P\\n'"
TEXTS = (
    "cd \"$0\" && find . -type f -name '*.json' -print0 | tar -c --null --no-recursion -T - -f -"
)
WRITE = """
umask 0077
mkdir -p "${0%/*}" && cat >"$0" && sync "$0" && exec sha256sum "$0"
"""
SEAL = f"""
umask 0077
cd "$0{PARTIAL}" && cat >{MANIFEST} && sync {MANIFEST} && cd / && mv -T "$0{PARTIAL}" "$0" &&
    exec sync "${{0%/*}}"
"""
NOTE = f'umask 0077; cat >"$0{PARTIAL}" && sync "$0{PARTIAL}" && exec mv "$0{PARTIAL}" "$0"'
# One line for each that is not as it should be, and nothing for the others.
CHECK = 'cd "$0" && { sha256sum --check --quiet 2>/dev/null; true; }'
REMOVE = 'exec rm -rf "$0" "$0' + PARTIAL + '"'
# All but the names on stdin.
REMOVE_REST = 'cat >/tmp/stays; cd "$0" && ls -A | grep -vxFf /tmp/stays | xargs -r rm -f --'
ADD = f"""
umask 0077
mkdir -p "${{0%/*}}" && cat >"$0{PARTIAL}" && sync "$0{PARTIAL}" &&
    sum=$(sha256sum "$0{PARTIAL}") && mv -T "$0{PARTIAL}" "$0" && echo "$sum"
"""
# Of the log there is too much for who looks for backups.
WAL = f"cd \"$0\" && [ ! -d {Series.WAL} ] || exec find {Series.WAL} -type f ! -name '*{PARTIAL}'"
FORGET = """
cd "$0" && cat >/tmp/forget && xargs -r rm -f -- </tmp/forget &&
    sed 's,/[^/]*$,,' /tmp/forget | sort -u | xargs -r rmdir --ignore-fail-on-non-empty --
"""
# But for the log, which is shipped by a job with a lock of its own.
SWEEP = f"""
exec find "$0" -path "$0/{Series.WAL}" -prune -o -name '*{PARTIAL}' -prune -exec rm -rf {{}} +
"""


@dataclass
class DriveFile:
    """A file of a backup that is under way."""

    drive: Drive
    pipe: Pipe
    _open: ExitStack = field(repr=False)

    def write(self, data: bytes) -> int:
        return self.pipe.write(data)

    def finish(self) -> Written:
        answer = self.pipe.finish()
        self._open.close()
        if answer.code:
            raise OpsError(answer.out.strip() or f"exit code {answer.code}")
        return Written(sha256=answer.out.split()[0])

    def abort(self) -> None:
        self._open.close()


@dataclass(frozen=True)
class Drive:
    """`name`: as configured. `path`: where the shell has it."""

    shell: Shell
    name: str
    path: str
    stack: str

    @property
    def where(self) -> str:
        return f"{self.name} on {self.shell.where}"

    def catalogue(self) -> Catalogue:
        keys = self.shell.must(KEYS, self.path).splitlines()
        archive = io.BytesIO(self.shell.must(TEXTS, self.path).encode())
        return catalogue(self.where, self.stack, keys, dict(_texts(archive)))

    def wal(self, since: datetime | None = None) -> tuple[Piece, ...]:
        found = pieces(self.shell.must(WAL, self.path).splitlines())
        return tuple(piece for piece in found if since is None or piece.closed >= since)

    def begin(self, folder: Folder, name: str) -> DriveFile:
        return self._file(WRITE, f"{self._at(folder)}{PARTIAL}/{name}")

    def add(self, key: str) -> DriveFile:
        return self._file(ADD, f"{self.path}/{key}")

    def _file(self, script: str, path: str) -> DriveFile:
        opened = ExitStack()
        pipe = opened.enter_context(self.shell.pipe(script, path, gives=False))
        return DriveFile(self, pipe, opened)

    def seal(self, folder: Folder, manifest: str) -> None:
        self.shell.must(SEAL, self._at(folder), stdin=manifest.encode())

    def note(self, key: str, text: str) -> None:
        self.shell.must(NOTE, f"{self.path}/{key}", stdin=text.encode())

    def text(self, key: str) -> str:
        return self.shell.must('exec cat "$0"', f"{self.path}/{key}")

    def discard(self, folder: Folder) -> None:
        with suppress(OpsError):
            self.shell.must('exec rm -rf "$0"', f"{self._at(folder)}{PARTIAL}")

    def sweep(self) -> None:
        """What killed jobs left. Nobody else is at it: the lock is ours."""
        self.shell.must(SWEEP, self.path)

    def remove(self, folder: Folder, stays: Collection[str] = ()) -> None:
        names = [key.rpartition("/")[2] for key in stays if key.startswith(f"{folder}/")]
        if not names:
            self.shell.must(REMOVE, self._at(folder))
        else:
            self.shell.must(REMOVE_REST, self._at(folder), stdin="\n".join(names).encode())

    def forget(self, keys: Iterable[str]) -> None:
        """Files of the log."""
        self.shell.must(FORGET, self.path, stdin="\n".join(keys).encode())

    def wrong(self, artifacts: Iterable[Artifact]) -> dict[str, str]:
        lines = {a.key: f"{a.sha256}  {a.key}\n" for a in artifacts}
        if not lines:
            return {}
        answer = self.shell.must(CHECK, self.path, stdin="".join(lines.values()).encode())
        found = (line.rpartition(": ") for line in answer.splitlines())
        return {key: f"{key}: {_how(why)}" for key, _, why in found if key in lines}

    @contextmanager
    def read(self, artifact: Artifact) -> Iterator[Reader]:
        with self.shell.pipe('exec cat "$0"', f"{self.path}/{artifact.key}", gives=True) as pipe:
            yield pipe

    def _at(self, folder: Folder) -> str:
        return f"{self.path}/{folder}"


def _texts(archive: io.BytesIO) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file:
                yield member.name.removeprefix("./"), file.read().decode(errors="replace")


def _how(why: str) -> str:
    return "can't be read" if "open" in why else "its SHA-256 is not the manifest's"
