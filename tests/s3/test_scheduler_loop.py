"""The timetable in its own container: a real PostgreSQL, drives that are volumes, S3 by moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rollout.retention import Series
from rollout.scheduler import PORT, REPORT
from tests.e2e.world import docker, wait_until
from tests.s3.backup_site import SCHEDULED, Site, standing, start_scheduler
from tests.s3.site import PASSWORD
from tests.s3.store import Near

ASK = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{PORT}').read().decode())"


@pytest.fixture(scope="module")
def site(near: Near, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing(near.moto, tmp_path_factory.mktemp("checkout"), SCHEDULED) as found:
        start_scheduler(found, near.network, ("python3", "-m", "ops.scheduler"))
        yield found


def inside(site: Site, *command: str) -> str:
    return docker("exec", site.place.names.scheduler, *command, check=False)


def report(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(site, "cat", REPORT) or "{}")
    return found


def log(site: Site) -> str:
    return docker("logs", site.place.names.scheduler)


def test_without_its_configuration_it_says_so_and_lives(site: Site) -> None:
    wait_until(lambda: report(site).get("wrong"), lambda: log(site))
    assert "scheduler.json: No such file or directory" in report(site)["wrong"]


def test_an_empty_store_gets_its_first_backups_and_they_are_proved(site: Site) -> None:
    site.tell(site.settings)
    wait_until(lambda: "prune" in report(site).get("last", {}), lambda: log(site))
    told = report(site)
    assert all(last["ok"] for last in told["last"].values()), log(site)
    assert told["kinds"]["dump"]["proved"]
    assert told["places"] == {"drive1": "", "drive2": "", "bucket": ""}
    assert {f.series for f in site.folders()} == {
        Series.MONTHLY,
        Series.MEDIA,
        Series.APPLICATION,
    }
    assert PASSWORD not in log(site)


def test_its_metrics_say_so(site: Site) -> None:
    said = inside(site, "python3", "-c", ASK)
    assert 'ytempire_backup_task_success{task="dump"} 1.0' in said
    assert 'ytempire_backup_place_up{place="bucket"} 1.0' in said


def test_it_stops_when_it_is_told_and_makes_nothing_twice_afterwards(site: Site) -> None:
    name, before = site.place.names.scheduler, site.folders()
    docker("stop", "--time", "30", name)
    assert docker("inspect", name, "-f", "{{.State.ExitCode}}").strip() == "0"
    docker("start", name)
    wait_until(lambda: report(site).get("wrong"), lambda: log(site))
    site.tell(site.settings)
    wait_until(lambda: "prune" in report(site).get("last", {}), lambda: log(site))
    assert site.folders() == before
    assert list(report(site)["last"]) == ["prune"]
