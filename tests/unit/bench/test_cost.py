"""What a container uses, by its control group's files."""

from __future__ import annotations

import os
from pathlib import Path

from bench.backups.cost import Group, Watch


def test_processor_time_is_read_of_both_kinds_of_control_groups(tmp_path: Path) -> None:
    first, second = tmp_path / "cpuacct.usage", tmp_path / "cpu.stat"
    first.write_text("2500000000\n")
    second.write_text("usage_usec 2500000\nuser_usec 2000000\n")
    assert [Group(path, tmp_path).cpu_seconds for path in (first, second)] == [2.5, 2.5]


def test_the_peak_of_all_its_processes_is_seen_and_one_that_is_gone_is_none(tmp_path: Path) -> None:
    usage, processes = tmp_path / "cpuacct.usage", tmp_path / "cgroup.procs"
    usage.write_text("0")
    processes.write_text(f"{os.getpid()}\n999999999\n")
    group = Group(usage, processes)
    (size,) = filter(None, group.resident())
    with Watch((group, group), os.getpid()) as watch:
        usage.write_text("1000000000")
        while not watch.peak:
            pass
    assert watch.peak >= 1.5 * size
    assert watch.cpu_seconds == 2.0
    assert watch.store_cpu_seconds > 0
