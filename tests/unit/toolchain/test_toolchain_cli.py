"""What goes wrong is a sentence on standard error, never a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain import __main__ as cli
from toolchain import shell
from toolchain.errors import ToolchainError
from toolchain.places import CHECKOUT


def fail(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a verb that ends in this error."""

    def run(options: object) -> int:
        raise error

    monkeypatch.setattr(cli, "run", run)
    return cli.main(["engine"])


def test_error_is_told_with_its_log_and_the_next_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ToolchainError("It broke.", log=Path("/logs/build.log"), remedy="make setup")
    assert fail(error, monkeypatch) == 1
    told = capsys.readouterr().err
    assert told == "toolchain: It broke.\n  log: /logs/build.log\n  next: make setup\n"


def test_interruption_says_that_a_rerun_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fail(KeyboardInterrupt(), monkeypatch) == 130
    assert "interrupted; run it again to go on" in capsys.readouterr().err


def test_full_disk_names_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(OSError(28, "No space left on device", "/cache/pulumi"), monkeypatch)
    assert capsys.readouterr().err == "toolchain: No space left on device (/cache/pulumi)\n"


def test_long_command_says_that_it_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "PROGRESS_EVERY", 0.05)
    shell.run(["sleep", "0.2"], label="building", log=tmp_path / "log")
    assert "    building ... 0s\n" in capsys.readouterr().out


def test_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    script = "import sys; print('first'); sys.exit('last words')"
    with pytest.raises(ToolchainError, match=r"(?s)building failed with status 1:.*last words"):
        shell.run([sys.executable, "-c", script], label="building", log=tmp_path / "log")


def test_missing_program_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="can't run /no/such: No such file or directory"):
        shell.run(["/no/such"], label="building", log=tmp_path / "log")


def test_stopped_build_takes_its_children_along(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from toolchain import __main__ as cli, shell\n"
        "command = ['sh', '-c', f'echo $$ > {PID}; exec sleep 60']\n"
        "cli.run = lambda _: shell.run(command, label='building', log=Path(LOG))\n"
        "raise SystemExit(cli.main(['engine']))\n"
    )
    pid = tmp_path / "pid"
    names = f"PID = {str(pid)!r}; LOG = {str(tmp_path / 'log')!r}\n"
    setup = subprocess.Popen([sys.executable, "-c", names + script], cwd=CHECKOUT)
    while not (pid.exists() and pid.read_text().strip()):
        time.sleep(0.01)
    setup.send_signal(signal.SIGTERM)
    assert setup.wait(10) == 130
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
