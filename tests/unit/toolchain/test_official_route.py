"""Route 1 takes nothing that it has not verified, and says why it was not taken."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toolchain import versions
from toolchain.errors import RouteError
from toolchain.places import Tools
from toolchain.routes import official

ARCHIVE = f"/{official.archive_name()}"
# Notes what it is asked, and makes the file that a real `plugin install` would.
CLI = """#!/bin/sh
echo "$*" >> "$PULUMI_HOME.asked"
folder="$PULUMI_HOME/plugins/resource-$4-$5"
mkdir -p "$folder" && touch "$folder/pulumi-resource-$4"
"""
CHECKSUMS = f"/pulumi-{versions.PULUMI}-checksums.txt"


def archive(script: str = CLI) -> bytes:
    """`pulumi/pulumi` and its language host, packed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("pulumi", "pulumi-language-python"):
            entry = tarfile.TarInfo(f"pulumi/{name}")
            entry.mode, entry.size = 0o755, len(script)
            tar.addfile(entry, io.BytesIO(script.encode()))
    return packed.getvalue()


def release(content: bytes | None = None) -> dict[str, bytes]:
    """A whole release: the archive and the checksums beside it."""
    content = archive() if content is None else content
    line = f"{hashlib.sha256(content).hexdigest()}  {official.archive_name()}\n"
    return {f"/{official.archive_name()}": content, CHECKSUMS: line.encode()}


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[str]:
    """Serve these paths; the others are not found."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the route is to fill."""
    made = tmp_path / "tools"
    made.mkdir()
    return made


def fill(folder: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the route against a server with these files."""
    with served(files) as base:
        monkeypatch.setenv("YTEMPIRE_PULUMI_RELEASES", base)
        official.fill(folder, folder)


def test_release_becomes_a_bin_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, release(), monkeypatch)
    found = sorted(p.name for p in (folder / "bin").iterdir())
    assert found == ["pulumi", "pulumi-language-python"]
    assert not (folder / official.archive_name()).exists()


def test_plugins_are_installed_by_the_cli_at_their_versions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder, release(), monkeypatch)
    for name, version in versions.PLUGINS.items():
        assert Tools(folder).plugin(name, version).exists()


def test_mirror_of_the_plugins_is_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YTEMPIRE_PLUGIN_SERVER", "https://mirror.example")
    fill(folder, release(), monkeypatch)
    asked = (folder / "home.asked").read_text().splitlines()
    assert asked[0] == "plugin install resource docker v5.2.0 --server https://mirror.example"


def test_wrong_checksum_keeps_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = release() | {ARCHIVE: b"tampered"}
    with pytest.raises(RouteError, match=r"has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fill(folder, files, monkeypatch)
    assert list(folder.iterdir()) == []


def test_pinned_checksum_wins_over_the_published_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(versions.CLI_SHA256, official.archive_name(), "0" * 64)
    with pytest.raises(RouteError, match=r"expected 0{64}"):
        fill(folder, release(), monkeypatch)


@pytest.mark.parametrize("missing", [ARCHIVE, CHECKSUMS])
def test_missing_file_is_named(folder: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path: content for path, content in release().items() if path != missing}
    with pytest.raises(RouteError, match=f"{missing}: HTTP 404$"):
        fill(folder, files, monkeypatch)


def test_archive_of_another_layout_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RouteError, match="can't be unpacked"):
        fill(folder, release(b"not an archive"), monkeypatch)


def test_refused_connection_is_a_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "YTEMPIRE_PULUMI_RELEASES", f"http://127.0.0.1:{closed.getsockname()[1]}"
        )
    with pytest.raises(RouteError, match="Connection refused"):
        official.fill(folder, folder)


def test_plugin_that_can_not_be_installed_closes_the_route(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RouteError, match="installing the docker plugin failed with status 1"):
        fill(folder, release(archive("#!/bin/sh\nexit 1\n")), monkeypatch)
