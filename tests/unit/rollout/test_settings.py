"""The configuration: every mistake at once, in the key's own words, and no secret repeated."""

from __future__ import annotations

from typing import Any

import pytest

from rollout.settings import Settings, SettingsError, keys, load, load_checklist, secret_keys
from tests.unit.stack_files import OUT_OF_USE, PLACEHOLDERS, declared, raw


def mistakes(stack: str = "sandbox", **changes: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(stack, {**raw("sandbox"), **changes})
    return caught.value.mistakes


def test_the_program_reads_the_keys_that_the_project_declares() -> None:
    assert keys() == set(declared())


@pytest.mark.parametrize("key", sorted(declared()))
def test_every_key_has_type_description_and_default(key: str) -> None:
    described = set(declared()[key])
    assert {"type", "description", "default"} <= described
    assert described <= {"type", "description", "default", "items"}  # an unquoted comma makes more


def test_a_key_is_described_as_secret_exactly_when_it_is() -> None:
    described = {k for k, about in declared().items() if about["description"].startswith("Secret")}
    assert described == secret_keys() == {*PLACEHOLDERS, *OUT_OF_USE}


@pytest.mark.parametrize("stack", ["sandbox", "production"])
def test_the_stack_files_load(stack: str) -> None:
    assert load(stack, raw(stack)).stack == stack


def test_production_is_protected_and_reached_by_ssh() -> None:
    deployment = load("production", raw("production")).deployment
    assert (deployment.protect, deployment.docker_host) == (
        True,
        "ssh://deploy@ops.ytempire.example",
    )


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load("sandbox", {**raw("sandbox"), "backendPort": "x", "edgeTls": "yes", "verzion": "1"})
    assert str(caught.value) == (
        "3 mistakes in the configuration of sandbox:\n"
        "  verzion: expected a known key; did you mean version?\n"
        "  backendPort: expected a whole number, got 'x'\n"
        "  edgeTls: expected 'provided', 'self-signed' or 'off', got 'yes'\n"
        "Pulumi.yaml describes each key; correct Pulumi.sandbox.yaml, or "
        "`pulumi config set KEY VALUE`."
    )


def test_one_mistake_is_counted_in_the_singular() -> None:
    with pytest.raises(SettingsError, match=r"^1 mistake in the configuration of sandbox:"):
        load("sandbox", {**raw("sandbox"), "backendPort": "x"})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("version", "latest", "version: expected an exact version (latest is none), got 'latest'"),
        ("watchSeconds", "-1", "watchSeconds: expected greater than or equal to 0, got '-1'"),
        ("redisPassword", "a b", "redisPassword: expected a value without blanks, got (secret)"),
        (
            "version",
            "a b",
            "version: expected a version as in an image tag, such as 1.2.0, or a recorded release, "
            "such as 1.2.0+5afe96dbfacc, got 'a b'",
        ),
        ("protect", "perhaps", "protect: expected true or false, got 'perhaps'"),
        ("environment", "", "environment: expected a value (it is empty), got ''"),
        (
            "backupBucket",
            "Ytempire.Backups",
            "backupBucket: expected a bucket's name: 3 to 63 of a-z, 0-9 and -, "
            "got 'Ytempire.Backups'",
        ),
        (
            "backupBucket",
            "b" * 56,
            "backupBucket: expected at most 55 characters, because its users are named "
            f"BUCKET-IDENTITY, got '{'b' * 56}'",
        ),
        (
            "backupLogBucket",
            "x",
            "backupLogBucket: expected a bucket's name: 3 to 63 of a-z, 0-9 and -, got 'x'",
        ),
        (
            "backupEndpoint",
            "127.0.0.1:5000",
            "backupEndpoint: expected an address such as http://127.0.0.1:5000, or nothing for AWS "
            "itself, got '127.0.0.1:5000'",
        ),
        (
            "backupKmsKey",
            "alias/ytempire",
            "backupKmsKey: expected a key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID, or nothing for "
            "S3's own, got 'alias/ytempire'",
        ),
        (
            "backupPrunePercent",
            "101",
            "backupPrunePercent: expected less than or equal to 100, got '101'",
        ),
        (
            "dockerHost",
            "tcp://h:2375",
            "dockerHost: expected unix:///path or ssh://user@host[:port], got 'tcp://h:2375'",
        ),
        (
            "postgresImage",
            "postgres:latest",
            "postgresImage: expected an image with an exact tag (not latest) or a digest, "
            "got 'postgres:latest'",
        ),
        (
            "edgeImage",
            "nginx",
            "edgeImage: expected an image with an exact tag (not latest) or a digest, got 'nginx'",
        ),
        ("backendPort", "0", "backendPort: expected greater than or equal to 1, got '0'"),
        ("backendPort", "70000", "backendPort: expected less than or equal to 65535, got '70000'"),
        ("appMemory", "8", "appMemory: expected greater than or equal to 16, got '8'"),
        ("appCpus", "many", "appCpus: expected a number, got 'many'"),
        ("appCpus", "0", "appCpus: expected greater than 0, got '0'"),
        (
            "watchErrorPercent",
            "101",
            "watchErrorPercent: expected less than or equal to 100, got '101'",
        ),
        ("backendEndpoints", "/health", "backendEndpoints: expected a list, got '/health'"),
        ("backendEndpoints", "[]", "backendEndpoints: expected at least one, got []"),
        (
            "backendEndpoints",
            '["/health", "status"]',
            "backendEndpoints[1]: expected a path that begins with /, got 'status'",
        ),
        ("backendUser", "app", "backendUser: expected numbers as uid:gid, got 'app'"),
        ("backendEnvironment", "A=b", "backendEnvironment: expected an object, got 'A=b'"),
        ("backendEnvironment", '{"A": 1}', "backendEnvironment.A: expected text, got 1"),
        (
            "networkAppSubnet",
            "somewhere",
            "networkAppSubnet: expected a network such as 172.30.0.0/24, got 'somewhere'",
        ),
        (
            "networkAppSubnet",
            "172.30.1.0/28",
            "networkAppSubnet: expected an IPv4 network of /25 or larger, got '172.30.1.0/28'",
        ),
        (
            "edgeDomain",
            "https://example.com/",
            "edgeDomain: expected a host name such as app.example.com, got 'https://example.com/'",
        ),
        (
            "edgeBindAddress",
            "eth0",
            "edgeBindAddress: expected an address such as 0.0.0.0, got 'eth0'",
        ),
        (
            "edgeTrustedProxies",
            '["cdn"]',
            "edgeTrustedProxies[0]: expected a network such as 10.0.0.0/8, got 'cdn'",
        ),
        (
            "deployWindow",
            "at night",
            "deployWindow: expected a window such as 22:00-02:00, got 'at night'",
        ),
        (
            "deployTimezone",
            "PST8",
            "deployTimezone: expected a time zone such as America/Los_Angeles, got 'PST8'",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_was_expected(
    key: str, value: str, expected: str
) -> None:
    assert mistakes(**{key: value}) == [expected]


def test_a_missing_value_names_the_command_that_sets_it() -> None:
    values = raw("sandbox")
    del values["backendImage"]
    with pytest.raises(SettingsError) as caught:
        load("sandbox", values)
    assert caught.value.mistakes == [
        "backendImage: expected a value, got none; `pulumi config set backendImage …`"
    ]


def test_an_unknown_key_far_from_all_others_is_sent_to_the_list() -> None:
    assert mistakes(qqq="1") == ["qqq: expected a known key; Pulumi.yaml lists the keys"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"edgeHttpsPort": "8080"},
            "edgeHttpsPort: expected another port than edgeHttpPort, got 8080",
        ),
        (
            {"edgeDrainSeconds": "10"},
            "edgeDrainSeconds: expected at least edgeRequestTimeout (60), got 10",
        ),
        (
            {"networkDataSubnet": "172.30.0.0/16"},
            "networkDataSubnet: expected a network apart from networkEdgeSubnet (172.30.0.0/24), "
            "got 172.30.0.0/16",
        ),
        (
            {"backendStatusPath": "/status"},
            "backendStatusPath: expected one of backendEndpoints, got '/status'",
        ),
        (
            {"backendEnvironment": '{"A": "${other}"}'},
            "backendEnvironment: expected references to known secrets (backendSecrets.API_KEY, "
            "postgresPassword, redisPassword), got ${other}",
        ),
        (
            {"edgeTls": "provided", "edgeCertificate": ""},
            "edgeCertificate: expected PEM text, because edgeTls is provided, got none",
        ),
        (
            {"edgeTls": "provided", "edgeCertificateKey": "hunter2"},
            "edgeCertificateKey: expected PEM text, because edgeTls is provided, got none",
        ),
    ],
)
def test_values_that_contradict_each_other_are_mistakes(
    changes: dict[str, str], expected: str
) -> None:
    assert expected in mistakes(**changes)


def test_a_stack_name_must_fit_into_host_names() -> None:
    assert mistakes("a-very-long-stack-name") == [
        "stack name: expected at most 14 of a-z, 0-9 and -, because host names carry it, "
        "got 'a-very-long-stack-name'"
    ]


@pytest.mark.parametrize("key", sorted(secret_keys()))
def test_a_secret_is_never_repeated_in_a_message(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load("sandbox", {**raw("sandbox"), "backendPort": "x", key: "[1, {hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_key_that_the_engine_calls_secret_is_not_repeated_either() -> None:
    with pytest.raises(SettingsError) as caught:
        load("sandbox", {**raw("sandbox"), "edgeDomain": "a b"}, frozenset({"edgeDomain"}))
    assert caught.value.mistakes == [
        "edgeDomain: expected a host name such as app.example.com, got (secret)"
    ]


def test_secrets_are_not_shown_when_the_settings_are_printed() -> None:
    shown = repr(load("sandbox", raw("sandbox")))
    assert [p for p in PLACEHOLDERS.values() if "placeholder" in p and p in shown] == []


@pytest.fixture(scope="module")
def sandbox() -> Settings:
    return load("sandbox", raw("sandbox"))


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (lambda s: s.backend.health.path, "/health"),
        (lambda s: s.backend.app_limits.memory, 512),
        (lambda s: s.backend.worker_limits.cpus, 2.0),
        (
            lambda s: sorted(s.secrets),
            ["backendSecrets.API_KEY", "postgresPassword", "redisPassword"],
        ),
    ],
)
def test_values_arrive_typed_and_grouped(sandbox: Settings, got: Any, expected: Any) -> None:
    assert got(sandbox) == expected


# The checklist's limits

INFRA = "7.1, Infrastructure Check"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("checklistTestPercent", "94", "at least 95 in production (manual 7.1, Code Readiness)"),
        (
            "checklistCpuPercent",
            "71",
            "at most 70 in production (manual 7.1, Infrastructure Check)",
        ),
        (
            "checklistMemoryPercent",
            "81",
            f"at most 80 in production (manual {INFRA})",
        ),
        (
            "checklistDiskFreePercent",
            "19",
            f"at least 20 in production (manual {INFRA})",
        ),
        ("checklistBackupHours", "6", "at most 4 in production (manual 7.3, Backup Schedule)"),
        ("changeLeadHours", "12", "at least 24 in production (manual 5.2, Change Categories)"),
        ("deployMaxPerDay", "2", "at most 1 in production (manual 7.1, Deployment Approach)"),
    ],
)
def test_production_is_never_laxer_than_the_manual(key: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load("production", {**raw("production"), key: value})
    assert caught.value.mistakes == [f"{key}: expected {expected}, got {value}"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "checklistRequired",
            "false",
            "checklistRequired: expected true in production (manual 7.1, Pre-Deployment "
            "Checklist), got false",
        ),
        (
            "environment",
            "sandbox",
            "environment: expected production, because the stack is named so, got 'sandbox'",
        ),
    ],
)
def test_production_is_held_to_the_checklist_and_can_t_be_called_otherwise(
    key: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load("production", {**raw("production"), key: value})
    assert caught.value.mistakes == [expected]


def test_production_deploys_in_the_manual_s_window() -> None:
    with pytest.raises(SettingsError) as caught:
        load("production", {**raw("production"), "deployWindow": "20:00-02:00"})
    assert caught.value.mistakes == [
        "deployWindow: expected hours within 22:00-02:00 America/Los_Angeles in production "
        "(manual 7.1, Deployment Approach), got 20:00-02:00 America/Los_Angeles"
    ]


def test_production_may_be_stricter() -> None:
    strict = {"checklistCpuPercent": "50", "deployWindow": "23:00-01:00"}
    assert load("production", {**raw("production"), **strict}).checklist.cpu_percent == 50


def test_the_checklist_is_read_without_the_secrets() -> None:
    secrets = dict.fromkeys(secret_keys(), "")
    checklist, operations = load_checklist("production", {**raw("production"), **secrets})
    assert (checklist.disk_free_percent, operations.max_per_day) == (20, 1)


def test_the_checklist_s_mistakes_come_at_once() -> None:
    wrong = {"checklistCpuPercent": "much", "checklistMounts": '["here"]', "deployWindow": "late"}
    with pytest.raises(SettingsError) as caught:
        load_checklist("sandbox", {**raw("sandbox"), **wrong})
    assert caught.value.mistakes == [
        "checklistCpuPercent: expected a number, got 'much'",
        "checklistMounts[0]: expected a path on the host, such as /mnt/backup, got 'here'",
        "deployWindow: expected a window such as 22:00-02:00, got 'late'",
    ]
