"""How long a deploy, a rollback and a run with nothing to do take, and what users see of them.

`python -m bench.deploy [ROUNDS]` makes a stack of its own, alternates two releases under a constant
load, and prints medians side by side from one run. Machines differ and are noisy: read the ratios.
The watch (3 s here) is part of each switch, and is named beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.load import Load
from tests.e2e.world import World

WATCH_SECONDS = 3
NUMBER = 61  # apart from the stacks of the tests


@dataclass
class Row:
    """One kind of run: its seconds, and the requests sent and failed while it ran."""

    name: str
    seconds: list[float] = field(default_factory=list)
    sent: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    def measure(self, world: World, *command: str) -> None:
        with Load(world.port) as load:
            outcome = world.run(*command, check=True)
        self.seconds.append(outcome.seconds)
        self.sent += len(load.answers)
        self.failed += len(load.failures)
        self.latencies += [answer.seconds * 1000 for answer in load.answers]

    def __str__(self) -> str:
        p99 = statistics.quantiles(self.latencies, n=100)[98]
        return (
            f"| {self.name} | {statistics.median(self.seconds):.1f} | {self.failed} of {self.sent} "
            f"| {statistics.median(self.latencies):.0f} | {p99:.0f} | {max(self.latencies):.0f} |"
        )


def main(rounds: int) -> None:
    nothing, deploy, rollback = Row("nothing to do"), Row("deploy"), Row("rollback")
    with tempfile.TemporaryDirectory() as folder:
        world = World("bench", Path(folder) / "project", NUMBER, {"watchSeconds": WATCH_SECONDS})
        world.create()
        try:
            world.run("ytops", "up", "1.0.0", check=True)
            for turn in range(rounds):
                nothing.measure(world, "ytops", "up")
                deploy.measure(world, "ytops", "up", "1.2.0" if turn % 2 else "1.1.0")
                rollback.measure(world, "ytops", "rollback")
        finally:
            world.destroy()
    print(f"\nwatch {WATCH_SECONDS} s, {rounds} rounds, medians; latencies in ms\n")
    print("| run | seconds | failed | p50 | p99 | max |\n| --- | --- | --- | --- | --- | --- |")
    print(*(nothing, deploy, rollback), sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
