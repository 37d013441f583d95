"""The Python environment is installed once for each set of pins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolchain import python_env
from toolchain.errors import UnmetError


@pytest.fixture
def installs(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Counts instead of installing."""
    done: list[Path] = []
    python = checkout / ".venv" / "bin" / "python"

    def create(venv: Path, log: Path) -> None:
        python.parent.mkdir(parents=True)
        python.touch()

    monkeypatch.setattr(python_env, "create", create)
    monkeypatch.setattr(python_env, "install", lambda root, venv, log: done.append(venv))
    return done


def test_second_run_installs_nothing(checkout: Path, installs: list[Path]) -> None:
    python_env.ensure(checkout)
    assert python_env.ensure(checkout) == ".venv is up to date"
    assert len(installs) == 1


def test_changed_pins_install_again(checkout: Path, installs: list[Path]) -> None:
    python_env.ensure(checkout)
    (checkout / "requirements.txt").write_text("pulumi==4\n")
    python_env.ensure(checkout)
    assert len(installs) == 2


def test_environment_without_its_python_is_made_again(checkout: Path, installs: list[Path]) -> None:
    python_env.ensure(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin").rmdir()
    python_env.ensure(checkout)
    assert len(installs) == 2


def test_old_python_is_refused_with_the_remedy() -> None:
    with pytest.raises(UnmetError) as refused:
        python_env.check_version((3, 9))
    assert str(refused.value) == (
        "Python 3.11 or later is needed, and this is 3.9.\n  next: python3.11 -m toolchain setup"
    )


def test_missing_requirements_are_named(checkout: Path) -> None:
    (checkout / "requirements.txt").unlink()
    with pytest.raises(UnmetError, match=r"requirements\.txt is missing"):
        python_env.fingerprint(checkout)


def test_missing_venv_module_is_a_sentence_for_those_who_are_not_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnmetError, match=r"next: sudo apt-get install .* python3-venv"):
        python_env.install_venv_module(tmp_path / "log")


def test_the_pin_of_one_package_comes_with_all_its_hashes() -> None:
    pins = "tzdata==2 \\\n    --hash=a\nuv==1 \\\n    --hash=b \\\n    --hash=c\nwheel==3\n"
    assert python_env.pin_of("uv", pins) == "uv==1 \\\n    --hash=b \\\n    --hash=c\n"
    with pytest.raises(UnmetError, match="does not pin pip"):
        python_env.pin_of("pip", pins)
