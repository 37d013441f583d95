"""docs/benchmark-backups.md, from the results of runs. Pure but for `write`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.backups import figures
from bench.backups.figures import Kind, Run
from bench.backups.latency import Noticed, median_times
from bench.page import Goal, goals_table, table

NAME = "benchmark-backups.md"
OURS, LOCAL, MANUAL, PARALLEL = "ytops", "local", "manual", "parallel"
TITLES = {
    "dump": "`pg_dump` alone, to nowhere",
    MANUAL: "the manual's way",
    PARALLEL: "`pg_restore -j2`",
    LOCAL: "**ours**, drives only",
    OURS: "**ours**",
    "pgbackrest": "pgBackRest",
    "sealed": "pgBackRest, encrypted",
}
THROUGHPUT_GOAL = 2.0
MEMORY_GOAL_MB = 200.0
FLAT_GOAL = 1.1  # the largest database's memory against the smallest one's
RESTORE_GOAL = 0.9
P99_GOAL = 1.3
# What of a restore brings the rows back; the rest is proof and the change of places.
LOADING = ("read", "load")


class Size:
    """What was measured of one size of database."""

    def __init__(self, name: str, about: dict[str, Any]) -> None:
        self.name, self.about = name, about
        self._runs = figures.read(about["runs"])

    def rows(self, kind: Kind) -> dict[str, Run]:
        """The medians by contender, in the order of the titles."""
        found = {}
        for name in TITLES:
            runs = [run for run in self._runs if (run.kind, run.contender) == (kind, name)]
            if runs:
                found[name] = figures.median(runs)
        return found

    @property
    def megabytes(self) -> float:
        return self._runs[0].database_bytes / 1e6


def write(results: dict[str, Any], folder: Path) -> None:
    (folder / NAME).write_text(page(results))


def sizes(results: dict[str, Any]) -> list[Size]:
    """The smallest first."""
    found = (Size(name, about) for name, about in results["sizes"].items())
    return sorted(found, key=lambda size: float(size.name))


def page(results: dict[str, Any]) -> str:
    measured = sizes(results)
    names = ", ".join(size.name for size in measured)
    parts = [
        "# Backups, side by side",
        f"Written by `make bench-backups`; databases of {names} GB were measured. All contenders "
        "back up and restore the same database, in turn, on one machine; seconds are medians of "
        "the rounds. Machines differ: read the ratios.",
        "## Goals",
        goals_table([*goals(measured), *latency_goals(results)]),
        *(part for size in measured for part in _size(size)),
        *_latency(results),
        "## How to read it",
        LEGEND,
        "## Where the time goes",
        WHERE,
        "## Who does what",
        CONTENDERS,
        "## The machine",
        "\n".join(f"- {key}: {value}" for key, value in measured[-1].about["machine"].items()),
    ]
    return "\n\n".join(parts) + "\n"


LEGEND = """\
*MB/s*: of the database as it lies on its disk, indexes and all (`pg_database_size`). *ratio*: that
size against the result's. *CPU*: of all containers, PostgreSQL's work for the contender included;
the S3 server's is apart, because it shares the cores here and nowhere else. *memory*: the peak of
the resident sets of the contender's own processes added up, so that shared pages count more than
once; PostgreSQL's own processes are not in it."""

CONTENDERS = """\
- **`pg_dump` alone**: its output thrown away; no dump takes less.
- **the manual's way**: `pg_dump | gzip`, to a local file; back by `gunzip | psql`. Neither compares
  anything with anything, and a failure of `pg_dump` goes unseen.
- **ours**: the scheduler's job, in its container, with its default limits: `pg_dump` in a
  snapshot of which all rows are counted, its table of contents read on its way, zstd, age, SHA-256,
  two drives (each synced and read back) and S3 by moto, in parts with a checksum each. *Drives
  only*: without the bucket. Its own start, a Python program's, is 0.7 s of each figure. The S3
  server is a Python program, too, on the same cores; the upload by itself is measured apart.
- **pgBackRest** (Debian's): a full backup of the cluster's files to a local repository, zstd, as
  many processes as there are cores; one copy. Its restore is the files, and a server that recovers
  on them.
- **`pg_restore -j2`**: from a local file in PostgreSQL's custom format, into an empty database."""


WHERE = """\
Of the job with 0.5 GB, profiled by itself on this machine: `pg_dump` to nowhere 1.9 s; with zstd
2.4 s; with age and SHA-256 2.5 s; onto two drives, synced and read back, 3.1 s; and the program's
own start 0.7 s. Larger pipes between the programs change nothing. The upload goes on beside it.

A restore first reads the whole backup into a file beside the server, decrypts it and holds it
against its checksum; only then is the server given any of it ([decision
33](decisions/0033-a-restore-takes-the-database-s-place.md)). The load from that file is as fast as
`pg_restore` from a local file, because it is one. What comes before it passes through the program
that has the key, and through Docker's streams twice: that is what the goal is missed by, where it
is. pgBackRest copies files instead of making indexes anew; what it restores is the whole server,
and not a database beside the live one.

Users wait for a processor: on two cores `pg_dump`, the database's own work for it and zstd would
have both. The job's container therefore has a quarter of another's share
([decision 49](decisions/0049-users-come-before-backups.md)): with a whole one, in turn in the same
minutes, p99 was 66 and 78 ms where it was 40, 46 and 84 with the smaller."""


def goals(measured: list[Size]) -> Iterator[Goal]:
    """The issue's, each with the figure that decides."""
    for size in measured:
        yield from _backup_goals(size)
        yield from _restore_goals(size)
    yield from _memory_goals(measured)


def _backup_goals(size: Size) -> Iterator[Goal]:
    rows = size.rows("backup")
    manual = rows.get(MANUAL)
    for name, what in ((OURS, "backup"), (LOCAL, "backup to the drives only")):
        run = rows.get(name)
        if manual is None or run is None:
            continue
        times = manual.seconds / run.seconds
        goal = f"{size.name} GB: {what}, throughput ≥ {THROUGHPUT_GOAL:g} times the manual's"
        yield Goal(goal, f"{times:.2f} times", times >= THROUGHPUT_GOAL)
    if manual and OURS in rows:
        share = rows[OURS].result_bytes / manual.result_bytes
        goal = f"{size.name} GB: the same size as the manual's or smaller"
        yield Goal(goal, f"{share:.2f} times", share <= 1)


def _restore_goals(size: Size) -> Iterator[Goal]:
    rows = size.rows("restore")
    if OURS not in rows or PARALLEL not in rows:
        return
    ours, parallel = rows[OURS], rows[PARALLEL]
    loading = sum(ours.stages[stage] for stage in LOADING)
    share = parallel.seconds / loading
    words = (
        f"{share:.2f} times (the load alone {parallel.seconds / ours.stages['load']:.2f}, with "
        f"proof and swap {parallel.seconds / ours.seconds:.2f})"
    )
    goal = f"{size.name} GB: restore, read and loaded, ≥ {RESTORE_GOAL:g} times `pg_restore -j2`'s"
    yield Goal(goal, words, share >= RESTORE_GOAL)


def _memory_goals(measured: list[Size]) -> Iterator[Goal]:
    peaks = [rows[OURS].memory_mb for size in measured if OURS in (rows := size.rows("backup"))]
    if peaks:
        goal = f"memory of a backup < {MEMORY_GOAL_MB:g} MB"
        yield Goal(goal, f"{max(peaks):.0f} MB", max(peaks) < MEMORY_GOAL_MB)
    if len(peaks) > 1:
        growth = peaks[-1] / peaks[0]
        goal = f"the same at every size (the largest's ≤ {FLAT_GOAL:g} times the smallest's)"
        yield Goal(goal, f"{growth:.2f} times", growth <= FLAT_GOAL)


def latency_goals(results: dict[str, Any]) -> Iterator[Goal]:
    found = _noticed(results)
    goal = f"p99 of requests during a backup ≤ {P99_GOAL:g} times the steady one"
    if not found:
        yield Goal(goal, "", None)
        return
    times = median_times(found)
    yield Goal(goal, f"{times:.2f} times", times <= P99_GOAL)


def _latency(results: dict[str, Any]) -> Iterator[str]:
    found = _noticed(results)
    if not found:
        return
    about = results["latency"]
    yield "## What users notice"
    yield (
        f"The whole product, its database with {about['gigabytes']:g} GB more; {about['rate']} new "
        "connections a second through nginx, from the same machine. The scheduler's job dumps to "
        "the drives, again and again; without the S3 server, which would take the users' cores."
    )
    rows = [
        (
            f"{r.steady_p50:.0f} / {r.steady_p99:.0f}",
            f"{r.during_p50:.0f} / {r.during_p99:.0f}",
            f"{r.times:.2f}",
            f"{r.failed} of {r.sent}",
            f"{r.dumps}",
        )
        for r in found
    ]
    heads = ("steady p50 / p99 ms", "during p50 / p99 ms", "times", "failed", "dumps")
    yield table(heads, rows)


def _noticed(results: dict[str, Any]) -> list[Noticed]:
    return [Noticed(**each) for each in results.get("latency", {}).get("rounds", ())]


def _size(size: Size) -> Iterator[str]:
    about = size.about
    yield f"## {size.name} GB"
    yield (
        f"{size.megabytes:.0f} MB on the disk; {about['started'][:10]}, rounds: "
        f"{about['rounds']}, {about['minutes']:.0f} minutes."
    )
    yield _backups(size)
    yield _restores(size)
    yield from _stages(size)
    if about["problems"]:
        yield "Left out, from when it failed:"
        yield "\n".join(f"- {problem}" for problem in about["problems"])


def _backups(size: Size) -> str:
    rows = [
        (
            TITLES[name],
            *_speed(run),
            f"{run.result_bytes / 1e6:.0f}" if run.result_bytes else "-",
            f"{run.database_bytes / run.result_bytes:.1f}" if run.result_bytes else "-",
            *_cost(run),
        )
        for name, run in size.rows("backup").items()
    ]
    heads = ("backup", "s", "MB/s", "result MB", "ratio", "CPU s", "S3's CPU s", "memory MB")
    return table(heads, rows)


def _restores(size: Size) -> str:
    rows = [(TITLES[name], *_speed(r), *_cost(r)) for name, r in size.rows("restore").items()]
    return table(("restore", "s", "MB/s", "CPU s", "S3's CPU s", "memory MB"), rows)


def _stages(size: Size) -> Iterator[str]:
    """What the contender says itself of where its time went; what was measured apart."""
    kinds: tuple[tuple[Kind, str], ...] = (
        ("restore", "Our restore"),
        ("verify", "Our daily check"),
    )
    for kind, words in kinds:
        run = size.rows(kind).get(OURS)
        if run:
            told = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in run.stages.items())
            yield f"{words}, {run.seconds:.1f} s: {told}."
    other = size.rows("verify").get("pgbackrest")
    if other:
        yield f"`pgbackrest verify`, checksums alone: {other.seconds:.1f} s."
    upload = size.rows("upload").get(OURS)
    if upload:
        yield (
            f"The upload by itself, nothing else running: {upload.seconds:.1f} s, of which the S3 "
            f"server used {upload.store_cpu_seconds:.1f} s of a core."
        )


def _speed(run: Run) -> tuple[str, str]:
    return f"{run.seconds:.1f}", f"{run.rate:.0f}"


def _cost(run: Run) -> tuple[str, str, str]:
    return f"{run.cpu_seconds:.1f}", f"{run.store_cpu_seconds:.1f}", f"{run.memory_mb:.0f}"
