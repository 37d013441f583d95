"""Notify: tells the webhook that a switch is done."""

from __future__ import annotations

import os

from ops import notify
from ops.agent import who
from ops.docker import Say
from rollout.steps import Notify


def run(parameters: Notify, say: Say) -> None:
    url = os.environ.get("WEBHOOK", "")
    if not url:
        say("no webhook is configured: nobody is told")
        return
    came = f" (before: {parameters.source})" if parameters.source else ", the first release"
    text = f"YTEMPIRE {parameters.stack}: {parameters.kind} of {parameters.target} is done{came}"
    fields = {"event": "done", **parameters.model_dump(), "who": who()}
    if notify.send(url, text, fields, say):
        say("told the webhook")
