"""The keys of the store's identities: each user gets another, and the one before is deleted.

The engine makes the new key before it deletes the old one, and remembers what it still has to
delete: a run that was cut off is gone on with by the next.
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ops.engine import Engine
from ops.errors import OpsError
from ops.verbs._exit import Failed
from ops.verbs._paper import OK, paint, say
from ops.verbs._place import Place
from ops.verbs._store import configured
from rollout.credentials import STORE_KEYS, rotated
from rollout.names import STORE
from rollout.settings import Backups

KIND = "aws:iam/accessKey:AccessKey"

Keys = dict[str, dict[str, str]]


def rotate(place: Place) -> None:
    """Needs what `pulumi up` of the store needs: credentials that may make keys."""
    engine = Engine(place.root, f"{place.stack}{STORE}")
    before: Keys = engine.secret_output("keys")
    settings = configured(place)
    engine.replace(KIND, place.file.path)
    now: Keys = engine.secret_output("keys")
    users = {f"{settings.bucket}-{identity}": key for identity, key in sorted(now.items())}
    for user, key in users.items():
        _require_only(settings, user, key["id"])
    old = {key["id"] for key in before.values()}
    if old & {key["id"] for key in now.values()}:
        raise Failed("A key is the one that it was. Next: `ytops secrets rotate backupKeys`")
    say(f"{paint(OK, 'green')} {', '.join(users)} have other keys; the old ones are deleted")
    _hand_over(users, f"{place.stack}{STORE}")
    held = {STORE_KEYS: json.dumps(now)} if STORE_KEYS in place.file.values() else {}
    moment = rotated([STORE_KEYS], datetime.now(UTC))
    Engine(place.root, place.stack).configure(held, moment)
    if held:
        say(f"  {place.file.name} has them: commit it. Next: `ytops up`, for the scheduler")


def _require_only(settings: Backups, user: str, key: str) -> None:
    """AWS knows this key of the user's, and no other."""
    iam: Any = boto3.client(
        "iam", endpoint_url=settings.endpoint or None, region_name=settings.region
    )
    try:
        found = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except (BotoCoreError, ClientError) as error:
        raise OpsError(f"The keys of {user} can't be listed: {error}") from None
    strange = sorted({one["AccessKeyId"] for one in found} - {key})
    if strange:
        raise Failed(
            f"{user} has another key, that this did not make: {', '.join(strange)}\nNext: "
            f"`aws iam delete-access-key --user-name {user} --access-key-id {strange[0]}`"
        )


def _hand_over(users: dict[str, dict[str, str]], stack: str) -> None:
    """To the profiles of this machine, and in words to whoever has others."""
    default = Path.home() / ".aws" / "credentials"
    file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or default)
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    edited = text
    for user, key in users.items():
        edited = exchanged(edited, user, key["id"], key["secret"])
    if edited != text:
        aside = file.with_name(f"{file.name}.{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(edited, encoding="utf-8")
        aside.replace(file)
        say(f"  their profiles in {file} have them")
    say(
        "  where else the backup job runs: "
        f"`pulumi stack output keys --show-secrets --stack {stack}`"
    )


def exchanged(text: str, profile: str, key_id: str, secret: str) -> str:
    """An AWS credentials file with another key in one profile; without that profile as it was."""
    values = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    lines, inside = text.splitlines(keepends=True), False
    for index, line in enumerate(lines):
        if line.lstrip().startswith("["):
            inside = line.strip() == f"[{profile}]"
        found = re.match(r"(\s*(\w+)\s*=\s*)", line)
        if inside and found and found[2] in values:
            lines[index] = f"{found[1]}{values[found[2]]}\n"
    return "".join(lines)
