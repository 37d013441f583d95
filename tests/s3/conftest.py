"""S3 by moto, on a port of its own; the backup bucket on it, made once by the real engine and the
real AWS provider (a minute: the provider waits until lifecycle rules have settled)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sketch import Sketch
from tests.e2e.world import docker
from tests.s3.store import LOGS, PROGRAM, REGION, SECONDS, Moto, Near, Store, serving


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """These tests stand on the real things; without them they fail, they don't skip."""
    for tool in ("pulumi", "npm"):
        if shutil.which(tool) is None:
            pytest.exit(f"{tool} is not on PATH. Run `make s3`, or `source .env.sandbox` first.", 3)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with serving("127.0.0.1", tmp_path_factory.mktemp("moto") / "log") as found:
        yield found


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Near]:
    """On the gateway of a network that was made for it."""
    name = f"ytempire-moto-{os.getpid()}"
    docker("network", "create", name)
    try:
        gateway = docker("network", "inspect", name, "-f", "{{(index .IPAM.Config 0).Gateway}}")
        with serving(gateway.strip(), tmp_path_factory.mktemp("moto") / "log") as found:
            yield Near(found, name)
    finally:
        docker("network", "rm", name, check=False)


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


def _log_bucket(moto: Moto) -> None:
    """Somebody else's bucket, which takes access logs."""
    s3 = moto.client("s3")
    s3.create_bucket(Bucket=LOGS, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_acl(Bucket=LOGS, ACL="log-delivery-write")
