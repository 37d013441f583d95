"""Pulumi's lock: a dead owner's is cleared, any other is refused with who, when and what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from ops.engine import Engine
from ops.stackfile import PROJECT
from ops.verbs import _pulumi_lock as lock
from ops.verbs._exit import Refused

HERE = socket.gethostname()


def now() -> str:
    return datetime.now(UTC).isoformat()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def engine(backend: str = "s3://bucket") -> Engine:
    fake: Engine = create_autospec(Engine, instance=True, backend=backend)
    fake.stack = "sandbox"
    return fake


def test_the_locks_of_this_stack_alone_are_read_from_a_file_backend(tmp_path: Path) -> None:
    for stack in ("sandbox", "production"):
        folder = tmp_path / ".pulumi" / "locks" / "organization" / "ytempire" / stack
        folder.mkdir(parents=True)
        body = {"pid": 7, "username": stack, "hostname": "vm", "timestamp": now()}
        (folder / "8ed9.json").write_text(json.dumps(body))
        (folder / "8ed9.json.attrs").write_text("{}")
        (folder / "torn.json").write_text("{")
    found = lock.read(f"file://{tmp_path}", "ytempire", "sandbox")
    assert found is not None
    assert [(entry.who, entry.pid) for entry in found] == [("sandbox", 7)]


def test_other_backends_do_not_show_their_locks() -> None:
    assert lock.read("s3://bucket", "ytempire", "sandbox") is None


def test_the_owner_is_read_off_the_complaint_of_the_cli() -> None:
    errors = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) "
        "to end or delete the lock file with `pulumi cancel`.\n  s3://b/.pulumi/locks/x.json: "
        "created by root@vm (pid 3354) at 2026-11-22T16:32:33Z"
    )
    assert lock.parse(errors) == [lock.PulumiLock("root", "vm", 3354, "2026-11-22T16:32:33Z")]


def test_a_living_process_is_alive() -> None:
    assert lock.PulumiLock("me", HERE, os.getpid(), now()).owner() == "alive"


def test_a_process_that_is_gone_is_dead() -> None:
    assert lock.PulumiLock("me", HERE, dead_pid(), now()).owner() == "dead"


def test_a_process_that_began_after_the_lock_has_only_inherited_the_number() -> None:
    assert lock.PulumiLock("me", HERE, os.getpid(), "2020-01-01T00:00:00Z").owner() == "dead"


def test_of_another_machine_nothing_is_known() -> None:
    assert lock.PulumiLock("me", "elsewhere", 1, now()).owner() == "elsewhere"


def test_a_stranded_lock_is_cancelled_with_a_line_that_says_so() -> None:
    said: list[str] = []
    stranded = lock.PulumiLock("ana", HERE, dead_pid(), "2026-11-22T11:00:00Z")
    lock.clear_stranded([stranded], fake := engine(), said.append)
    fake.cancel.assert_called_once_with()  # type: ignore[attr-defined]
    assert said[0].startswith(f"Pulumi's lock was stranded by ana@{HERE} (process {stranded.pid})")
    assert said[0].endswith("which is gone: cleared.")


def test_a_cut_attribute_file_goes_before_the_lock_is_cancelled(tmp_path: Path) -> None:
    """With it, `pulumi cancel` can't read the state either."""
    cut = tmp_path / ".pulumi" / "stacks" / PROJECT / "sandbox.json.attrs"
    cut.parent.mkdir(parents=True)
    cut.touch()
    there: list[bool] = []
    fake = engine(f"file://{tmp_path}")
    fake.cancel.side_effect = lambda: there.append(cut.exists())  # type: ignore[attr-defined]
    lock.clear_stranded([lock.PulumiLock("ana", HERE, dead_pid(), now())], fake, print)
    assert there == [False]


def test_a_living_owner_is_left_alone_and_named() -> None:
    mine = lock.PulumiLock("ana", HERE, os.getpid(), now())
    with pytest.raises(Refused) as caught:
        lock.clear_stranded([mine], fake := engine(), print)
    fake.cancel.assert_not_called()  # type: ignore[attr-defined]
    message = str(caught.value)
    assert message.startswith(
        f"Another run is under way: Pulumi's lock is held by ana@{HERE} (process {os.getpid()})"
    )
    assert f"`kill -INT {os.getpid()}`" in message


def test_one_owner_elsewhere_protects_all_locks() -> None:
    locks = [
        lock.PulumiLock("ana", HERE, dead_pid(), now()),
        lock.PulumiLock("ben", "desk", 1, now()),
    ]
    with pytest.raises(Refused, match="Next: look on desk; when it is gone, `pulumi cancel"):
        lock.clear_stranded(locks, fake := engine(), print)
    fake.cancel.assert_not_called()  # type: ignore[attr-defined]
