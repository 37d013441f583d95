"""Runs other programs: quietly to a log, saying now and then that they are still at it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolchain.errors import ToolchainError

# Often enough to see that a five-minute build lives, seldom enough to be read.
PROGRESS_EVERY = 15.0
TAIL_LINES = 8


def run(
    args: Sequence[str | Path],
    *,
    label: str,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    remedy: str = "",
) -> None:
    """Run to the end with output in `log`; a failure shows the log's last lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    environment = {**os.environ, **(env or {})}
    with log.open("a") as out:
        out.write(f"$ {' '.join(map(str, args))}\n")
        out.flush()
        try:
            child = subprocess.Popen(
                [str(a) for a in args], cwd=cwd, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            reason = error.strerror or str(error)
            raise ToolchainError(f"{label}: can't run {args[0]}: {reason}") from error
        status = _wait(child, label, started)
    if status:
        raise ToolchainError(
            f"{label} failed with status {status}:\n{tail(log)}", log=log, remedy=remedy
        )


def _wait(child: subprocess.Popen[bytes], label: str, started: float) -> int:
    try:
        while True:
            try:
                return child.wait(PROGRESS_EVERY)
            except subprocess.TimeoutExpired:
                print(f"    {label} ... {time.monotonic() - started:.0f}s", flush=True)
    except BaseException:
        # Interrupted: nothing of ours may go on building behind the next set-up's back.
        child.terminate()
        child.wait()
        raise


def capture(args: Sequence[str | Path], *, timeout: float = 30.0) -> str | None:
    """The output of a short question, or None when it can't be asked or isn't answered."""
    try:
        done = subprocess.run(
            [str(a) for a in args], capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The end of a log, indented under the sentence that names it."""
    if not log.exists():
        return "    (no log)"
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").split("\n")[-lines:])
