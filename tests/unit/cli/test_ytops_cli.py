"""The front door: every ending is one message and a documented code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ops import cli
from ops.engine import Engine, NotReady
from ops.errors import HostUnreachable, OpsError, SwitchRefused
from ops.stackfile import StackFileError
from ops.verbs import status as status_verb
from ops.verbs._exit import Failed, Interrupted, Misused, Refused, code_of
from tests.unit.cli.happy import place


def ytops(*arguments: str) -> int:
    """Its exit code."""
    before, sys.argv = sys.argv, ["ytops", *arguments]
    try:
        cli.main()
    except SystemExit as exit:
        return int(exit.code or 0)
    finally:
        sys.argv = before
    return 0


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(status_verb, "status", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OpsError("x"), 1),
        (Failed("x"), 1),
        (Failed("x", 3), 3),
        (Misused("x"), 2),
        (NotReady("x"), 2),
        (StackFileError("x"), 2),
        (Refused("x"), 3),
        (SwitchRefused("x"), 3),
        (HostUnreachable("x"), 4),
        (Interrupted("x"), 130),
    ],
)
def test_each_error_has_its_code(error: OpsError, code: int) -> None:
    assert code_of(error) == code


def test_an_error_is_its_message_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path)
    failing(HostUnreachable("The host is gone.\nNext: `ping`"), monkeypatch)
    assert ytops("--cwd", str(tmp_path), "status") == 4
    assert capsys.readouterr().err == "The host is gone.\nNext: `ping`\n"


def test_a_mistake_of_ours_is_one_line_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(KeyError("colour"), monkeypatch)
    assert ytops("--cwd", str(tmp_path), "status") == 1
    message = capsys.readouterr().err
    assert message.startswith("Unexpected KeyError: 'colour' (a mistake in ytops; the whole trace")
    assert message.count("\n") == 1
    (trace,) = tmp_path.glob("ytops-*.log")
    assert "Traceback" in trace.read_text()


def test_ctrl_c_ends_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path)
    failing(KeyboardInterrupt(), monkeypatch)
    assert ytops("--cwd", str(tmp_path), "status") == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_wrong_usage_ends_with_2() -> None:
    assert ytops("logs", "nonsense") == 2
    assert ytops("nonsense") == 2


def test_the_help_documents_the_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert ytops("--help") == 0
    shown = capsys.readouterr().out
    for words in ("0 done", "3", "refused", "130", "interrupted"):
        assert words in shown


def test_without_its_environment_the_engine_says_what_to_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path)
    engine = Engine(tmp_path, "sandbox")
    monkeypatch.setattr("shutil.which", lambda program: None)
    with pytest.raises(NotReady) as caught:
        engine.check()
    assert str(caught.value) == (
        "There is no `pulumi` on the PATH. "
        "Next: `source .env.sandbox`, then the same command again."
    )
    monkeypatch.setattr("shutil.which", lambda program: f"/bin/{program}")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    with pytest.raises(NotReady, match=r"PULUMI_BACKEND_URL is not set\. Next: `source"):
        engine.check()
