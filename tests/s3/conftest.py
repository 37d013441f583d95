"""S3 by moto, on a port of its own; the backup bucket on it, made once by the real engine and the
real AWS provider (a minute: the provider waits until lifecycle rules have settled)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.sketch import Sketch
from tests.e2e.world import wait_until
from tests.s3.store import CREDENTIALS, LOGS, PROGRAM, REGION, SECONDS, Moto, Store


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """These tests stand on the real things; without them they fail, they don't skip."""
    for tool in ("pulumi", "npm"):
        if shutil.which(tool) is None:
            pytest.exit(f"{tool} is not on PATH. Run `make s3`, or `source .env.sandbox` first.", 3)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **CREDENTIALS})
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), f"moto does not answer: {log.name}")
        yield Moto(address)
    finally:
        server.terminate()
        server.wait(10)
        log.close()


@pytest.fixture(scope="module")
def store(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Both buckets, declared and made."""
    _log_bucket(moto)
    folder: Path = tmp_path_factory.mktemp("store")
    made = Store(Sketch(folder, seconds=SECONDS), moto)
    made.sketch.create(PROGRAM)
    outcome = made.up()
    assert outcome.ok, outcome.text
    return made


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/moto-api/").status_code == 200
    except httpx.TransportError:
        return False


def _log_bucket(moto: Moto) -> None:
    """Somebody else's bucket, which takes access logs."""
    s3 = moto.client("s3")
    s3.create_bucket(Bucket=LOGS, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_acl(Bucket=LOGS, ACL="log-delivery-write")
