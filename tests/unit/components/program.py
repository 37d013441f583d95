"""Runs the real `__main__.py` under Pulumi mocks and keeps what it declares."""

from __future__ import annotations

import asyncio
import logging
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import Stack, run_pulumi_func

from ops import pack
from ops.amiss import Amiss
from ops.observe import Observation
from rollout.evidence import Evidence
from rollout.names import store_of
from rollout.plan import plan
from rollout.release import ImageIdentity, wanted_release
from rollout.settings import load
from rollout.shapes import Release
from tests.unit.rollout.host_model import Host
from tests.unit.rollout.night import NOW, evidence
from tests.unit.stack_files import PLACEHOLDERS, ROOT, raw

_SECRET = "4dabf18193072939515e22adb298388d"  # marks a wrapped secret on the wire
CONTAINER = "docker:index/container:Container"
COMMAND = "command:local:Command"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"


@dataclass
class Declared:
    """One resource as the engine is told of it. `plain`: its inputs without secret values."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    plain: dict[str, Any]
    protect: bool
    ignore: tuple[str, ...]
    depends_on: tuple[str, ...]
    parent: str
    custom: bool
    provider: str

    @property
    def labels(self) -> dict[str, str]:
        return {label["label"]: label["value"] for label in self.inputs.get("labels", [])}

    @property
    def envs(self) -> dict[str, str]:
        return dict(env.split("=", 1) for env in self.inputs.get("envs", []))


@dataclass
class Declaration:
    """Everything that one run declares, in order, and what it exports and says."""

    resources: list[Declared] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Declared]:
        return [r for r in self.resources if r.type == kind]

    def container(self, name: str) -> Declared:
        return next(r for r in self.of(CONTAINER) if r.name == name)

    def step(self, name: str) -> Declared:
        return next(r for r in self.of(COMMAND) if r.name == name)

    def names(self) -> list[str]:
        return [r.name for r in self.resources]

    def after(self, declared: Declared) -> set[str]:
        """The names of everything that a resource comes after, directly or not."""
        by_urn = {r.urn: r for r in self.resources}
        found: set[str] = set()
        todo = list(declared.depends_on)
        while todo:
            urn = todo.pop()
            if urn not in found:
                found.add(urn)
                todo += by_urn[urn].depends_on
        return {by_urn[urn].name for urn in found}


class _Monitor(mocks.MockMonitor):
    def __init__(self, declaration: Declaration, recorded: str | None) -> None:
        super().__init__(_Mocks(recorded))
        self.declaration = declaration

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        if request.type != "pulumi:pulumi:Stack":
            wire = json_format.MessageToDict(request.object)
            self.declaration.resources.append(
                Declared(
                    urn=self.make_urn(request.parent, request.type, request.name),
                    type=request.type,
                    name=request.name,
                    inputs=_opened(wire),
                    plain=_without_secrets(wire),
                    protect=request.protect,
                    ignore=tuple(request.ignoreChanges),
                    depends_on=tuple(request.dependencies),
                    parent=request.parent.rsplit("::", 1)[-1],
                    custom=request.custom,
                    provider=request.provider,
                )
            )
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.declaration.outputs = _opened(json_format.MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)


class _Hooks:
    """Stands in for the server that the engine would call hooks through."""

    def register_resource_hook(self, hook: Any) -> None:
        pass


class _Mocks(pulumi.runtime.Mocks):
    def __init__(self, recorded: str | None) -> None:
        self.recorded = recorded

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", args.inputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        assert args.token == "pulumi:pulumi:readStackOutputs"
        outputs = {"record": pulumi.Output.secret(self.recorded)} if self.recorded else {}
        return {"outputs": outputs}


class _Warnings(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.found = found

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())


Look = Callable[..., Observation]
Gathered = Callable[..., Evidence]


def run(
    stack: str,
    host: Host | Look,
    *,
    preview: bool = False,
    recorded: str | None = None,
    look_up: Callable[..., ImageIdentity] | None = None,
    wrong: Amiss | None = None,
    gathered: Gathered | None = None,
    now: datetime = NOW,
    policies: str = str(ROOT / pack.FOLDER),
    **changes: str,
) -> Declaration:
    """One run of the program against a host as it is seen; raises what ends it."""
    declaration = Declaration()
    asyncio.set_event_loop(asyncio.new_event_loop())
    logger = logging.getLogger("pulumi-mocks")
    logger.handlers = [_Warnings(declaration.warnings)]
    logger.propagate = False
    look = host if callable(host) else lambda *_: Observation(host.view())
    config = {f"ytempire:{k}": v for k, v in {**raw(store_of(stack) or stack), **changes}.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.system.observe", look)
        patch.setattr("components.system.image_identity", look_up or _identity)
        patch.setattr("components.system.amiss", lambda *_: wrong or Amiss())
        patch.setattr("ops.gather.gather", gathered or (lambda *_: evidence()))
        patch.setattr("ops.gather.datetime", SimpleNamespace(now=lambda _: now))
        patch.setenv(pack.VARIABLE, policies)
        set_all_config(config, [f"ytempire:{key}" for key in PLACEHOLDERS])
        mocks.set_mocks(
            cast(Any, None),
            project="ytempire",
            stack=stack,
            preview=preview,
            logger=logger,
            monitor=_Monitor(declaration, recorded),
            organization="organization",
        )
        SETTINGS.callbacks = cast(Any, _Hooks())
        asyncio.get_event_loop().run_until_complete(_program())
    return declaration


def declare(lines: Callable[[], None]) -> Declaration:
    """What some lines declare, without the program around them."""
    declaration = Declaration()
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(
        cast(Any, None),
        project="ytempire",
        stack="lines",
        monitor=_Monitor(declaration, None),
        organization="organization",
    )
    asyncio.get_event_loop().run_until_complete(run_pulumi_func(lambda: _stack(lines)))
    return declaration


async def _program() -> None:
    await run_pulumi_func(_main)


def _main() -> None:
    def main() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    _stack(main)


def _stack(lines: Callable[[], None]) -> None:
    """In a stack of its own, as the language host does it."""
    set_root_resource(cast(Any, None))
    Stack(lines)


def _identity(_: object, tag: str) -> ImageIdentity:
    return ImageIdentity(image=f"sha256:{tag}", digest=f"sha256:{tag}")


def wanted(stack: str, **changes: str) -> Release:
    settings = load(stack, {**raw(stack), **changes})
    tag = f"{settings.backend.image}:{settings.deployment.version}"
    return wanted_release(settings, _identity(None, tag))


def deployed(stack: str, *versions: str) -> Host:
    """A host on which these versions were deployed one after the other."""
    host = Host()
    for version in versions:
        assert host.run(plan(host.view(), wanted(stack, version=version)))
    return host


def strings(value: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def _opened(value: Any) -> Any:
    """Secrets laid open."""
    if isinstance(value, dict):
        if _SECRET in value:
            return _opened(value.get("value"))
        return {key: _opened(item) for key, item in value.items()}
    return [_opened(item) for item in value] if isinstance(value, list) else value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if _SECRET in value:
            return None
        return {key: _without_secrets(item) for key, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
