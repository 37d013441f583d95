"""docs/benchmark.md and its chart, from the results of one run. Pure but for `write`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chart import Bar, render
from bench.figures import AFTER_SECONDS, STEADY_SECONDS, Change, Kind, Latency, Run, slope

FLOOR, OURS = "floor", ("ytops", "pulumi")
TITLES = {
    FLOOR: "**floor**: shell, by hand",
    "ytops": "**`ytops`**",
    "pulumi": "**`pulumi up`**",
    "manual": "the manual's way",
    "rollout": "docker-compose rollout",
    "swarm": "Swarm `start-first`",
    "watched": "`ytops`, watching 30 s",
}
DEPLOY_GOAL_SECONDS = 4.0
ROLLBACK_GOAL_SECONDS = 3.0
SMALL_GOAL_SECONDS = 4.0
P99_GOAL = 1.5
# A small slope: a host with a hundred containers more would wait about two seconds longer.
SLOPE_GOAL = 0.02


@dataclass(frozen=True)
class Row:
    """One contender's deploys or rollbacks, all rounds together: medians, and sums of requests."""

    contender: str
    rounds: int
    switched: float
    seconds: float
    sent: int
    failed: int
    flips: Sequence[int]
    steady: Latency
    during: Latency
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Goal:
    """`met` None: this run did not measure it."""

    goal: str
    figure: str
    met: bool | None


class Results:
    """What one run measured."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.about = results
        self.changes = [_change(each) for each in results["changes"]]
        self.runs = [Run(**each) for each in results["runs"]]

    def rows(self, kind: Kind) -> dict[str, Row]:
        """By contender, in the order of the titles."""
        found = {}
        for name in TITLES:
            changes = [c for c in self.changes if c.contender == name and c.kind == kind]
            if changes:
                found[name] = _row(name, changes)
        return found

    def small(self, what: str, of: int = 0) -> Run | None:
        """The medians of one kind of run."""
        runs = [run for run in self.runs if run.what == what and run.of == of]
        if not runs:
            return None
        return Run(
            what,
            of,
            statistics.median(run.seconds for run in runs),
            statistics.median(run.cpu_seconds for run in runs),
            statistics.median(run.memory_mb for run in runs),
        )

    def sizes(self, what: str) -> list[Run]:
        """The same for each size that it was measured with."""
        sizes = sorted({run.of for run in self.runs if run.what == what})
        return [run for size in sizes if (run := self.small(what, size))]


def write(results: dict[str, Any], folder: Path) -> None:
    """Page and chart."""
    read = Results(results)
    (folder / "benchmark.md").write_text(page(read))
    (folder / "benchmark.svg").write_text(chart(read))


def chart(results: Results) -> str:
    rollbacks = results.rows("rollback")
    bars = [
        Bar(
            _plain(TITLES[name]),
            (row.switched, row.seconds),
            (rollbacks[name].switched, rollbacks[name].seconds),
            row.failed + rollbacks[name].failed,
        )
        for name, row in results.rows("deploy").items()
        if name in rollbacks
    ]
    return render(bars)


def page(results: Results) -> str:
    about = results.about
    parts = [
        "# Deploys, side by side",
        f"Written by `make bench` ({about['started'][:10]}, {about['rounds']} rounds, "
        f"{about['minutes']:.0f} minutes). All contenders run the whole product from the same "
        "images on one Docker engine, in turn; the others' containers are paused meanwhile. "
        f"{about['rate']} new connections a second go through each one's nginx, before, during "
        "and after. Seconds are medians of the rounds. Machines differ: read the ratios.",
        "![Seconds until all traffic is on the new release](benchmark.svg)",
        "## Deploy",
        _changes(results.rows("deploy")),
        "## Rollback",
        _changes(results.rows("rollback")),
        LEGEND,
        *_problems(about["problems"]),
        "## Goals",
        "Judged by this run.",
        goals_table(goals(results)),
        "## Runs without a change",
        "The whole program with the policy pack on, files warm.",
        _small(results),
        "## Growth",
        GROWTH,
        _growth(results),
        "## Who does what",
        CONTENDERS,
        "## The machine",
        "\n".join(f"- {key}: {value}" for key, value in about["machine"].items()),
    ]
    return "\n\n".join(parts) + "\n"


LEGEND = f"""\
*all-new*: from the command's start until every later request was answered by the new release.
*times*: all-new, against the floor's. *failed*: of all requests from the command's start to
{AFTER_SECONDS:.0f} s after its end, in all rounds. *flips*: how often another release answered than
the time before, each round; one is right. *p99, max*: of requests sent while the command ran (and
until all-new), medians of the rounds; max is the worst of all. *steady*: the
{STEADY_SECONDS:.0f} s before it. *CPU, MB*: of the tool's own processes; what Docker does for it is
in neither. MB is the peak of their resident sets added up, so that shared pages count more than
once."""

GROWTH = """\
*containers*: a program that declares so many sleeping containers as ours declares each of its
own, with the same look at the host, provider and policies. *releases*: the product's stack, whose
host remembers so many releases and deploys (the agent itself keeps ten and those in use; a
hundred never happens by itself). Slopes are seconds for each one more."""

CONTENDERS = """\
- **floor** (`bench/floor.sh`): our steps in our order with nothing but `docker`: dump, migrate,
  app, workers, switch, flush. Polls every 100 ms. No plan, no record, no lock, no verification,
  no way back.
- **`ytops`, `pulumi up`**: `watchSeconds: 0`, to compare with those that don't watch; one row has
  the default watch. Each deploy is of a release that is in no slot. Back is `ytops rollback`, or
  the stack file edited and `pulumi up`. The stack is not protected: where one is, as in
  production, `ytops up` has a preview before that ("Runs without a change").
- **the manual's way** (`bench/manual.sh`): dump, migrate, compose recreates app, workers and
  beat, `FLUSHALL`. Its rollback takes everything down, as 5.4 does. It polls where the manual
  sleeps 30 s.
- **docker-compose rollout** (`bench/rollout.sh`): app scaled to two, health, nginx's list of
  servers changed, a drain of 2 s, the old one removed. Added as its users script it: dump,
  migrations, recreated workers, cache, the list. Back is the same with the old version, without
  the first two.
- **Swarm** (`bench/swarm.sh`): `service update` with `start-first`, behind nginx by DNS (the
  routing mesh needs IPVS). Added: dump, migrations, cache. Workers and beat stop first, or there
  were two.

The app server preloads: it listens when it can answer. The health check runs every 2 s for all
who use Docker's; the floor asks the app itself."""


def goals(results: Results) -> list[Goal]:
    """The issue's, each with the figure that decides."""
    deploys, rollbacks = results.rows("deploy"), results.rows("rollback")
    found: list[Goal] = []
    for name in OURS:
        found += [
            _near_floor(f"deploy ({name})", deploys, name, DEPLOY_GOAL_SECONDS),
            _near_floor(f"rollback ({name})", rollbacks, name, ROLLBACK_GOAL_SECONDS),
        ]
    changes = [rows[name] for rows in (deploys, rollbacks) for name in OURS if name in rows]
    return [*found, *_users(changes), *_small_goals(results), *_slopes(results)]


def _near_floor(what: str, rows: dict[str, Row], name: str, allowed: float) -> Goal:
    goal = f"{what} ≤ floor + {allowed:.0f} s"
    if FLOOR not in rows or name not in rows:
        return Goal(goal, "", None)
    ours, floor = rows[name].switched, rows[FLOOR].switched
    figure = f"{ours:.1f} s, floor {floor:.1f} s: + {ours - floor:.1f} s"
    return Goal(goal, figure, ours - floor <= allowed)


def _users(rows: list[Row]) -> list[Goal]:
    """What ours cost whoever used the product meanwhile."""
    if not rows:
        return []
    failed, sent = sum(row.failed for row in rows), sum(row.sent for row in rows)
    flips = sorted({count for row in rows for count in row.flips})
    worst = max(rows, key=lambda row: row.during.p99 / row.steady.p99)
    ratio = worst.during.p99 / worst.steady.p99
    return [
        Goal("0 failed requests", f"{failed} of {sent}", not failed),
        Goal("answers flip exactly once", f"{_list(flips)} in each change", flips == [1]),
        Goal(
            f"p99 during a change ≤ {P99_GOAL} times steady",
            f"at worst {worst.during.p99:.0f} ms against {worst.steady.p99:.0f} ms: "
            f"{ratio:.1f} times ({worst.contender})",
            ratio <= P99_GOAL,
        ),
    ]


def _small_goals(results: Results) -> Iterable[Goal]:
    for what in ("preview", "nothing to do"):
        run = results.small(what)
        goal = f"{what} ≤ {SMALL_GOAL_SECONDS:.0f} s"
        if run is None:
            yield Goal(goal, "", None)
        else:
            yield Goal(goal, f"{run.seconds:.1f} s", run.seconds <= SMALL_GOAL_SECONDS)


def _slopes(results: Results) -> Iterable[Goal]:
    for what in ("containers", "releases"):
        for run in ("preview", "nothing to do"):
            goal = f"{run} grows by ≤ {SLOPE_GOAL * 1000:.0f} ms with each of the {what}"
            sizes = results.sizes(f"{what}: {run}")
            if len(sizes) < 2:
                yield Goal(goal, "", None)
            else:
                steep = slope((size.of, size.seconds) for size in sizes)
                yield Goal(goal, f"{steep * 1000:.1f} ms", steep <= SLOPE_GOAL)


def _changes(rows: dict[str, Row]) -> str:
    floor = rows[FLOOR].switched if FLOOR in rows else None
    lines = [
        (
            TITLES[name] + ("" if row.rounds > 1 else " (once)"),
            f"{row.switched:.1f}",
            f"{row.switched / floor:.1f}" if floor else "-",
            f"{row.seconds:.1f}",
            f"{row.failed} of {row.sent}",
            _list(row.flips),
            f"{row.steady.p50:.0f} / {row.steady.p99:.0f}",
            f"{row.during.p50:.0f} / {row.during.p99:.0f} / {row.during.max:.0f}",
            f"{row.cpu_seconds:.1f}",
            f"{row.memory_mb:.0f}",
        )
        for name, row in rows.items()
    ]
    heads = (
        "", "all-new s", "times", "command s", "failed", "flips", "steady p50 / p99 ms",
        "change p50 / p99 / max ms", "CPU s", "MB",
    )  # fmt: skip
    return table(heads, lines)


def _problems(problems: list[str]) -> list[str]:
    """Who failed is in no table from then on, so it is said."""
    if not problems:
        return []
    firsts = [f"- {problem.splitlines()[0]}" for problem in problems]
    return ["Left out of this run, from when it failed:", "\n".join(firsts)]


def goals_table(found: list[Goal]) -> str:
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    return table(("goal", "figure", ""), [(g.goal, g.figure, verdicts[g.met]) for g in found])


def _small(results: Results) -> str:
    commands = {
        "preview": "`pulumi preview`",
        "nothing to do": "`pulumi up --skip-preview`, nothing to do",
        "ytops preview": "`ytops preview`",
        "ytops up, nothing to do": "`ytops up`, nothing to do",
    }
    runs = [(title, results.small(what)) for what, title in commands.items()]
    return table(("", "s", "CPU s", "MB"), [(title, *_cost(run)) for title, run in runs if run])


def _growth(results: Results) -> str:
    lines = []
    for what in ("containers", "releases"):
        for name in ("preview", "nothing to do"):
            sizes = results.sizes(f"{what}: {name}")
            if len(sizes) > 1:
                cells = [f"{s.of}: {s.seconds:.1f} s, {s.memory_mb:.0f} MB" for s in sizes]
                steep = slope((size.of, size.seconds) for size in sizes)
                lines.append((f"{what}, {name}", *cells, f"{steep * 1000:.1f} ms"))
    return table(("", "", "", "", "slope"), lines)


def _cost(run: Run) -> tuple[str, str, str]:
    return f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.memory_mb:.0f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list(counts: Iterable[int]) -> str:
    return ", ".join(map(str, counts))


def _plain(title: str) -> str:
    return title.replace("*", "").replace("`", "")


def _row(contender: str, changes: list[Change]) -> Row:
    return Row(
        contender=contender,
        rounds=len(changes),
        switched=statistics.median(c.switched for c in changes),
        seconds=statistics.median(c.seconds for c in changes),
        sent=sum(c.sent for c in changes),
        failed=sum(c.failed for c in changes),
        flips=[c.flips for c in changes],
        steady=_latency([c.steady for c in changes]),
        during=_latency([c.during for c in changes]),
        cpu_seconds=statistics.median(c.cpu_seconds for c in changes),
        memory_mb=statistics.median(c.memory_mb for c in changes),
    )


def _latency(each: list[Latency]) -> Latency:
    return Latency(
        statistics.median(latency.p50 for latency in each),
        statistics.median(latency.p99 for latency in each),
        max(latency.max for latency in each),
    )


def _change(found: dict[str, Any]) -> Change:
    latencies = {name: Latency(**found[name]) for name in ("steady", "during")}
    return Change(**{**found, **latencies})
