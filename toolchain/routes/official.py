"""Route 1: the released CLI, which then installs the released plugins.

`YTEMPIRE_PULUMI_RELEASES` names a mirror of the CLI's release folder, and
`YTEMPIRE_PLUGIN_SERVER` one of the plugins'.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from toolchain import places, shell, versions
from toolchain.errors import RouteError, ToolchainError
from toolchain.places import Tools

RELEASES = "https://get.pulumi.com/releases/sdk"

# A mirror that answers does so at once; one that doesn't must not hold up the next route.
CONNECT_SECONDS = 3.0
READ_SECONDS = 60.0
CHUNK = 1 << 20


def fill(checkout: Path, folder: Path) -> None:
    """Download, verify, unpack, and let the CLI fetch its plugins."""
    base = os.environ.get("YTEMPIRE_PULUMI_RELEASES", RELEASES).rstrip("/")
    archive = archive_name()
    wanted = expected_sum(base, archive)
    download(f"{base}/{archive}", folder / archive, wanted)
    unpack(folder / archive, folder)
    install_plugins(Tools(folder))


def archive_name() -> str:
    """The archive for this machine, as releases name it."""
    system, machine = places.system()
    return f"pulumi-v{versions.PULUMI}-{system}-{machine}.tar.gz"


def expected_sum(base: str, archive: str) -> str:
    """The pinned checksum, or else the one that the release publishes."""
    if archive in versions.CLI_SHA256:
        return versions.CLI_SHA256[archive]
    url = f"{base}/pulumi-{versions.PULUMI}-checksums.txt"
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
            published: str = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise RouteError(f"{url}: {reason(error)}") from error
    for line in published.splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == archive:
            return digest.lower()
    raise RouteError(f"{url} doesn't list {archive}")


def download(url: str, target: Path, wanted: str) -> None:
    """Fetch a file whose SHA-256 is known."""
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=READ_SECONDS) as answer, target.open("wb") as out:
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise RouteError(f"{url}: {reason(error)}") from error
    if digest.hexdigest() != wanted:
        target.unlink()
        raise RouteError(
            f"{url} has SHA-256 {digest.hexdigest()}, expected {wanted}; nothing of it was kept"
        )


def reason(error: Exception) -> str:
    """The heart of a network error, without its wrapping."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__


def unpack(archive: Path, folder: Path) -> None:
    """Releases hold one folder, `pulumi/`, which becomes `bin/`."""
    scratch = folder / "unpacked"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # a patch release of 3.11 brought it
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(scratch)
    except (tarfile.TarError, OSError) as error:
        raise RouteError(f"{archive.name} can't be unpacked: {error}") from error
    if not (scratch / "pulumi" / "pulumi").exists():
        raise RouteError(f"{archive.name} holds no pulumi/pulumi")
    shutil.rmtree(folder / "bin", ignore_errors=True)
    (scratch / "pulumi").rename(folder / "bin")
    scratch.rmdir()
    archive.unlink()


def install_plugins(tools: Tools) -> None:
    """Ask the CLI for each plugin at its pinned version."""
    server = os.environ.get("YTEMPIRE_PLUGIN_SERVER")
    log = places.cache_root() / "logs" / "official.log"
    for name, version in versions.PLUGINS.items():
        cli = str(tools.bin / "pulumi")
        command = [cli, "plugin", "install", "resource", name, f"v{version}"]
        try:
            shell.run(
                [*command, *(["--server", server] if server else [])],
                label=f"installing the {name} plugin", log=log,
                env={"PULUMI_HOME": str(tools.home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
            )  # fmt: skip
        except ToolchainError as error:
            raise RouteError(error.message.splitlines()[0], log=error.log) from error
