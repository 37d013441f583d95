"""What the program leaves out of Pulumi's SDK is there, and is missed by nobody."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from pulumi.runtime import settings, stack

from components import haste


def test_the_sdk_waits_where_we_wait_first() -> None:
    assert "wait_for_rpcs" in stack.run_pulumi_func.__code__.co_names
    assert list(inspect.signature(haste._wait).parameters) == ["await_all_outstanding_tasks"]


def test_the_sdk_finds_all_outputs_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[bool] = []

    async def program() -> None:
        later = asyncio.ensure_future(asyncio.sleep(0.01))
        failing = asyncio.ensure_future(_fails())

        async def wait(_: bool) -> None:
            known.extend([later.done(), failing.done()])

        monkeypatch.setattr(haste, "_wait", wait)
        monkeypatch.setattr(settings.SETTINGS, "outputs", {later, failing})
        await haste._settled()
        assert isinstance(failing.exception(), ValueError)

    asyncio.run(program())
    assert known == [True, True]


async def _fails() -> None:
    await asyncio.sleep(0.02)
    raise ValueError
