"""`.env.STACK` is all that a shell needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ops import file_backend
from toolchain import environment, tools
from toolchain.errors import UnmetError


@pytest.fixture
def installed(checkout: Path) -> Path:
    """A checkout whose tools came by the registries."""
    tools.location(checkout, "registries").mkdir(parents=True)
    return checkout


def test_shell_that_reads_the_file_finds_our_tools_first(installed: Path) -> None:
    environment.write(installed, "sandbox")
    script = '. "$0"; echo "$PATH"'
    command = ["sh", "-c", script, str(installed / ".env.sandbox")]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(":")
    root = tools.location(installed, "registries")
    assert path[:2] == [f"{installed}/.venv/bin", f"{root}/bin"]


def test_sandbox_keeps_its_state_in_the_checkout(installed: Path) -> None:
    values = environment.variables(installed, "sandbox")
    assert values["PULUMI_BACKEND_URL"] == file_backend.address(installed / ".sandbox" / "state")
    assert (installed / ".sandbox" / "state").is_dir()


def test_passphrase_of_the_user_is_left_alone(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    assert "PULUMI_CONFIG_PASSPHRASE" not in environment.variables(installed, "sandbox")


def test_file_may_be_written_again_by_a_shell_that_has_read_it(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = environment.variables(installed, "sandbox")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", first["PULUMI_CONFIG_PASSPHRASE"])
    assert environment.variables(installed, "sandbox") == first


def test_production_gets_neither_backend_nor_passphrase(installed: Path) -> None:
    values = environment.variables(installed, "production")
    assert not {"PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"} & set(values)


def test_downloads_are_off_only_where_they_can_not_succeed(installed: Path) -> None:
    name = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    assert environment.variables(installed, "sandbox")[name] == "true"
    tools.location(installed, "official").mkdir()
    assert name not in environment.variables(installed, "sandbox")


def test_missing_tools_are_a_sentence_with_the_next_command(checkout: Path) -> None:
    with pytest.raises(UnmetError) as refused:
        environment.write(checkout, "sandbox")
    expected = "The Pulumi CLI is not set up.\n  next: python3 -m toolchain setup"
    assert str(refused.value) == expected


def test_path_that_make_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnmetError, match="make and the shell read differently"):
        environment.variables(tmp_path / "my checkout", "sandbox")


def test_the_cli_keeps_no_log_of_its_own(installed: Path) -> None:
    home = tools.location(installed, "registries") / "home"
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "pulumi-20260101T000000-1-up.log").touch()
    environment.write(installed, "sandbox")
    environment.write(installed, "sandbox")
    assert (home / "logs").is_file()
