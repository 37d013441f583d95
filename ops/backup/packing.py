"""A file on its way: compressed, encrypted, and written to several places at once, in memory that
does not grow with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, TypeAlias, TypeVar, cast

import pyrage
import zstandard
from pyrage import x25519

from ops.backup.shell import BLOCK
from ops.errors import OpsError

LEVEL = 3  # zstd's own default: three times as fast as gzip's, and smaller
THREADS = 2
# What a thread compresses at a time. zstd's own choice is 8 MB, of which it holds several for each
# thread: 40 MB more, for the same size to the third digit.
JOB_BYTES = 2 << 20

Recipient: TypeAlias = x25519.Recipient
T = TypeVar("T")


class Reader(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Writer(Protocol):
    """Where a file comes to lie. `write` raises OpsError when the place can't take it."""

    def write(self, data: bytes, /) -> object: ...


class KeyMistake(OpsError):
    """A key for backups is not one."""


@dataclass(frozen=True)
class Identity:
    """What opens backups: the key of today's, and those of older ones."""

    keys: tuple[x25519.Identity, ...]

    def to_public(self) -> Recipient:
        """Who today's backups are made for."""
        return self.keys[0].to_public()


def recipient(text: str) -> Recipient:
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise KeyMistake(
            f"backupRecipients: expected age recipients such as age1…, got {text!r}.\n"
            "Next: `ytops backup key` makes one"
        ) from None


def identity(text: str) -> Identity:
    """Several in one text are parted by blanks, the newest first."""
    try:
        return Identity(tuple(map(x25519.Identity.from_str, text.split() or [text])))
    except pyrage.IdentityError:
        raise KeyMistake(
            "backupIdentity: expected an age identity, AGE-SECRET-KEY-1…, got something else.\n"
            "Next: `ytops backup key` makes one"
        ) from None


def new_key() -> tuple[str, str]:
    """An identity, and the recipient that stands for it."""
    made = x25519.Identity.generate()
    return str(made), str(made.to_public())


def pack(source: Reader, target: Writer, recipients: Sequence[Recipient]) -> None:
    """Compress and encrypt all that `source` gives; without recipients, compress it."""
    squeezed = _compressor().stream_reader(cast(IO[bytes], source), read_size=BLOCK)
    if not recipients:
        while data := squeezed.read(BLOCK):
            target.write(data)
        return
    ends = _Ends(squeezed.read, target.write)
    try:
        pyrage.encrypt_io(ends, ends, recipients)
    except (OSError, pyrage.EncryptError):
        ends.raise_first()
        raise
    ends.raise_first()


def _compressor() -> zstandard.ZstdCompressor:
    chosen = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, threads=THREADS, job_size=JOB_BYTES
    )
    return zstandard.ZstdCompressor(compression_params=chosen)


def unpack(source: Reader, target: Writer, key: Identity) -> None:
    """The way back. A file that was changed or cut off is found, and raises OpsError."""
    plain = zstandard.ZstdDecompressor().stream_writer(cast(IO[bytes], target), closefd=False)
    ends = _Ends(source.read, plain.write)
    try:
        pyrage.decrypt_io(ends, ends, list(key.keys))
    except pyrage.DecryptError as error:
        raise OpsError(
            f"The backup can't be opened with this key: {error}.\n"
            "Next: `pulumi config set --secret backupIdentity`, the key that it was made for"
        ) from None
    except OSError:
        if ends.first is None:
            raise OpsError("The backup was changed or cut off: it does not decrypt") from None
    if isinstance(ends.first, zstandard.ZstdError):
        raise OpsError(f"The backup does not decompress: {ends.first}")
    ends.raise_first()


class _Ends:
    """Both ends of what the library moves. It tells errors of ours as its own, in words alone, and
    those of its last write not at all; the first is kept here."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        self._read, self._write = read, write
        self.first: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        return bytes(self._try(lambda: self._read(size)))

    def write(self, data: bytes) -> int:
        self._try(lambda: self._write(data))
        return len(data)

    def flush(self) -> None: ...

    def raise_first(self) -> None:
        if self.first:
            raise self.first

    def _try(self, what: Callable[[], T]) -> T:
        try:
            return what()
        except BaseException as error:
            self.first = self.first or error
            raise OSError(str(error)) from error


class Sum:
    """Counts and hashes what passes to the next, in larger pieces than it comes."""

    def __init__(self, write: Callable[[bytes], object] | None = None) -> None:
        self._write = write
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.bytes += len(data)
        if self._write:
            self._waiting += data
            if len(self._waiting) >= BLOCK:
                self.flush()
        return len(data)

    def flush(self) -> None:
        if self._write and self._waiting:
            self._write(bytes(self._waiting))
            self._waiting.clear()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@dataclass
class Tapped:
    """A reader whose bytes are hashed as they pass."""

    source: Reader
    total: Writer

    def read(self, size: int = -1) -> bytes:
        data = self.source.read(size)
        self.total.write(data)
        return data
