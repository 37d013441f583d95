"""The last step of a file that goes to several places."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from ops.backup.place import Written
from ops.backup.writing import _Fan
from ops.errors import OpsError

WAIT_SECONDS = 10


@dataclass
class Syncing:
    """Ends only when the others are about to end, too. `why`: how it fails then."""

    together: threading.Barrier
    why: str = ""
    told: list[str] = field(default_factory=list)

    def write(self, data: bytes) -> object:
        return len(data)

    def finish(self) -> Written:
        self.together.wait(WAIT_SECONDS)
        if self.why:
            raise OpsError(self.why)
        return Written(sha256="sum")

    def abort(self) -> None:
        self.told.append("aborted")


def test_all_places_sync_at_once_and_one_that_fails_leaves_the_others() -> None:
    together = threading.Barrier(2)
    whole, full = Syncing(together), Syncing(together, "no space left")
    fan = _Fan({"drive1": whole, "drive2": full}, {})
    fan.finish("sum")
    assert (fan.lost, list(fan.files)) == ({"drive2": "no space left"}, ["drive1"])
    assert (whole.told, full.told) == ([], ["aborted"])


def test_a_place_that_has_something_else_is_left() -> None:
    fan = _Fan({"drive1": Syncing(threading.Barrier(1))}, {})
    with pytest.raises(OpsError, match="has SHA-256 sum, not another"):
        fan.finish("another")
