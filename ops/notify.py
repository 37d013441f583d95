"""Telling people: one JSON message to a Slack-compatible webhook. It never fails a deploy."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Literal
from urllib.parse import urlsplit

from ops.agent import who
from ops.docker import Say

TIMEOUT_SECONDS = 5
TRIES = 2
# A cancelled step is killed after 20 s, and it has moved traffic back by then.
LAST_WORDS_SECONDS = 2
PAUSE_SECONDS = 0.5


def send(
    url: str,
    text: str,
    fields: Mapping[str, str | int],
    say: Say,
    tries: int = TRIES,
    timeout: float = TIMEOUT_SECONDS,
) -> bool:
    """Post it. When that fails, one line says so; the URL's path is a secret and stays one."""
    body = json.dumps({"text": text, **fields}).encode()
    why = ""
    for attempt in range(tries):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        why = _post(url, body, timeout)
        if not why:
            return True
    say(f"nobody was told: the webhook{_host(url)} {why}")
    return False


def ended(
    url: str, stack: str, step: str, message: str, how: Literal["failed", "stopped"], say: Say
) -> bool:
    """A step failed or was stopped. Container logs stay here: only the first line travels."""
    first = message.splitlines()[0] if message else ""
    where = f" {stack}" if stack else ""
    text = f"YTEMPIRE{where}: the deploy {'was ' * (how == 'stopped')}{how} at {step}: {first}"
    fields = {"event": how, "stack": stack, "step": step, "message": first, "who": who()}
    if how == "stopped":
        return send(url, text, fields, say, tries=1, timeout=LAST_WORDS_SECONDS)
    return send(url, text, fields, say)


def _post(url: str, body: bytes, timeout: float) -> str:
    """Why it did not arrive, or an empty string."""
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except TimeoutError:
        return f"did not answer in {timeout} s"
    except urllib.error.URLError as error:
        return f"can't be reached ({error.reason})"
    except (OSError, ValueError, HTTPException) as error:
        return f"can't be reached ({type(error).__name__})"


def _host(url: str) -> str:
    """Where it is, as far as that can be told without its secret path."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return f" at {host}" if re.fullmatch(r"[\w.:-]+", host) else ""
