"""The engine as a child: heard as it speaks, told to stop once, ended at the second time."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ops import engine as engines
from ops import pack
from ops.engine import Engine, NotReady

# Speaks, waits, and on the first SIGINT says that it cancels and goes; `stubborn` stays.
STUB = """\
#!/bin/sh
echo "$@" > "$STUB_LOG"
trap '[ -n "$STUB_STUBBORN" ] || { echo cancelled; exit 1; }' INT
echo '{"sequence": 1}'
[ -z "$STUB_ERROR" ] || { echo "error: $STUB_ERROR" >&2; exit 255; }
i=0; while [ -n "$STUB_WAITS" ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done
echo last
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    program = tmp_path / "pulumi"
    program.write_text(STUB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "called"))
    return Engine(tmp_path, "sandbox")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_run_is_heard_to_its_last_line(engine: Engine) -> None:
    heard: list[str] = []
    ended = engine.run("up", "--yes", hear=heard.append)
    assert (ended.code, heard) == (0, ['{"sequence": 1}', "last"])
    assert (engine.root / "called").read_text() == (
        "up --stack sandbox --non-interactive --color never --json --yes\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "{0}/policies"), ("/theirs", "/theirs,{0}/policies"), ("{0}/policies", "{0}/policies")],
)
def test_every_run_is_told_of_the_policies(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setenv(pack.VARIABLE, before.format(engine.root))
    (engine.root / "pulumi").write_text(f'#!/bin/sh\necho "${pack.VARIABLE}"\n')
    heard: list[str] = []
    engine.run("up", hear=heard.append)
    assert heard == [after.format(engine.root)]


def test_what_the_cli_complains_about_is_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_ERROR", "no stack named 'sandbox' found")
    ended = engine.run("up", hear=lambda line: None)
    assert (ended.code, ended.errors) == (255, "error: no stack named 'sandbox' found")


def test_the_first_ctrl_c_asks_the_engine_to_cancel_and_waits_for_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_WAITS", "1")
    told: list[int] = []
    engine.on_stop = told.append
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if len(heard) == 1:
            interrupt()

    ended = engine.run("up", hear=hear)
    assert heard[-1] == "cancelled"
    assert (ended.code, ended.asked_to_stop, told) == (1, 1, [1])


def test_the_second_ctrl_c_ends_an_engine_that_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_WAITS", "1")
    monkeypatch.setenv("STUB_STUBBORN", "1")
    monkeypatch.setattr(engines, "KILL_SECONDS", 0.1)

    def hear(line: str) -> None:
        interrupt()
        interrupt()

    begun = time.monotonic()
    ended = engine.run("up", hear=hear)
    assert (ended.code, ended.asked_to_stop) == (-signal.SIGKILL, 2)
    assert time.monotonic() - begun < 5


def test_signals_are_ours_again_after_a_run(engine: Engine) -> None:
    before = signal.getsignal(signal.SIGINT)
    engine.run("up", hear=lambda line: None)
    assert signal.getsignal(signal.SIGINT) is before


def test_when_we_can_not_go_on_the_engine_ends_in_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_WAITS", "1")

    def hear(line: str) -> None:
        raise ValueError(line)

    begun = time.monotonic()
    with pytest.raises(ValueError, match="sequence"):
        engine.run("up", hear=hear)
    assert time.monotonic() - begun < 5


def test_the_configuration_is_read_with_what_is_secret_in_it(engine: Engine) -> None:
    said = {
        "ytempire:version": {"value": "1.0.0", "secret": False},
        "ytempire:redisPassword": {"value": "hush", "secret": True},
        "aws:region": {"value": "us-west-2", "secret": False},
    }
    (engine.root / "pulumi").write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n")
    values, secret = engine.configuration()
    assert values == {"version": "1.0.0", "redisPassword": "hush"}
    assert secret == {"redisPassword"}


def test_a_configuration_that_can_t_be_read_says_why(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_ERROR", "incorrect passphrase")
    with pytest.raises(NotReady) as refused:
        engine.configuration()
    assert str(refused.value) == (
        "The configuration of sandbox can't be read: incorrect passphrase\n"
        "Next: `pulumi config --stack sandbox`"
    )
