"""`python3 -m bench.backups.upload`, in the scheduler's container: what lies on the first drive is
sent to the bucket once more, by the job's own code, and nothing else is done."""

from __future__ import annotations

from pathlib import Path

from ops.backup.shell import BLOCK
from ops.scheduler.desk import Desk, configured
from rollout.backups import DATABASE
from rollout.scheduler import drive


def main() -> None:
    found = Desk(configured(), print).looking(writes=True)
    assert found.bucket
    target = found.bucket.add("again")
    with next(Path(drive(0)).rglob(DATABASE)).open("rb") as source:
        while data := source.read(BLOCK):
            target.write(data)
    target.finish()


if __name__ == "__main__":
    main()
