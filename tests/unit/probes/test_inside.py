"""The programs that run on the host: here on this machine, whose /proc is as real."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from ops.probes._on_host import INSIDE
from ops.probes.inside import load, reach
from tests.unit.checkout import Site

BEFORE = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1\n"


def run(program: str, *arguments: str) -> Any:
    """As in the container: the text on stdin, an empty environment."""
    done = subprocess.run(
        [sys.executable, "-I", "-", *arguments],
        input=(INSIDE / f"{program}.py").read_text(),
        capture_output=True, check=True, text=True, env={},
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("after", "percent"),
    [
        ("cpu  140 0 130 725 105 0 0 0 0 0", 70.0),
        ("cpu  100 0 100 750 150 0 0 0 0 0", 0.0),
        ("cpu  150 0 150 700 100 0 0 0 50 50", 100.0),
        (BEFORE, 100.0),
    ],
    ids=["some", "waiting for disks is idle", "guests are counted once", "no time passed"],
)
def test_the_cpu_is_busy_between_two_readings(after: str, percent: float) -> None:
    assert load.busy(load.ticks(BEFORE), load.ticks(after)) == percent


def test_memory_that_can_be_had_is_free() -> None:
    meminfo = "MemTotal:       1000 kB\nMemFree:   10 kB\nMemAvailable:    590 kB\n"
    assert load.used(meminfo) == 41.0


def test_this_machine_s_load_is_measured() -> None:
    found = run("load", "0.2", "/", "/proc")
    assert 0 <= found["cpu"] <= 100
    assert 0 < found["memory"] < 100
    assert 0 < found["free"]["/"] <= 100
    assert found["free"]["/proc"] == 0.0
    assert abs(found["at"] - time.time()) < 60


def test_an_endpoint_that_answers_anything_is_reached(site: Site) -> None:
    site.pages["/v2/"] = 401
    (found,) = run("reach", "5", f"registry={site.url}/v2/")
    assert (found["name"], found["url"]) == ("registry", f"{site.url}/v2/")
    assert abs(found["clock"]) < 5
    assert [path for path, *_ in site.heard] == ["/v2/"]


def test_each_failure_has_its_words() -> None:
    refused, unknown = run("reach", "2", "a=http://127.0.0.1:1/", "b=https://no.such.invalid/")
    assert refused["error"] == "can't be reached (Connection refused)"
    assert unknown["error"].startswith("is not known to DNS (")


def test_a_clock_that_nobody_told_is_unknown() -> None:
    assert reach._ahead("") is None
    assert reach._ahead("yesterday") is None
