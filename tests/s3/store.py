"""S3 by moto, and a project whose program declares two backup buckets there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config

from tests.e2e.sketch import Sketch
from tests.e2e.world import Outcome, wait_until

REGION = "us-west-2"
ACCOUNT = "123456789012"  # moto's
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LOGS = "access-logs"
# Of nobody: moto takes any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}

# `plain` as the sandbox has it, `full` with everything that is optional.
PROGRAM = f"""
    import dataclasses
    from components.backup_bucket import BackupBucket, BackupBucketArgs, provider
    from rollout.settings import Backups

    settings = Backups.model_validate({{
        "backupRegion": "{REGION}", "backupBucket": "plain", "backupEndpoint": os.environ["MOTO"],
        "backupKmsKey": "", "backupObjectLock": True, "backupLogBucket": "",
        "backupPrunePercent": 25, "backupDrives": [], "backupRecipients": [], "backupIdentity": "",
        "backupKeys": "",
        "backupOnDeploy": True,
    }})
    opts = ResourceOptions(providers=[provider(settings)])
    plain = BackupBucketArgs.of(settings, protect=False)
    full = dataclasses.replace(
        plain, bucket="full", kms_key="{KEY}", object_lock=False, log_bucket="{LOGS}"
    )
    for args in (plain, full):
        pulumi.export(args.bucket, BackupBucket(args.bucket, args, opts).keys)
"""
# The provider waits 55 s for the lifecycle rules of both, at once; the rest is this machine's load.
SECONDS = 300


@dataclass(frozen=True)
class Moto:
    """The server's address, and its process."""

    address: str
    process: int

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


@dataclass(frozen=True)
class Near:
    """A server that containers reach, too, and the network on which they do."""

    moto: Moto
    network: str


@contextmanager
def serving(host: str, log: Path) -> Iterator[Moto]:
    """A server on a port of its own, at an address of this machine."""
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    address = f"http://{host}:{port}"
    with log.open("wb") as out:
        environment = {**os.environ, **CREDENTIALS}
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        try:
            wait_until(lambda: _answers(address), f"moto does not answer: {log}")
            yield Moto(address, server.pid)
        finally:
            server.terminate()
            server.wait(10)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/moto-api/").status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class Store:
    """A project whose program declares the two buckets, and the server that they are on."""

    sketch: Sketch
    moto: Moto

    def run(self, *arguments: str) -> Outcome:
        return self.sketch.run(*arguments, MOTO=self.moto.address, **CREDENTIALS)

    def up(self, *arguments: str) -> Outcome:
        return self.run("up", "--yes", "--skip-preview", *arguments)
