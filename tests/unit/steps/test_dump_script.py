"""The dump's shell script, played by a real shell on a folder; PostgreSQL's programs are stand-ins
(tests/e2e has the real ones)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ops.steps.backup import KEPT, SCRIPT

STAND_INS = {
    "psql": 'while [ "$1" != -o ]; do shift; done; echo 2 >"$2"',
    "pg_dump": 'while [ "$1" != --file ]; do shift; done; echo data >"$2"; exit "${FAILS:-0}"',
    "pg_restore": 'while [ "$1" != --file ]; do shift; done; yes " TABLE DATA " | head -n 2 >"$2"',
}
RELEASE = "1.1.0+bbbbbbbbbbbb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    found = tmp_path / "dumps"
    found.mkdir()
    return found


def _play(folder: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    programs = folder.with_name("programs")
    own = {"NAME": name, "LIVE": "1.0.0", "PGDATABASE": "app"}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    script = SCRIPT.replace("/backups", str(folder)).replace("/tmp/tables", f"{programs}/tables")
    return subprocess.run(
        ["sh", "-c", script], text=True, capture_output=True, timeout=60,
        env={**os.environ, **own, **variables, "PATH": path},
    )  # fmt: skip


def _dump(day: int) -> str:
    return f"202601{day:02}T030405Z-{RELEASE}.dump"


def _fill(folder: Path, days: range) -> None:
    for day in days:
        for name in (_dump(day), f"{_dump(day)}.sha256"):
            (folder / name).touch()


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _with_sums(days: range) -> list[str]:
    return sorted(name for day in days for name in (_dump(day), f"{_dump(day)}.sha256"))


def test_the_newest_ones_are_kept_with_their_sums(folder: Path) -> None:
    _fill(folder, range(1, KEPT + 3))
    assert _play(folder, _dump(31)).returncode == 0
    assert _names(folder) == [*_with_sums(range(4, KEPT + 3)), *_with_sums(range(31, 32))]


def test_a_dump_never_removes_itself_though_its_clock_was_set_back(folder: Path) -> None:
    _fill(folder, range(10, 10 + KEPT))
    played = _play(folder, _dump(1))
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"result name {_dump(1)}\n" in played.stdout
    assert _names(folder) == [*_with_sums(range(1, 2)), *_with_sums(range(11, 10 + KEPT))]


def test_others_files_are_left_alone(folder: Path) -> None:
    _fill(folder, range(1, KEPT + 3))
    (folder / "notes.txt").touch()
    _play(folder, _dump(31))
    assert (folder / "notes.txt").exists()


def test_one_that_fails_leaves_nothing_and_removes_nothing(folder: Path) -> None:
    _fill(folder, range(1, KEPT + 3))
    before = _names(folder)
    played = _play(folder, _dump(31), FAILS="3")
    assert (played.returncode, played.stdout) == (3, "pg_dump failed with exit code 3\n")
    assert _names(folder) == before


def test_what_a_killed_one_left_half_done_goes(folder: Path) -> None:
    (folder / f"{_dump(1)}.partial").touch()
    _play(folder, _dump(2))
    assert _names(folder) == _with_sums(range(2, 3))
