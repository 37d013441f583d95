"""Tools are whole or absent, are made once, and come by the first route that works."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import places, tools
from toolchain.errors import RouteError, ToolchainError


class Fake:
    """A route that does as it is told, and counts."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure, self.calls, self.found = failure, 0, [""]

    def __call__(self, checkout: Path, folder: Path) -> None:
        self.calls += 1
        self.found = sorted(p.name for p in folder.iterdir())
        (folder / f"made-{self.calls}").touch()
        if self.failure:
            raise self.failure


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """Two routes that work."""
    fakes = {"official": Fake(), "registries": Fake()}
    monkeypatch.setattr(tools, "ROUTES", fakes)
    return fakes


def test_first_route_that_works_is_taken(checkout: Path, routes: dict[str, Fake]) -> None:
    assert tools.ensure(checkout) == "by the official route"
    assert routes["registries"].calls == 0


def test_next_route_is_taken_and_the_reason_told(checkout: Path, routes: dict[str, Fake]) -> None:
    routes["official"].failure = RouteError("no answer")
    assert tools.ensure(checkout).startswith("by the registries route, because no answer (20")


def test_second_run_finds_the_work_done(checkout: Path, routes: dict[str, Fake]) -> None:
    tools.ensure(checkout)
    assert tools.ensure(checkout) == "already here, by the official route"
    assert routes["official"].calls == 1


def test_interrupted_build_leaves_nothing_in_place(checkout: Path, routes: dict[str, Fake]) -> None:
    routes["official"].failure = ToolchainError("interrupted")
    with pytest.raises(ToolchainError):
        tools.ensure(checkout)
    assert tools.installed(checkout) is None


def test_refused_route_leaves_nothing_behind(checkout: Path, routes: dict[str, Fake]) -> None:
    routes["official"].failure = RouteError("no answer")
    tools.ensure(checkout)
    folders = [p.name for p in places.cache_root().iterdir() if p.is_dir()]
    assert folders == [tools.location(checkout, "registries").name]


def test_next_build_goes_on_where_the_interrupted_one_stopped(
    checkout: Path, routes: dict[str, Fake]
) -> None:
    routes["official"].failure = ToolchainError("interrupted")
    with pytest.raises(ToolchainError):
        tools.ensure(checkout)
    routes["official"].failure = None
    tools.ensure(checkout)
    assert routes["official"].found == ["made-1"]


def test_refusal_is_remembered_while_the_next_route_is_unfinished(
    checkout: Path, routes: dict[str, Fake]
) -> None:
    routes["official"].failure = RouteError("no answer")
    routes["registries"].failure = ToolchainError("interrupted")
    for _ in range(2):
        with pytest.raises(ToolchainError, match="interrupted"):
            tools.ensure(checkout)
    assert (routes["official"].calls, routes["registries"].calls) == (1, 2)


def test_no_route_names_every_reason_and_forgets_them(
    checkout: Path, routes: dict[str, Fake]
) -> None:
    for name, fake in routes.items():
        fake.failure = RouteError(f"no {name}")
    with pytest.raises(ToolchainError, match=r"(?s)official: no official.*registries: no regist"):
        tools.ensure(checkout)
    assert not tools.Refusals(checkout).known


def test_asked_route_is_the_one_taken(checkout: Path, routes: dict[str, Fake]) -> None:
    assert tools.ensure(checkout, "registries") == "by the registries route, as asked"
    assert routes["official"].calls == 0
