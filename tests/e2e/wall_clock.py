"""What the clock on the wall shows in Los Angeles, for whatever is started meanwhile.

Production's window has the manual's hours there and no others, and a test runs at any hour. No
clock is set: the zone lies elsewhere for a while, and records, backups and the host's history keep
their times.
"""

from __future__ import annotations

import os
import struct
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

ZONE = "America/Los_Angeles"


@contextmanager
def showing(hour: int, folder: Path) -> Iterator[None]:
    """`folder` gets the zone's file."""
    now = datetime.now(UTC)
    file = folder / ZONE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_zone((hour - now.hour) * 3600))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONTZPATH", os.pathsep.join([str(folder), *zoneinfo.TZPATH]))
        yield


def _zone(east: int) -> bytes:
    """A file as in /usr/share/zoneinfo (RFC 8536): one offset in seconds, at all times."""
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    return b"TZif" + bytes(16) + counts + struct.pack(">lBB", east, 0, 0) + b"TST\0"
