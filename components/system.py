"""The system: what a stack declares, in the order of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pulumi
import pulumi.runtime.config as runtime_config

from components.awake import awake
from components.edge import Edge
from components.gate import gate
from components.haste import make_haste
from components.host import Networks, NetworksArgs, provider, volume
from components.postgres import Postgres
from components.redis import Redis
from components.scheduler import Scheduler
from components.site import Site
from components.slot import CrewArgs, ReleaseSlot, SlotArgs, WorkerCrew
from components.switch import BlueGreenSwitch
from components.wal import Wal
from ops import pack
from ops.amiss import Amiss, amiss
from ops.docker import Docker
from ops.errors import HostUnreachable, OpsError
from ops.observe import Observation, image_identity, observe
from ops.stackfile import find_root
from rollout import settings as configuration
from rollout.dumps import is_fresh
from rollout.fingerprint import changed_secrets
from rollout.items import Item
from rollout.names import Names, marker, store_of
from rollout.plan import DeclaredSlot, Plan, plan
from rollout.release import ImageIdentity, image_tag, missing_secrets, wanted_release
from rollout.settings import Settings, SettingsError
from rollout.shapes import Release
from rollout.state import HostState, Slot
from rollout.steps import Maintenance


@dataclass(frozen=True)
class Run:
    """What a run starts from."""

    settings: Settings
    names: Names
    observation: Observation
    plan: Plan
    switch_image: str
    scheduler_image: str
    amiss: Amiss
    checklist: tuple[Item, ...] = ()
    maintenance: Maintenance | None = None


def begin() -> Run:
    """Read the configuration, look at the host, decide. A mistake ends the run with its words."""
    make_haste()
    try:
        settings = configuration.load(pulumi.get_stack(), *raw_configuration())
        root = find_root(Path.cwd())
        if settings.is_production:
            demand_policies(settings.stack, root)
        names = Names(settings.stack)
        look = _look(settings, names)
        observation = look.observation
        wanted = _wanted(settings, look)
        deployment = settings.deployment
        decided = plan(observation.view, wanted, deployment.reinstate, deployment.pinned)
        for release in _kept(decided):
            _check_secrets(settings, release)
        switch_image = _by_digest(settings, look, settings.edge.ops_image, names.switch)
        scheduler_image = ""
        if settings.scheduler.on:
            scheduler_image = _by_digest(settings, look, settings.scheduler.image, names.scheduler)
        wrong = look.amiss.result() if observation.source == "host" else Amiss()
        items = _checklist(settings, root, observation, decided)
        allowed = _maintenance(settings, root)
    except (SettingsError, OpsError) as error:
        stop(str(error))
    if decided.action == "refuse":
        stop(decided.reason)
    pulumi.log.info(f"plan: {decided.action}: {decided.reason}")
    return Run(
        settings,
        names,
        observation,
        decided,
        switch_image,
        scheduler_image,
        wrong,
        items,
        allowed,
    )


class System:
    """Everything, declared. Reads top to bottom as the parts depend on each other."""

    def __init__(self, run: Run) -> None:
        self.run = run
        settings = run.settings
        self.gate = gate(
            run.plan, run.observation.view.state, settings, run.checklist, run.maintenance
        )
        self.site = Site(settings, run.names, provider(settings), self.gate, bool(run.maintenance))
        subnets = settings.networks
        self.networks = Networks(
            "networks",
            NetworksArgs(subnets.edge, subnets.app, subnets.data, subnets.isolated),
            self.site,
        )
        databases, brokers = (store.open(_kept(run.plan)) for store in settings.datastores)
        self.postgres = Postgres("postgres", self.networks, databases, self.site)
        self.wal = None
        if settings.receives_log:
            self.wal = Wal("wal", self.networks, self.postgres, self.site)
        self.redis = Redis("redis", self.networks, brokers, self.site)
        self.edge = Edge("edge", self.networks, self.redis.ready, run.switch_image, self.site)
        self.media = volume("media", self.edge, self.site)
        if settings.scheduler.image:
            self._scheduler()
        self.awake = awake(run.plan, run.amiss, self.site, [*self._stores, self.edge.nginx])
        self.slots = [self._slot(declared) for declared in run.plan.slots]
        self._draining()
        self.last: pulumi.Output[dict[str, str] | None] | None = None
        if run.plan.target and run.plan.serial:
            verified: list[pulumi.Resource] = [slot.verified for slot in self.slots]
            switch = BlueGreenSwitch("switch", run.plan, self.site, [*verified, self.edge.ready])
            self.last = switch.last

    def _scheduler(self) -> None:
        Scheduler(
            "scheduler",
            self.networks,
            {"media": self.media.name, **self.edge.volumes},
            self.wal.received if self.wal else None,
            self.run.scheduler_image,
            self.site,
            [self.postgres.ready],
        )

    def _slot(self, declared: DeclaredSlot) -> ReleaseSlot:
        state = self.run.observation.view.state
        serves = self.run.plan.source or state.live
        return ReleaseSlot(
            declared.colour,
            SlotArgs(
                declared=declared,
                plan=self.run.plan,
                networks=self.networks,
                media=self.media.name,
                live=self.edge.live_volume,
                serves=serves.identity if serves else "",
                stale_dump=_stale_dump(declared, state.markers),
            ),
            self.site,
            [*self._stores, self.edge.nginx, self.awake],
        )

    @property
    def _stores(self) -> list[pulumi.Resource]:
        return [self.postgres.ready, self.redis.ready]

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
        pulumi.export("bucket", run.settings.backups.bucket)
        pulumi.export("serial", run.plan.serial)
        pulumi.export("lastDeploy", self.last)
        # Not a secret, but nothing that anyone wants to read after each run.
        record = _record(run.plan, run.observation).model_dump_json()
        pulumi.export("record", pulumi.Output.secret(record))


def demand_policies(stack: str, root: Path) -> None:
    """A program can't see whether a pack judges it; it can see whether Pulumi was told to."""
    if not pack.named(root):
        place = store_of(stack) or stack
        raise OpsError(
            f"{stack} is a production stack and runs with its policies only, but "
            f"{pack.VARIABLE} does not name them. Next: `source .env.{place}`, or "
            f"`export {pack.VARIABLE}={root / pack.FOLDER}`, then the same command again; `ytops` "
            "does it by itself."
        )


def _checklist(
    settings: Settings, root: Path, observation: Observation, decided: Plan
) -> tuple[Item, ...]:
    """How each item stands, where users are to get another release; a preview leaves what belongs
    to the night for the night. A rollback asks for nothing."""
    target = decided.target
    if target is None or not decided.brings_a_release(observation.view.state):
        return ()
    version = target.identity.partition("+")[0]
    if not settings.checklist.required:
        pulumi.log.info(
            f"{settings.stack} is not held to the checklist; `ytops checklist {version}` shows it"
        )
        return ()
    # Imported here: a tenth of a second that all other runs do without.
    from ops.gather import items, sources
    from rollout.judge import Phase

    docker, names = Docker(settings.deployment.docker_host), Names(settings.stack)
    away = "" if observation.source == "host" else "the Docker host does not answer"
    found = sources(root, names, docker, raw_configuration()[0], away)
    phase: Phase = "preview" if pulumi.runtime.is_dry_run() else "up"
    return items(found, version, phase, observation)


def _maintenance(settings: Settings, root: Path) -> Maintenance | None:
    """The change that allows this run to replace what no deploy does. One that does not (any more)
    stops no run, a rollback least of all: everything is protected then, as always."""
    name = settings.deployment.maintenance
    if not name:
        return None
    from ops.maintenance import allowed  # with git and the records: other runs do without

    found = allowed(root, name, settings.checklist.lead_hours)
    if isinstance(found, Maintenance):
        return found
    pulumi.log.warn(f"{name} allows no maintenance, and all stays protected: {found}")
    return None


def _stale_dump(slot: DeclaredSlot, markers: Mapping[str, str]) -> str:
    """The note of the dump that an earlier run took for this slot, when it is too old and the
    migrations, which it is for, are still to come."""
    note = markers.get(marker(slot.colour, "backup", slot.key), "")
    migrated = marker(slot.colour, "migrate", slot.key) in markers
    return "" if migrated or not note or is_fresh(note, datetime.now(UTC)) else note


def raw_configuration() -> tuple[dict[str, str], frozenset[str]]:
    """This project's keys, and which of them are secret."""
    prefix = f"{pulumi.get_project()}:"
    raw = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secret = {*runtime_config.get_config_secret_keys_env(), *runtime_config._SECRET_KEYS.get()}
    return (
        {key.removeprefix(prefix): value for key, value in raw.items() if key.startswith(prefix)},
        frozenset(key.removeprefix(prefix) for key in secret),
    )


@dataclass(frozen=True)
class _Look:
    """What was seen of the host. The rest was asked beside the first question: its failures are
    raised by whoever wants the answer, which nobody does where only the record speaks."""

    observation: Observation
    images: Mapping[str, Future[ImageIdentity]]
    amiss: Future[Amiss]


def _look(settings: Settings, names: Names) -> _Look:
    """All at once: each question is a process of its own, over ssh a journey of its own."""
    docker = Docker(settings.deployment.docker_host)
    tags = [
        settings.edge.ops_image,
        *([settings.scheduler.image] if settings.scheduler.on else []),
        *([image_tag(settings)] if _asks(settings) else []),
    ]
    with ThreadPoolExecutor() as pool:
        images = {tag: pool.submit(image_identity, docker, tag) for tag in tags}
        wrong = pool.submit(amiss, docker, names)
        return _Look(_observe(settings, names), images, wrong)


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


def _asks(settings: Settings) -> bool:
    """Whether the configuration asks for a version, and not for a recorded release."""
    return bool(settings.deployment.version) and not settings.deployment.pinned


def _wanted(settings: Settings, look: _Look) -> Release | None:
    if not _asks(settings):
        return None
    tag = image_tag(settings)
    known = _recorded_image(look.observation.view.state, tag)
    if look.observation.source != "host":
        return wanted_release(settings, known or ImageIdentity(tag, tag))
    try:
        image = look.images[tag].result()
    except HostUnreachable:
        raise
    except OpsError as error:
        if known is None:
            raise
        image = known
        pulumi.log.warn(f"{_first_line(error)}\nGoing by the record: {tag} is {known.digest}.")
    return wanted_release(settings, image)


def _recorded_image(record: HostState, tag: str) -> ImageIdentity | None:
    """What the tag meant when a release of it was started; those that still have a slot first."""
    kept = [slot.identity for slot in record.slots.values()]
    for identity in (*kept, *reversed(record.releases)):
        release = record.releases.get(identity)
        if release and release.tag == tag:
            return ImageIdentity(release.image, release.digest)
    return None


def _kept(decided: Plan) -> list[Release]:
    """The releases whose containers stay as they were started."""
    return [*(slot.release for slot in decided.slots if slot.frozen), *decided.draining]


def _check_secrets(settings: Settings, release: Release) -> None:
    """A kept release goes on with the secrets that it was started with. A key that is gone is no
    harm while its containers are there; a datastore's password is its login's, and no other."""
    key = settings.deployment.fingerprint_key
    for name in changed_secrets(release, settings.datastore_passwords, key):
        got = "another" if name in settings.datastore_passwords else "none"
        raise OpsError(
            f"{name}: expected the value that {release.identity} was started with, because that "
            f"release is still kept and would be cut off from its data, got {got}. Put the old "
            f"value back, `pulumi config set --secret {name}`; for a new password: "
            "`ytops secrets rotate`."
        )
    gone = ", ".join(missing_secrets(release, settings.secrets))
    if gone:
        pulumi.log.warn(
            f"{gone}: {release.identity} was started with it and is still kept. Its containers go "
            "on as they are; were one lost, it could not be made anew."
        )


def _by_digest(settings: Settings, look: _Look, tag: str, container: str) -> str:
    """An image of ours by digest, so that a rebuilt one of the same tag is taken up."""
    if look.observation.source != "host":
        return tag
    try:
        return look.images[tag].result().image
    except HostUnreachable:
        raise
    except OpsError as error:
        standing = Docker(settings.deployment.docker_host).inspect(container)
        if standing is None or not standing.image:
            raise
        pulumi.log.warn(f"{_first_line(error)}\n{container} keeps the image that it has.")
        return standing.image


def _first_line(error: OpsError) -> str:
    return str(error).splitlines()[0]


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
            "serial": max(state.serial, decided.serial),
            "confirmed": decided.serial,
            "live": decided.target,
            "asked": decided.asked,
            "slots": slots,
            "withdrawn": {},
            "releases": {s.release.identity: s.release for s in decided.slots},
            "pending": None,
            "markers": {},
            "last": None,
            "last_switch": None,
        }
    )


def stop(message: str) -> NoReturn:
    raise pulumi.RunError(message)
