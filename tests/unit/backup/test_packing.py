"""A file on its way: back as it was, or refused; and an error of either end is told as it was."""

from __future__ import annotations

import io
import os

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.backup.packing import KeyMistake, Sum, identity, new_key, pack, recipient, unpack
from ops.backup.shell import BLOCK
from ops.errors import OpsError

SECRET, PUBLIC = new_key()


def packed(plain: bytes) -> bytes:
    target = io.BytesIO()
    pack(io.BytesIO(plain), target, [recipient(PUBLIC)])
    return target.getvalue()


def unpacked(body: bytes, secret: str = SECRET) -> bytes:
    target = io.BytesIO()
    unpack(io.BytesIO(body), target, identity(secret))
    return target.getvalue()


def test_an_older_backup_is_opened_by_the_older_of_two_keys() -> None:
    newer, public = new_key()
    both = f"{newer} {SECRET}"
    assert unpacked(packed(b"old"), both) == b"old"
    assert str(identity(both).to_public()) == public


@given(st.binary(max_size=200_000))
def test_it_comes_back_as_it_was(plain: bytes) -> None:
    assert unpacked(packed(plain)) == plain


def test_it_is_smaller_and_not_in_the_clear() -> None:
    plain = b"one row like the other\n" * 100_000
    body = packed(plain)
    assert len(body) < len(plain) / 100
    assert b"row" not in body


@pytest.mark.parametrize("at", [0, 300, -1])
def test_a_changed_byte_is_found(at: int) -> None:
    body = bytearray(packed(os.urandom(100_000)))
    body[at] ^= 1
    with pytest.raises(OpsError):
        unpacked(bytes(body))


def test_one_that_was_cut_off_is_found() -> None:
    body = packed(os.urandom(300_000))
    with pytest.raises(OpsError, match="changed or cut off"):
        unpacked(body[: len(body) // 2])


def test_what_is_not_compressed_is_told() -> None:
    target = io.BytesIO()
    pyrage.encrypt_io(io.BytesIO(b"rows" * 99), target, [recipient(PUBLIC)])
    with pytest.raises(OpsError, match="does not decompress"):
        unpacked(target.getvalue())


def test_another_key_opens_nothing() -> None:
    with pytest.raises(OpsError, match="can't be opened with this key"):
        unpacked(packed(b"rows"), new_key()[0])


def test_what_is_no_key_is_told_and_not_repeated() -> None:
    with pytest.raises(KeyMistake, match="backupIdentity: expected an age identity") as caught:
        identity("my-secret")
    assert "my-secret" not in str(caught.value)
    with pytest.raises(KeyMistake, match="backupRecipients: expected age recipients"):
        recipient("age1")


class Full:
    """A place that takes no more."""

    def write(self, data: bytes) -> None:
        raise OpsError("No space left on device")


@pytest.mark.parametrize("size", [4, 1_000_000])
def test_a_place_s_own_words_come_through(size: int) -> None:
    """Also of the last write of all, whose errors the library keeps to itself."""
    with pytest.raises(OpsError, match=r"^No space left on device$"):
        pack(io.BytesIO(os.urandom(size)), Full(), [recipient(PUBLIC)])


@pytest.mark.parametrize("size", [4, 1_000_000])
def test_a_server_that_takes_no_more_is_told(size: int) -> None:
    with pytest.raises(OpsError, match=r"^No space left on device$"):
        unpack(io.BytesIO(packed(os.urandom(size))), Full(), identity(SECRET))


def test_a_sum_passes_on_in_larger_pieces_and_loses_none() -> None:
    pieces: list[bytes] = []
    total = Sum(pieces.append)
    for _ in range(3 * BLOCK // 1000):
        total.write(b"x" * 1000)
    total.flush()
    assert b"".join(pieces) == b"x" * total.bytes
    assert len(pieces) <= 4
