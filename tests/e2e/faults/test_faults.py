"""Whatever breaks in the middle of a change, users don't notice, and one run brings it back."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest

from tests.e2e.faults.catalogue import Fault, catalogue
from tests.e2e.faults.conftest import Stages
from tests.e2e.faults.scene import Scene


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    faults = _chosen(metafunc.config)
    metafunc.parametrize("fault", faults, ids=[fault.id for fault in faults])


def _chosen(config: pytest.Config) -> list[Fault]:
    """The bounded ones, all, or those that match; of these the share of this process."""
    wanted = config.getoption("faults", default="bounded")
    share, _, of = config.getoption("share", default="1/1").partition("/")
    found = [fault for fault in catalogue() if _is_wanted(fault, wanted)]
    return found[int(share) - 1 :: int(of)]


def _is_wanted(fault: Fault, wanted: str) -> bool:
    if wanted in ("all", "bounded"):
        return wanted == "all" or fault.bounded
    return bool(re.search(wanted, fault.id))


def test_one_run_brings_the_system_back_and_users_see_no_more_than_the_restart(
    fault: Fault, stages: Stages
) -> None:
    stage = stages.of(fault.remote)
    with stage.remote.entered() if stage.remote else nullcontext():
        Scene(stage, fault).play()
