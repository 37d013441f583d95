"""A look at the host: what is not there to see is unknown, never nothing."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.docker import Answer, Container, Docker
from ops.errors import OpsError
from ops.observe import observe
from rollout.edge import ACTIVE_CONF, TURNED, render_active, side
from rollout.names import Names, node
from rollout.shapes import Pointer
from rollout.state import HostState, Pending, Workers, WorkerState
from tests.unit.switch.fakes import BLUE, GREEN, NEW, OLD, host_state

NAMES = Names("test")
OLD_SIDE = side(BLUE, OLD, "172.30.0.66")
NEW_SIDE = side(GREEN, NEW, "172.30.0.67")


class FakeDocker(Docker):
    """A host of files, containers and volumes; `switch` says whether the switch's container is
    there, `volumes` whether its volumes are."""

    def __init__(self) -> None:
        super().__init__("unix:///fake")
        self.switch, self.volumes, self.nginx = True, True, True
        self.files = {"control/state.json": host_state().model_dump_json()}
        self.active = {ACTIVE_CONF: render_active(OLD_SIDE, 4, "load")}
        self.link = ""
        self.crews = ""
        self.calls: list[tuple[str, ...]] = []
        self.used = "nginx:1"

    def call(self, *arguments: str, **_: Any) -> Answer:
        self.calls.append(arguments)
        if arguments[:2] == ("volume", "ls"):
            return Answer(0, f"other\n{NAMES.volume('control')}\n" if self.volumes else "other\n")
        if arguments[0] == "ps":
            return Answer(0, self.crews if "--all" not in arguments else self.used)
        return Answer(0, "" if arguments[0] == "image" else "id")

    def inspect(self, container: str) -> Container | None:
        there = self.nginx if container == NAMES.edge else self.switch
        return Container(container, "running") if there else None

    def spawn(self, arguments: Sequence[str], *rest: Any) -> Any:
        container, _, path = arguments[1].partition(":")
        stand_in = container.startswith(NAMES.part("look"))
        if not (stand_in or self.switch):
            return Ended(1, b"", b"Error: No such container: " + container.encode())
        if path == "/control":
            return Ended(0, archive(self.files), b"")
        return Ended(0, archive(self.active, {TURNED: self.link} if self.link else {}), b"")


class Ended(subprocess.Popen[bytes]):
    def __init__(self, code: int, out: bytes, error: bytes) -> None:
        self.returncode, self._out, self._error = code, out, error

    def communicate(self, *_: Any, **__: Any) -> tuple[bytes, bytes]:
        return self._out, self._error

    def __del__(self) -> None:
        pass


def archive(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return packed.getvalue()


@pytest.fixture
def docker() -> FakeDocker:
    return FakeDocker()


def report(age: float = 0, **busy: int | None) -> str:
    """What the agent last wrote: the jobs of OLD's workers `one` and `two`."""
    at = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    names = dict(zip(("one", "two"), NAMES.workers(OLD.identity, 2), strict=True))
    heard = {
        node(names[key]): WorkerState(
            node=node(names[key]), identity=OLD.identity, queues=(), busy=jobs
        )
        for key, jobs in busy.items()
    }
    return Workers(at=at, workers=heard).model_dump_json()


# Who is busy


@pytest.fixture
def crewed(docker: FakeDocker) -> FakeDocker:
    """Both workers of OLD run."""
    docker.crews = "".join(f"{n} {OLD.identity}\n" for n in NAMES.workers(OLD.identity, 2))
    return docker


def busy(docker: FakeDocker, text: str) -> frozenset[str]:
    docker.files["control/workers.json"] = text
    return observe(docker, NAMES).view.busy


def test_workers_that_say_they_have_no_jobs_are_idle(crewed: FakeDocker) -> None:
    assert busy(crewed, report(one=0, two=0)) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        report(one=0, two=3),
        report(one=0, two=None),
        report(one=0),
        report(age=120, one=0, two=0),
        "not whole yet",
        "",
    ],
    ids=["busy", "does not say", "is silent", "report is old", "report is broken", "no report"],
)
def test_anything_else_means_that_they_may_have_some(crewed: FakeDocker, text: str) -> None:
    assert busy(crewed, text) == {OLD.identity}


def test_workers_without_a_container_have_no_jobs(docker: FakeDocker) -> None:
    assert busy(docker, report(one=3)) == frozenset()


# Where traffic goes


@pytest.mark.parametrize(
    ("files", "link", "pointer"),
    [
        (["before", "after-x"], "after-x", GREEN),
        (["before", "after-x"], "before", BLUE),
        (["before", "after-x"], "", BLUE),
        (["before"], "after-x", BLUE),
    ],
    ids=["turned", "announced", "link lost", "link to nothing"],
)
def test_traffic_is_where_the_link_turns_it(
    docker: FakeDocker, files: list[str], link: str, pointer: Pointer
) -> None:
    text = render_active(OLD_SIDE, 5, "load", after=NEW_SIDE, turn="after-x")
    docker.active = {ACTIVE_CONF: text, **{f"active/{name}": "" for name in files}}
    docker.link = link
    assert observe(docker, NAMES).view.edge == pointer


def test_an_unconfirmed_switch_counts_as_undone(docker: FakeDocker) -> None:
    docker.active = {ACTIVE_CONF: render_active(NEW_SIDE, 5, "load")}
    pending = Pending(token="t", serial=5, source=BLUE, target=GREEN, who="ann", since="2026")
    state = host_state().model_copy(update={"pending": pending})
    docker.files["control/state.json"] = state.model_dump_json()
    assert observe(docker, NAMES).view.edge == BLUE


@pytest.mark.parametrize("text", ["", '# active: {"serial": 4, "pointer": null}\n'])
def test_an_include_that_the_agent_will_write_anew_counts_as_written(
    docker: FakeDocker, text: str
) -> None:
    docker.active = {ACTIVE_CONF: text}
    assert observe(docker, NAMES).view.edge == BLUE


# A switch that was lost


@pytest.fixture
def lost(docker: FakeDocker) -> FakeDocker:
    """Its container is gone; nginx and the volumes are there."""
    docker.switch = False
    return docker


def test_a_lost_switch_leaves_its_volumes_to_read(lost: FakeDocker) -> None:
    view = observe(lost, NAMES).view
    assert (view.state, view.edge) == (host_state(), BLUE)


def test_what_they_are_read_with_never_runs_and_is_removed(lost: FakeDocker) -> None:
    observe(lost, NAMES)
    (create,) = (call for call in lost.calls if call[0] == "create")
    mounts = [word for word in create if word.startswith("--volume=")]
    assert mounts == ["--volume=ytempire-test-vol-control:/control:ro,nocopy"]
    assert create[-1] == "nginx:1"
    name = next(word.partition("=")[2] for word in create if word.startswith("--name="))
    assert ("rm", "--force", "--volumes", name) in lost.calls
    assert not any(call[0] in ("start", "run") for call in lost.calls)


def test_an_empty_volume_is_a_host_without_a_release(lost: FakeDocker) -> None:
    lost.files, lost.active = {}, {}
    assert observe(lost, NAMES).view.state == HostState()


def test_without_a_volume_a_host_is_empty(lost: FakeDocker) -> None:
    lost.volumes = lost.nginx = False
    assert observe(lost, NAMES).view.edge is None


def test_an_nginx_that_nobody_knows_about_is_no_empty_host(lost: FakeDocker) -> None:
    lost.volumes = False
    with pytest.raises(OpsError, match=r"nobody knows which release serves.*restore that volume"):
        observe(lost, NAMES)


def test_without_any_image_the_next_command_is_said(lost: FakeDocker) -> None:
    lost.used = ""
    with pytest.raises(OpsError, match=r"no image is there to read its volume.*`docker pull`"):
        observe(lost, NAMES)


def test_the_new_release_of_a_lost_switch_is_known_too(lost: FakeDocker) -> None:
    assert NEW.identity in observe(lost, NAMES).view.state.releases
