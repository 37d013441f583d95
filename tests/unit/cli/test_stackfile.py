"""The stack file: one line changes, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.stackfile import StackFileError, edit, find_root
from tests.unit.cli.happy import STACK_FILE, place

KEY = "ytempire:version"


def test_a_new_version_changes_one_line_and_keeps_its_comment(tmp_path: Path) -> None:
    file = place(tmp_path).file
    file.set("version", "1.1.0")
    wanted = STACK_FILE.replace("1.0.0  # live", "1.1.0  # live")
    assert file.path.read_text() == wanted


def test_setting_and_putting_back_leaves_no_trace(tmp_path: Path) -> None:
    file = place(tmp_path).file
    file.set("reinstate", "1.1.0+bbbb@3")
    assert file.get("reinstate") == "1.1.0+bbbb@3"
    file.set("reinstate", None)
    assert file.path.read_text() == STACK_FILE


def test_a_version_that_yaml_takes_for_a_number_is_quoted() -> None:
    assert edit("config:\n  ytempire:version: 1.0.0\n", KEY, "1.10") == (
        'config:\n  ytempire:version: "1.10"\n'
    )


@pytest.mark.parametrize("written", ["1.0.0", '"1.0.0"', "'1.0.0'", ""])
def test_every_way_of_writing_a_value_is_replaced(written: str) -> None:
    text = f"config:\n    ytempire:version: {written}\nother: 1\n"
    assert edit(text, KEY, "2.0.0") == "config:\n    ytempire:version: 2.0.0\nother: 1\n"


def test_a_missing_key_goes_first_with_the_indentation_of_the_others() -> None:
    text = "config:\n    ytempire:protect: true\n"
    assert edit(text, KEY, "1.0.0") == (
        "config:\n    ytempire:version: 1.0.0\n    ytempire:protect: true\n"
    )


def test_a_file_without_config_gets_one() -> None:
    assert edit("encryptionsalt: x\n", KEY, "1.0.0") == (
        "encryptionsalt: x\nconfig:\n  ytempire:version: 1.0.0\n"
    )


def test_line_endings_stay_as_they_are() -> None:
    assert edit("config:\r\n  ytempire:version: 1.0.0\r\n", KEY, "1.1.0") == (
        "config:\r\n  ytempire:version: 1.1.0\r\n"
    )


def test_the_permissions_stay_and_nothing_is_left_beside(tmp_path: Path) -> None:
    file = place(tmp_path).file
    file.path.chmod(0o640)
    file.set("version", "1.1.0")
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["Pulumi.sandbox.yaml", "Pulumi.yaml"]


def test_what_can_not_be_edited_safely_is_not_edited(tmp_path: Path) -> None:
    odd = "config: {ytempire:version: 1.0.0}\n"
    file = place(tmp_path, odd).file
    with pytest.raises(StackFileError, match=r"Next: `pulumi config set version 1\.1\.0`"):
        file.set("version", "1.1.0")
    assert file.path.read_text() == odd


def test_a_stack_without_a_file_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    here = place(tmp_path)
    with pytest.raises(StackFileError) as caught:
        _ = type(here)(tmp_path, "nope").file
    assert str(caught.value) == (
        f"There is no Pulumi.nope.yaml in {tmp_path}; the stacks here: sandbox. "
        "Next: name one with `--stack`."
    )


def test_the_checkout_is_found_from_below_and_missed_outside(tmp_path: Path) -> None:
    place(tmp_path)
    below = tmp_path / "ops" / "verbs"
    below.mkdir(parents=True)
    assert find_root(below) == tmp_path
    with pytest.raises(StackFileError, match="Next: `cd` into the checkout"):
        find_root(Path("/"))


def test_values_come_from_the_stack_file_else_from_the_defaults(tmp_path: Path) -> None:
    configuration = place(tmp_path).configuration
    assert configuration.get("version") == "1.0.0"
    assert configuration.get("dockerHost") == "unix:///var/run/docker.sock"
    assert configuration.get("redisPassword") == ""
    assert not configuration.protected


def test_the_address_leaves_out_the_usual_port(tmp_path: Path) -> None:
    assert place(tmp_path).configuration.address == "https://localhost"
    odd = STACK_FILE + '  ytempire:edgeHttpsPort: "8443"\n'
    assert place(tmp_path, odd).configuration.address == "https://localhost:8443"
