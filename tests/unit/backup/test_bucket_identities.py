"""Who the job is to the bucket: the identity of the work at hand, and nobody in particular else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.backup.bucket import client
from rollout.bucket_policies import Identity
from rollout.settings import Backups, SettingsError, load
from tests.unit.stack_files import raw

BACKUPS = load("sandbox", {**raw("sandbox"), "backupKeys": ""}).backups


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No credentials but those in a file of the test's own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path / "credentials"


def acts_as(identity: Identity, settings: Backups = BACKUPS) -> str:
    found = client(settings, identity)
    return str(found._request_signer._credentials.access_key)


def test_each_work_is_done_by_its_own_identity(nobody: Path) -> None:
    nobody.write_text(
        "".join(
            f"[{BACKUPS.bucket}-{identity}]\naws_access_key_id = {identity}\n"
            "aws_secret_access_key = x\n"
            for identity in Identity
        )
    )
    assert [acts_as(identity) for identity in Identity] == [str(i) for i in Identity]


def test_the_configured_keys_come_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    keys = {identity: {"id": f"key-of-{identity}", "secret": "x"} for identity in Identity}
    settings = BACKUPS.model_copy(update={"access_keys": json.dumps(keys)})
    assert [acts_as(i, settings) for i in Identity] == [f"key-of-{i}" for i in Identity]


def test_keys_of_another_form_are_a_mistake_that_shows_none_of_them() -> None:
    with pytest.raises(SettingsError) as caught:
        load("sandbox", {**raw("sandbox"), "backupKeys": '{"uploader": "hush-hush"}'})
    assert "backupKeys: expected the store's output `keys`" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_without_its_profile_the_environment_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert {acts_as(identity) for identity in Identity} == {"somebody"}


def test_without_credentials_there_is_no_bucket() -> None:
    assert client(BACKUPS, Identity.UPLOADER) is None
