"""One version everywhere."""

from __future__ import annotations

import re

import pytest

from toolchain import versions
from toolchain.places import CHECKOUT

GO_MOD = (CHECKOUT / "toolchain" / "go" / "go.mod").read_text()
REQUIREMENTS = (CHECKOUT / "requirements.txt").read_text()


@pytest.mark.parametrize("module", ["pkg", "sdk"])
def test_go_builds_the_cli_of_the_version_that_we_name(module: str) -> None:
    assert f"github.com/pulumi/pulumi/{module}/v3 v{versions.PULUMI}" in GO_MOD


@pytest.mark.parametrize("upstream", [versions.DOCKER_PROVIDER, versions.AWS_PROVIDER])
def test_go_names_the_providers_that_we_copy(upstream: versions.Upstream) -> None:
    assert f"{upstream.module} {upstream.version}" in GO_MOD
    assert f"replace {upstream.module} => ./upstream/{upstream.folder}" in GO_MOD


def test_go_asks_for_the_oldest_go_that_we_accept() -> None:
    assert f"\ngo {'.'.join(map(str, versions.GO_MINIMUM))}\n" in GO_MOD


def test_go_wheel_is_recent_enough() -> None:
    wheel = tuple(map(int, versions.GO_WHEEL.partition("==")[2].split(".")))
    assert wheel >= versions.GO_MINIMUM


@pytest.mark.parametrize(
    ("package", "version"),
    [("pulumi", versions.PULUMI), *((f"pulumi-{k}", v) for k, v in versions.PLUGINS.items())],
)
def test_python_package_has_the_version_of_its_plugin(package: str, version: str) -> None:
    pinned = re.search(rf"^{package}==(\S+)", REQUIREMENTS, re.M)
    assert pinned is not None
    assert pinned[1] == version
