"""A real nginx, where there is one: answers flip from one release to the other exactly once."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.switch.config import SystemClock
from ops.switch.edge import Edge
from ops.switch.probes import Answer
from rollout.edge import EDGE_ROOT, RUN_SH, TURNED, EdgeConfig, render_nginx
from rollout.names import ACCESS_LOG_PORT, EDGE_HTTP_PORT, EDGE_STATUS_PORT
from rollout.shapes import Pointer, Release
from tests.e2e.load import turns
from tests.unit.switch.fakes import BLUE, GREEN, NEW, OLD, config

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx here")

SLOW_SECONDS = 1.0


class App(ThreadingHTTPServer):
    """Answers with the identity of its release; `/slow` in a while."""

    def __init__(self, identity: str, address: str) -> None:
        self.identity = identity
        super().__init__((address, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: App

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)
        body = self.server.identity.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Asked:
    """One request on a connection of its own."""

    sent: float
    came: float
    shown: str
    served: str


def ask(port: int, path: str = "/") -> Asked:
    sent, connection = time.monotonic(), HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        served = answer.read().decode()
        return Asked(sent, time.monotonic(), answer.headers["X-Release"], served)
    finally:
        connection.close()


@dataclass
class Nginx:
    """nginx under its own script, with an edge folder that an `Edge` writes."""

    folder: Path
    port: int
    status_port: int
    edge: Edge = field(init=False)
    log: socket.socket = field(init=False)
    releases: dict[str, Release] = field(init=False)

    def status(self, path: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.status_port, timeout=1)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Answer(answer.status, {}, answer.read().decode())
        finally:
            connection.close()

    @property
    def errors(self) -> list[str]:
        lines = (self.folder / "nginx.err").read_text().splitlines()
        return [line for line in lines if any(f"[{w}]" in line for w in ("crit", "error", "emerg"))]

    def logged(self) -> list[str]:
        """What the watch is told: `serial release` of each request since."""
        self.log.setblocking(False)
        lines = []
        while True:
            try:
                lines.append(self.log.recv(2048).decode())
            except BlockingIOError:
                return [" ".join(line.partition("edge: ")[2].split()[:2]) for line in lines]

    @contextmanager
    def load(self) -> Iterator[list[Asked]]:
        """Some askers, who hardly pause."""
        asked: list[Asked] = []
        stop = threading.Event()

        def go() -> None:
            while not stop.wait(0.002):
                asked.append(ask(self.port))

        with ThreadPoolExecutor(4) as askers:
            running = [askers.submit(go) for _ in range(4)]
            try:
                yield asked
                time.sleep(0.2)
            finally:
                stop.set()
        for one in running:
            one.result()  # raises if a request failed


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    assert NGINX
    made = Nginx(tmp_path, free_port(), free_port())
    made.log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.log.bind(("127.0.0.1", 0))
    settings = config(tmp_path, app_subnet="127.0.0.0/24")
    apps = [App(p.identity, settings.address(p.colour)) for p in (BLUE, GREEN)]
    made.releases = {
        release.identity: replace(release, port=app.port)
        for release, app in zip((OLD, NEW), apps, strict=True)
    }
    made.edge = Edge(settings, made, SystemClock())
    (settings.edge_path / "nginx.conf").write_text(_conf(made))
    (settings.edge_path / "run.sh").write_text(RUN_SH.replace("/tmp/", f"{tmp_path}/"))
    made.edge.point(BLUE, made.releases[OLD.identity], 4)
    with (tmp_path / "nginx.err").open("wb") as errors:
        process = subprocess.Popen(
            ["sh", str(settings.edge_path / "run.sh")],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={"PATH": f"{Path(NGINX).parent}:/usr/bin:/bin"},
        )
        try:
            made.edge.confirm(made.edge.point(BLUE, made.releases[OLD.identity], 4))
            yield made
        finally:
            process.terminate()
            process.wait(10)
            made.log.close()
            for app in apps:
                app.shutdown()
                app.server_close()


def _conf(made: Nginx) -> str:
    text = render_nginx(
        EdgeConfig(
            domain="ytempire.test",
            app_subnet="127.0.0.0/24",
            switch_address="127.0.0.1",
            tls=False,
        )
    )
    for old, new in (
        ("/tmp/", f"{made.folder}/"),
        (EDGE_ROOT, str(made.folder / "edge")),
        (f"listen {EDGE_HTTP_PORT}", f"listen 127.0.0.1:{made.port}"),
        (f"listen {EDGE_STATUS_PORT}", f"listen 127.0.0.1:{made.status_port}"),
        (f":{ACCESS_LOG_PORT}", f":{made.log.getsockname()[1]}"),
    ):
        assert old in text
        text = text.replace(old, new)
    # As in the container: master and workers are one user, who may read the folder.
    return f"user root;\n{text}" if os.geteuid() == 0 else text


def flips(asked: list[Asked]) -> list[str]:
    """The releases that answered, in turn."""
    return turns((one.sent, one.came, one.served) for one in asked)


def switch(nginx: Nginx, source: Pointer, target: Pointer, serial: int) -> None:
    nginx.edge.confirm(nginx.edge.announce(source, target, nginx.releases, serial))
    nginx.edge.turn()


def test_a_switch_and_the_way_back_flip_once_each(nginx: Nginx) -> None:
    with nginx.load() as asked:
        switch(nginx, BLUE, GREEN, 5)
        time.sleep(0.2)
        nginx.edge.turn_back()
        nginx.edge.confirm(nginx.edge.point(BLUE, nginx.releases[OLD.identity], 5))
    assert flips(asked) == [OLD.identity, NEW.identity, OLD.identity]
    assert all(one.shown == one.served for one in asked)
    assert not nginx.errors


def test_a_switch_its_end_and_a_rollback_flip_once_each(nginx: Nginx) -> None:
    with nginx.load() as asked:
        switch(nginx, BLUE, GREEN, 5)
        nginx.edge.confirm(nginx.edge.point(GREEN, nginx.releases[NEW.identity], 5))
        switch(nginx, GREEN, BLUE, 6)
        nginx.edge.confirm(nginx.edge.point(BLUE, nginx.releases[OLD.identity], 6))
    assert flips(asked) == [OLD.identity, NEW.identity, OLD.identity]
    assert all(one.shown == one.served for one in asked)
    assert not nginx.errors


def test_what_is_under_way_keeps_its_side_to_the_end(nginx: Nginx) -> None:
    nginx.edge.confirm(nginx.edge.announce(BLUE, GREEN, nginx.releases, 5))
    nginx.logged()
    slow: list[Asked] = []
    thread = threading.Thread(target=lambda: slow.append(ask(nginx.port, "/slow")))
    thread.start()
    time.sleep(SLOW_SECONDS / 2)
    nginx.edge.turn()
    quick = ask(nginx.port)
    thread.join()
    assert (quick.shown, quick.served) == (NEW.identity, NEW.identity)
    assert (slow[0].shown, slow[0].served) == (OLD.identity, OLD.identity)
    time.sleep(0.1)
    assert nginx.logged() == [f"5 {NEW.identity}", f"5 {OLD.identity}"]


def test_without_its_link_an_announcement_is_none(nginx: Nginx) -> None:
    switch(nginx, BLUE, GREEN, 5)
    (nginx.folder / "edge" / TURNED).unlink()
    assert ask(nginx.port).served == OLD.identity
    active = nginx.edge.active()
    assert active
    assert active.pointer == BLUE


def test_what_nginx_refuses_itself_is_counted_for_the_side_that_serves(nginx: Nginx) -> None:
    switch(nginx, BLUE, GREEN, 5)
    time.sleep(0.1)
    nginx.logged()
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        assert f"X-Release: {NEW.identity}".encode() in connection.recv(4096)
    time.sleep(0.1)
    assert nginx.logged() == [f"5 {NEW.identity}"]


def test_nginx_tells_when_its_new_processes_accept_alone(nginx: Nginx) -> None:
    load = nginx.edge.point(GREEN, nginx.releases[NEW.identity], 5)
    for _ in range(100):
        if nginx.status("/accepting").body.strip() == load:
            break
        time.sleep(0.02)
    else:
        pytest.fail("it did not tell")
    assert {ask(nginx.port).served for _ in range(20)} == {NEW.identity}


def test_nginx_does_not_tell_of_a_reload_that_it_refused(nginx: Nginx) -> None:
    conf = nginx.folder / "edge" / "nginx.conf"
    conf.write_text(conf.read_text().replace("worker_processes", "broken; worker_processes", 1))
    load = nginx.edge.point(GREEN, nginx.releases[NEW.identity], 5)
    time.sleep(1)
    assert nginx.status("/accepting").body.strip() != load
    assert ask(nginx.port).served == OLD.identity
    assert nginx.edge.draining()
