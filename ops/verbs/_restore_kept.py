"""What `ytops restore` brings back beside the database: files, configuration, secrets."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ops.backup import packing
from ops.backup.bucket import Bucket, client
from ops.backup.host import HostArgs
from ops.backup.opening import read_bundle
from ops.backup.place import Place as Store
from ops.backup.shell import Shell
from ops.backup.stores import NO_CREDENTIALS, stores
from ops.backup.volumes import volumes
from ops.errors import OpsError
from ops.restore.files import DISMISS, STAGE, UNPACK, Copy, Source, merge, parents
from ops.steps._signals import Stopped, listening
from ops.steps.backup import megabytes
from ops.verbs._backup_kind import Kept
from ops.verbs._confirm import confirm
from ops.verbs._database import ourselves
from ops.verbs._database import settings as settings_of
from ops.verbs._exit import DONE, FAILED, Interrupted, Misused
from ops.verbs._paper import BAD, paint, plural, say, when
from ops.verbs._place import Place
from ops.verbs._store import configured, image, is_offsite
from ops.verbs._transfer import Transfer
from ops.verbs.rehearse import line
from rollout.backups import Catalogue, Folder, Stored, together
from rollout.bucket_policies import Identity
from rollout.dumps import STAMP
from rollout.files import ASIDE, Entry, Index
from rollout.retention import FILES, Series

NEWEST = "newest"
PART = "media"
SERIES = {
    Kept.FILES: Series.MEDIA,
    Kept.APPLICATION: Series.APPLICATION,
    Kept.CONFIG: Series.CONFIG,
    Kept.SECRETS: Series.SECRETS,
}


@dataclass(frozen=True)
class Asked:
    """point: a stamp, or `newest`. to: a folder or a file of this machine.
    identity: a file with an age key, where the stack's secrets can't be opened."""

    what: Kept
    point: str
    paths: tuple[str, ...] = ()
    to: Path | None = None
    from_place: str = ""
    identity: Path | None = None
    yes: bool = False

    @property
    def series(self) -> Series:
        return SERIES[self.what]


@dataclass(frozen=True)
class Options:
    """other: something was asked for that only the database has."""

    to: Path | None = None
    from_place: str = ""
    identity: Path | None = None
    other: bool = False
    dismiss: bool = False
    yes: bool = False


def dispatch(place: Place, what: Kept, words: list[str], options: Options) -> int:
    if options.other:
        raise Misused(f"--table, --at, --undo and --json are the database's, not for {what}.")
    if options.dismiss:
        if what is not Kept.FILES or words:
            raise Misused("--dismiss stands alone: `ytops restore files --dismiss`.")
        return dismiss(place)
    point, *paths = words or [""]
    to, key = options.to, options.identity
    return back(place, Asked(what, point, tuple(paths), to, options.from_place, key, options.yes))


def back(place: Place, asked: Asked) -> int:
    if not asked.point:
        return _listed(place, asked)
    if asked.series not in FILES:
        return _unsealed(place, asked)
    if asked.to is None and asked.series is not Series.MEDIA:
        raise Misused(
            f"`ytops restore {asked.what}` needs --to DIR: what runs is not written over. "
            "Look at it there, then put in place what you want."
        )
    return _into_volume(place, asked) if asked.to is None else _to_folder(place, asked, asked.to)


def dismiss(place: Place) -> int:
    """Away with what restores of files have set aside."""
    with volumes(place.docker, place.names, image(place), [PART], writes=True) as shell:
        shell.must(DISMISS, PART)
    say(f"What restores of files had set aside in {place.names.volume(PART)} is removed")
    return DONE


# Files


def _to_folder(place: Place, asked: Asked, to: Path) -> int:
    _fresh(to)
    with _copies(place, asked) as copies, closing(Transfer()) as transfer:
        source = Source(copies, _key(place, asked), transfer.say, transfer)
        index = source.index()
        chosen = _chosen(index, asked)
        begun = time.monotonic()
        process = subprocess.Popen(
            ["tar", *UNPACK.split(), "--directory", str(to), "--file=-"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            assert process.stdin
            assert process.stderr
            try:
                size = source.write(index, parents(index, chosen), _Stdin(process))
                process.stdin.close()
            except BaseException:
                process.kill()
                raise
            words = process.stderr.read().decode(errors="replace").strip()
        transfer.close()
        if process.returncode:
            raise OpsError(f"tar can't write {to}: {words}")
        _tell(copies[0], chosen, size, time.monotonic() - begun, str(to))
    return _told(index)


def _into_volume(place: Place, asked: Asked) -> int:
    """Beside, and then into place; what is replaced is set aside."""
    with _copies(place, asked, writes=True) as copies, closing(Transfer()) as transfer:
        source = Source(copies, _key(place, asked), transfer.say, transfer)
        index = source.index()
        chosen = _chosen(index, asked)
        volume = place.names.volume(PART)
        say(
            f"{plural(len(chosen), 'path')} of {copies[0].stored.folder} come back into {volume}. "
            "What is newer there of the same name is set aside; everything else stays."
        )
        confirm(place, asked.yes)
        begun = time.monotonic()
        with volumes(place.docker, place.names, image(place), [PART], writes=True) as shell:
            size = _stage(shell, source, index, parents(index, chosen))
            transfer.close()
            stood, left = merge(shell, PART, f"{datetime.now(UTC):{STAMP}}")
        _tell(copies[0], chosen, size, time.monotonic() - begun, volume)
        if stood:
            say(
                f"{plural(stood, 'file')} that stood there are in {ASIDE} of {volume}.\n"
                "Next: when nobody misses them, `ytops restore files --dismiss`"
            )
        if left:
            say(f"{paint(BAD, 'red')} {left} could not take their place: a folder stands there")
            return FAILED
    return _told(index)


def _stage(shell: Shell, source: Source, index: Index, entries: Sequence[Entry]) -> int:
    with shell.pipe(STAGE, PART, gives=False) as target:
        size = source.write(index, entries, target)
        answer = target.finish()
    if answer.code:
        raise OpsError(f"The files can't be written beside: {answer.out.strip()}")
    return size


def _chosen(index: Index, asked: Asked) -> list[Entry]:
    """Paths are a volume's own; several volumes' begin with its name."""
    inside = [f"{PART}/{p.strip('/')}" if asked.series is Series.MEDIA else p for p in asked.paths]
    found = index.under(inside)
    for path, told in zip(inside, asked.paths, strict=True):
        if not index.under([path]):
            raise Misused(f"{told} is not in that backup. Next: another point, or no PATH for all")
    return found


def _told(index: Index) -> int:
    for path, why in index.told.items():
        say(f"When it was backed up, {path!r} was not read as it should be: {why}")
    return DONE


def _tell(copy: Copy, chosen: Sequence[Entry], size: int, seconds: float, where: str) -> None:
    files = sum(entry.type == "f" for entry in chosen)
    words = f"{plural(files, 'file')}, {megabytes(size)}, of {copy.stored.folder} to {where}"
    say(line("files", True, seconds, words))


# Configuration and secrets


def _unsealed(place: Place, asked: Asked) -> int:
    if asked.to is None:
        what = "FILE" if asked.series is Series.SECRETS else "DIR"
        raise Misused(f"`ytops restore {asked.what}` needs --to {what}.")
    if asked.paths:
        raise Misused(f"`ytops restore {asked.what}` takes one point, and no PATH.")
    with _copies(place, asked) as copies:
        key, members = _key(place, asked), dict[str, bytes]()
        for copy in copies:
            try:
                members = read_bundle(copy.place, copy.stored, key)
                break
            except OpsError as error:
                say(f"{copy.place.name}: {error}")
        if not members:
            raise OpsError("No place has it whole. Next: an earlier one")
        folder = copies[0].stored.folder
    if asked.series is Series.SECRETS:
        (data,) = members.values()
        _write(asked.to, data)
    else:
        _fresh(asked.to)
        for name, data in members.items():
            _write(asked.to / name, data)
    say(f"{folder} is in {asked.to}, for you alone to read")
    return DONE


def _write(path: Path, data: bytes) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Misused(
            f"--to: expected a file that can be made, {path}: {error.strerror}."
        ) from None
    with os.fdopen(file, "wb") as opened:
        opened.write(data)


def _fresh(to: Path) -> None:
    try:
        to.mkdir(mode=0o700, exist_ok=True)
        if any(to.iterdir()):
            raise Misused(f"--to: expected a folder that is empty or not there, got {to}.")
    except OSError as error:
        raise Misused(f"--to: {to} can't be made: {error.strerror}.") from None


# Which, and from where


@contextmanager
def _copies(place: Place, asked: Asked, writes: bool = False) -> Iterator[list[Copy]]:
    """The backup that was asked for in each place that has it and where it was not found bad; the
    last are read when nothing else is left. From the bucket alone, no host is needed."""
    try:
        with listening(), _places(place, asked, writes) as found:
            yield _matching(found, asked)
    except Stopped:
        raise Interrupted("Stopped. What was beside is beside; nothing is half in place.") from None


@contextmanager
def _places(place: Place, asked: Asked, writes: bool) -> Iterator[list[tuple[Store, Catalogue]]]:
    listing = not asked.point or asked.identity  # then nothing sealed need be opened
    settings = configured(place) if listing else settings_of(place).backups
    if asked.from_place == "bucket" and not writes:
        s3 = client(settings, Identity.RESTORE)
        if s3 is None:
            raise OpsError(f"s3://{settings.bucket} can't be read: {NO_CREDENTIALS}")
        bucket = Bucket(s3, settings, place.stack)
        yield [(bucket, bucket.catalogue())]
        return
    host = HostArgs(image(place), ourselves() if writes else None, say)
    offsite = is_offsite(place)
    with stores(place.docker, place.names, settings, host, offsite=offsite) as found:
        catalogues = found.catalogues()
        for name, why in found.lost.items():
            say(f"{paint(BAD, 'red')} {name}: {why}")
        if asked.from_place and asked.from_place not in catalogues:
            known = ", ".join(catalogues)
            raise Misused(f"--from: expected one of {known}, got {asked.from_place}.")
        yield [
            (one, catalogues[one.name])
            for one in found.places
            if asked.from_place in ("", one.name)
        ]


def _matching(found: list[tuple[Store, Catalogue]], asked: Asked) -> list[Copy]:
    there = [
        Copy(store, stored)
        for store, catalogue in found
        for stored in catalogue.backups
        if stored.folder.series is asked.series
    ]
    good = [copy for copy in there if copy.stored.proved is not False] or there
    wanted = (
        max((c.stored.folder for c in good), default=None)
        if asked.point == NEWEST
        else next((c.stored.folder for c in there if _stamp(c.stored.folder) == asked.point), None)
    )
    if wanted is None:
        raise Misused(
            f"There is no backup {asked.point} of {asked.what}. Next: `ytops restore {asked.what}` "
            "lists what there is"
        )
    return sorted(
        (copy for copy in there if copy.stored.folder == wanted),
        key=lambda copy: copy.stored.proved is False,
    )


def _listed(place: Place, asked: Asked) -> int:
    with _places(place, asked, writes=False) as found:
        backups = together({store.name: catalogue for store, catalogue in found})
    mine = {f: at for f, at in backups.items() if f.series is asked.series}
    for folder, at in mine.items():
        say(f"{_stamp(folder)}  {when(folder.taken.isoformat()):<28} {_words(at)}")
    if not mine:
        say(f"There is none. Next: `ytops backup run {asked.what}`")
        return DONE
    to = {Kept.FILES: "", Kept.SECRETS: " --to FILE"}.get(asked.what, " --to DIR")
    say(f"Next: `ytops restore {asked.what} {NEWEST}{to}`")
    return DONE


def _words(at: dict[str, Stored]) -> str:
    found = next(iter(at.values())).manifest
    files = found.objects if found and found.objects is not None else 0
    damaged = [name for name, stored in at.items() if stored.proved is False]
    where = ", ".join(name for name in at if name not in damaged)
    return f"{plural(files, 'file')}, {where}" + (
        f"; damaged: {', '.join(damaged)}" * bool(damaged)
    )


def _stamp(folder: Folder) -> str:
    return f"{folder.taken:{STAMP}}"


def _key(place: Place, asked: Asked) -> packing.Identity:
    """The stack's, or the one in a file: on a machine that can't open the stack's secrets."""
    if asked.identity is None:
        told = settings_of(place).backups.identity
        if not told:
            raise Misused("backupIdentity is not set. Next: this again with --identity FILE")
        return packing.identity(told)
    try:
        lines = asked.identity.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Misused(f"--identity: {asked.identity} can't be read: {error.strerror}.") from None
    return packing.identity(next((li for li in lines if li.strip() and not li.startswith("#")), ""))


@dataclass
class _Stdin:
    """A process that takes the stream."""

    process: subprocess.Popen[bytes]

    def write(self, data: bytes) -> int:
        assert self.process.stdin
        try:
            self.process.stdin.write(data)
        except OSError:
            assert self.process.stderr
            words = self.process.stderr.read().decode(errors="replace").strip()
            raise OpsError(f"tar ended early: {words}") from None
        return len(data)
