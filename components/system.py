"""The system: what a stack declares, in the order of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import pulumi
import pulumi.runtime.config as runtime_config

from components.edge import Edge
from components.gate import gate
from components.host import Networks, NetworksArgs, provider, volume
from components.postgres import Postgres
from components.redis import Redis
from components.site import Site
from components.slot import CrewArgs, ReleaseSlot, SlotArgs, WorkerCrew
from components.switch import BlueGreenSwitch
from ops.docker import Docker
from ops.errors import HostUnreachable, OpsError
from ops.observe import Observation, image_identity, observe
from rollout import settings as configuration
from rollout.fingerprint import referenced
from rollout.names import Names
from rollout.plan import DeclaredSlot, Plan, plan
from rollout.release import ImageIdentity, image_tag, wanted_release
from rollout.settings import Settings, SettingsError
from rollout.state import HostState, Release, Slot


@dataclass(frozen=True)
class Run:
    """What a run starts from."""

    settings: Settings
    names: Names
    observation: Observation
    plan: Plan
    switch_image: str


def begin() -> Run:
    """Read the configuration, look at the host, decide. A mistake ends the run with its words."""
    try:
        settings = configuration.load(pulumi.get_stack(), *_configuration())
        names = Names(settings.stack)
        observation = _observe(settings, names)
        wanted = _wanted(settings, observation)
        decided = plan(observation.view, wanted, settings.deployment.reinstate)
        _check_secrets(settings, decided)
        switch_image = _switch_image(settings, observation)
    except (SettingsError, OpsError) as error:
        _stop(str(error))
    if decided.action == "refuse":
        _stop(decided.reason)
    pulumi.log.info(f"plan: {decided.action}: {decided.reason}")
    return Run(settings, names, observation, decided, switch_image)


class System:
    """Everything, declared. Reads top to bottom as the parts depend on each other."""

    def __init__(self, run: Run) -> None:
        self.run = run
        settings = run.settings
        self.gate = gate(run.plan, settings)
        self.site = Site(settings, run.names, provider(settings), self.gate)
        subnets = settings.networks
        self.networks = Networks(
            "networks", NetworksArgs(subnets.edge, subnets.app, subnets.data), self.site
        )
        self.postgres = Postgres("postgres", self.networks, self.site)
        self.redis = Redis("redis", self.networks, self.site)
        self.edge = Edge("edge", self.networks, self.redis.ready, run.switch_image, self.site)
        self.media = volume("media", self.edge, self.site)
        self.slots = [self._slot(declared) for declared in run.plan.slots]
        self._draining()
        self.last: pulumi.Output[dict[str, str] | None] | None = None
        if run.plan.target and run.plan.serial:
            verified: list[pulumi.Resource] = [slot.verified for slot in self.slots]
            switch = BlueGreenSwitch("switch", run.plan, self.site, [*verified, self.edge.ready])
            self.last = switch.last

    def _slot(self, declared: DeclaredSlot) -> ReleaseSlot:
        return ReleaseSlot(
            declared.colour,
            SlotArgs(
                declared=declared,
                plan=self.run.plan,
                networks=self.networks,
                media=self.media.name,
                live=self.edge.live_volume,
            ),
            self.site,
            [self.postgres.ready, self.redis.ready, self.edge.ready],
        )

    def _draining(self) -> None:
        for release in self.run.plan.draining:
            WorkerCrew(
                f"workers-{release.identity}",
                CrewArgs(
                    release=release, networks=self.networks, media=self.media.name, frozen=True
                ),
                self.site,
                [],
            )

    def export(self) -> None:
        """The stack's outputs: a stable interface (docs/outputs.md)."""
        run = self.run
        target = run.plan.target
        slots = {
            slot.colour: {
                "version": slot.release.version,
                "fingerprint": slot.release.fingerprint,
                "digest": slot.release.digest,
                "claim": slot.claim,
            }
            for slot in run.plan.slots
        }
        pulumi.export("live", target.colour if target else None)
        pulumi.export("release", target.identity if target else None)
        pulumi.export("slots", slots)
        pulumi.export("address", self.edge.address)
        pulumi.export("bucket", run.settings.operations.backup_bucket)
        pulumi.export("serial", run.plan.serial)
        pulumi.export("lastDeploy", self.last)
        # Not a secret, but nothing that anyone wants to read after each run.
        record = _record(run.plan, run.observation).model_dump_json()
        pulumi.export("record", pulumi.Output.secret(record))


def _configuration() -> tuple[dict[str, str], frozenset[str]]:
    """This project's keys, and which of them are secret."""
    prefix = f"{pulumi.get_project()}:"
    raw = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret = {*runtime_config.get_config_secret_keys_env(), *runtime_config._SECRET_KEYS.get()}
    return (
        {key.removeprefix(prefix): value for key, value in raw.items() if key.startswith(prefix)},
        frozenset(key.removeprefix(prefix) for key in secret),
    )


def _observe(settings: Settings, names: Names) -> Observation:
    """The host's own word; in a preview without access to it, the record of the last run."""
    try:
        return observe(Docker(settings.deployment.docker_host), names)
    except HostUnreachable as error:
        if not pulumi.runtime.is_dry_run():
            raise
        pulumi.log.warn(f"{error}\nThis preview plans from the record of the last run alone.")
        return Observation.from_record(_recorded(settings))


def _recorded(settings: Settings) -> HostState:
    """The `record` output of this stack's last finished run."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{settings.stack}"
    try:
        result = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": name})
        record = (result.value or {}).get("outputs", {}).get("record")
    except Exception as error:  # the engine's words differ by backend; none of them stops a preview
        pulumi.log.warn(f"no record of an earlier run: {error}")
        record = None
    return HostState.model_validate_json(record) if record else HostState()


def _wanted(settings: Settings, observation: Observation) -> Release | None:
    if not settings.deployment.version:
        return None
    tag = image_tag(settings)
    if observation.source != "host":
        return wanted_release(settings, _recorded_image(observation.view.state, tag))
    image = image_identity(Docker(settings.deployment.docker_host), tag)
    return wanted_release(settings, image)


def _recorded_image(record: HostState, tag: str) -> ImageIdentity:
    """What the tag meant when the host was last asked; the tag itself where it never was."""
    known = next((r for r in record.releases.values() if r.tag == tag), None)
    return ImageIdentity(known.image, known.digest) if known else ImageIdentity(tag, tag)


def _check_secrets(settings: Settings, decided: Plan) -> None:
    """A kept release is declared with the secrets that its record refers to."""
    kept = [*(slot.release for slot in decided.slots), *decided.draining]
    for release in kept:
        for name in sorted(referenced(release.environment) - set(settings.secrets)):
            key, _, path = name.partition(".")
            raise OpsError(
                f"{key}: expected {path or 'a value'}, because {release.identity} was started with "
                f"it and is still kept, got none; `pulumi config set --secret --path '{name}'`. "
                "It may go once no slot holds that release."
            )


def _switch_image(settings: Settings, observation: Observation) -> str:
    """The agent's image by digest, so that a rebuilt one of the same tag is taken up."""
    if observation.source != "host":
        return settings.edge.ops_image
    return image_identity(Docker(settings.deployment.docker_host), settings.edge.ops_image).image


def _record(decided: Plan, observation: Observation) -> HostState:
    """What the host will remember when this run has succeeded."""
    state = observation.view.state
    slots = dict(state.slots)
    for slot in decided.slots:
        if slot.colour not in slots or slots[slot.colour].claim != slot.claim:
            slots[slot.colour] = Slot(
                identity=slot.release.identity, claim=slot.claim, status="ready"
            )
    if decided.target:
        serving = slots[decided.target.colour]
        slots[decided.target.colour] = serving.model_copy(update={"was_live": True})
    return state.model_copy(
        update={
            "serial": decided.serial,
            "live": decided.target,
            "asked": decided.asked,
            "slots": slots,
            "withdrawn": {},
            "releases": {s.release.identity: s.release for s in decided.slots},
            "pending": None,
            "markers": {},
            "last": None,
        }
    )


def _stop(message: str) -> NoReturn:
    raise pulumi.RunError(message)
