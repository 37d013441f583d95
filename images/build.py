"""Builds the container images that the sandbox needs: `python -m images.build`.

Each image is keyed by a hash of everything that goes into it (its folder, its other inputs, its
build arguments, the key of the image it stands on). The key is a label of the built image, so
that a second run asks the engine once and builds nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "images"
KEY_LABEL = "ytempire.images.key"

# Changes every key: raise it when this module builds differently from the same inputs.
RECIPE = "1"

SUITE = "bookworm"
PYTHON = "3.11"  # Debian bookworm's; the wheels must fit it, whatever Python runs this module
UPSTREAM_BASE = f"debian:{SUITE}-slim"
BOOTSTRAPPED_BASE = f"ytempire-sandbox/bootstrap:{SUITE}"

# An image registry that answers does so well within this; one that is cut off may never.
REGISTRY_SECONDS = 5
# How long "no registry answers" is believed before it is tried again.
REGISTRY_MEMORY_SECONDS = 24 * 3600
# How often a step that runs long says where it is.
SIGN_OF_LIFE_SECONDS = 15
# What of a failed step's log is shown; the file has the rest.
LOG_LINES = 15

COMMAND = "python -m images.build"


class BuildError(Exception):
    """Something the user can act on: what happened, the log's end, and the next command."""

    def __init__(self, message: str, *, next_step: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.log = tuple(log)


# What there is to build -------------------------------------------------------------------------


@dataclass(frozen=True)
class Image:
    """One tag and all that determines its content."""

    name: str  # what --only understands
    tag: str
    folder: str  # under images/
    parent: str | None = None  # another image's name
    arguments: Mapping[str, str] = field(default_factory=dict)
    wheels: tuple[str, ...] = ()  # requirements files under images/
    repository: tuple[str, ...] = ()  # paths in the checkout, copied to repository/ in the context


# A backend tag and the flaw that is built into it, in the order in which tests need them.
BACKENDS: dict[str, str] = {
    "1.0.0": "none",
    "1.1.0": "none",
    "1.2.0": "none",
    "2.0.0-never-healthy": "never-healthy",
    "2.0.1-crashes-at-boot": "crashes-at-boot",
    "2.0.2-failing-migration": "failing-migration",
    "2.0.3-errors-after-switch": "errors-after-switch",
    "2.0.4-wrong-name": "wrong-name",
    "2.0.5-slow-boot": "slow-boot",
    "2.0.6-hung-health": "hung-health",
    "2.0.7-breaks-contract": "breaks-contract",
    "2.1.0-breaks-previous": "breaks-previous",
}
OPS_VERSION = "0.1.0"


def _backend(version: str, flaw: str) -> Image:
    return Image(
        f"backend:{version}",
        f"ytempire/backend:{version}",
        "backend",
        parent="python",
        arguments={"VERSION": version, "FLAW": flaw},
        wheels=("backend/requirements.txt", "python/requirements.txt"),
    )


IMAGES: tuple[Image, ...] = (
    Image("base", f"ytempire-sandbox/base:{SUITE}", "base"),
    Image("postgres", "ytempire-sandbox/postgres:15", "postgres", parent="base"),
    Image("redis", "ytempire-sandbox/redis:7", "redis", parent="base"),
    Image("nginx", "ytempire-sandbox/nginx:1.22", "nginx", parent="base"),
    Image("python", f"ytempire-sandbox/python:{PYTHON}", "python", parent="base"),
    *(_backend(version, flaw) for version, flaw in BACKENDS.items()),
    Image(
        "ops",
        f"ytempire/ops:{OPS_VERSION}",
        "ops",
        parent="python",
        arguments={"VERSION": OPS_VERSION},
        wheels=("ops/requirements.txt", "python/requirements.txt"),
        repository=("rollout", "ops/__init__.py", "ops/errors.py", "ops/switch"),
    ),
    Image(
        "scheduler",
        f"ytempire/scheduler:{OPS_VERSION}",
        "scheduler",
        parent="postgres",
        arguments={"VERSION": OPS_VERSION},
        wheels=("scheduler/requirements.txt", "python/requirements.txt"),
        repository=("rollout", "ops"),
    ),
)


# What has to be built: pure ---------------------------------------------------------------------


def digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """One hash over named contents; lengths are part of it, so that nothing can shift."""
    total = hashlib.sha256()
    for name, content in sorted(parts):
        for piece in (name.encode(), content):
            total.update(len(piece).to_bytes(8, "big"))
            total.update(piece)
    return total.hexdigest()


def content_key(image: Image, files: Mapping[str, bytes], parent_key: str) -> str:
    """What the image is made of, in one line."""
    arguments = json.dumps(dict(image.arguments), sort_keys=True)
    facts = {"recipe": RECIPE, "tag": image.tag, "arguments": arguments, "parent": parent_key}
    named = [(f"fact:{name}", value.encode()) for name, value in facts.items()]
    return digest([*named, *((f"file:{path}", content) for path, content in files.items())])


def content_keys(
    images: Sequence[Image], files: Mapping[str, Mapping[str, bytes]]
) -> dict[str, str]:
    """Every image's key, by name; an image comes after the one it stands on."""
    keys: dict[str, str] = {}
    for image in images:
        parent_key = keys[image.parent] if image.parent else ""
        keys[image.name] = content_key(image, files[image.name], parent_key)
    return keys


def select_images(images: Sequence[Image], only: Sequence[str]) -> list[Image]:
    """The images asked for and what they stand on, in building order; none asked for is all.

    `backend` means every version of it.
    """
    by_name = {image.name: image for image in images}
    wanted = set() if only else set(by_name)
    for word in only:
        names = {image.name for image in images if word in (image.name, image.tag, image.folder)}
        if not names:
            raise BuildError(f"there is no image {word!r}", next_step=f"{COMMAND} --list")
        wanted |= names
    for name in list(wanted):
        parent = by_name[name].parent
        while parent:
            wanted.add(parent)
            parent = by_name[parent].parent
    return [image for image in images if image.name in wanted]


def stale_images(
    images: Sequence[Image], keys: Mapping[str, str], present: Mapping[str, str]
) -> list[Image]:
    """Those whose tag is missing or carries another key. `present` is key by tag."""
    return [image for image in images if present.get(image.tag) != keys[image.name]]


# What goes into it: the checkout ----------------------------------------------------------------


def _is_input(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def _walk(path: Path) -> Iterator[Path]:
    candidates = sorted(path.rglob("*")) if path.is_dir() else [path]
    return (candidate for candidate in candidates if _is_input(candidate))


def read_inputs(image: Image) -> dict[str, bytes]:
    """Every file of the image's build context but the wheels, by its path there.

    Read once, for key and context alike: somebody may be editing the checkout meanwhile.
    """
    home = FOLDER / image.folder
    files = {str(path.relative_to(home)): path.read_bytes() for path in _walk(home)}
    for part in image.repository:
        for path in _walk(REPOSITORY / part):
            files[f"repository/{path.relative_to(REPOSITORY)}"] = path.read_bytes()
    for name in image.wheels:
        # The wheels themselves count by the hashes that they are pinned to.
        files[f"pins/{name}"] = (FOLDER / name).read_bytes()
    return files


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home) / "ytempire" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Running things ---------------------------------------------------------------------------------


def _tail(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-LOG_LINES:]


def run_logged(arguments: Sequence[str], log: Path, what: str, next_step: str) -> None:
    """Runs a step with its output in `log`; a failure shows the log's end."""
    with log.open("a") as output:
        # The classic builder: this route must not need a plugin that Debian doesn't ship.
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        try:
            process = subprocess.Popen(
                arguments, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except FileNotFoundError:
            raise BuildError(
                f"{arguments[0]} is not installed", next_step=f"apt-get install {arguments[0]}"
            ) from None
        with process:
            status = _wait(process, log)
    if status != 0:
        lines = [*_tail(log), f"(all of it: {log})"]
        raise BuildError(f"{what} failed with exit status {status}", next_step=next_step, log=lines)


def _wait(process: subprocess.Popen[bytes], log: Path) -> int:
    """Waits, and says now and then where it is: silence looks like a hang."""
    started = time.monotonic()
    while True:
        try:
            return process.wait(timeout=SIGN_OF_LIFE_SECONDS)
        except subprocess.TimeoutExpired:
            latest = (_tail(log) or [""])[-1][:80]
            print(f"\n      {time.monotonic() - started:.0f} s: {latest} … ", end="", flush=True)
        except BaseException:
            process.terminate()
            raise


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(
            "the docker client is not installed", next_step="apt-get install docker.io iptables"
        ) from None


def present_keys(images: Sequence[Image]) -> dict[str, str]:
    """The key of each tag that the engine has, by one question for all of them."""
    tags = [image.tag for image in images]
    layout = '{{json .RepoTags}}\t{{index .Config.Labels "' + KEY_LABEL + '"}}'
    answer = _docker("image", "inspect", "--format", layout, *tags)
    missing = "no such image" in answer.stderr.lower()
    if answer.returncode != 0 and not missing:
        raise BuildError(
            "the Docker engine does not answer", next_step="docker info", log=_lines(answer.stderr)
        )
    present: dict[str, str] = {}
    for line in answer.stdout.splitlines():
        names, _, key = line.partition("\t")
        present.update(dict.fromkeys(json.loads(names) if names else [], key))
    return present


def _lines(text: str) -> list[str]:
    """The last lines, each once: the client repeats itself for every image it is asked about."""
    return list(dict.fromkeys(text.strip().splitlines()))[-LOG_LINES:]


# The base ---------------------------------------------------------------------------------------


def _registry_silent(memory: Path) -> bool:
    """Whether a registry was found out of reach lately."""
    try:
        return time.time() - memory.stat().st_mtime < REGISTRY_MEMORY_SECONDS
    except FileNotFoundError:
        return False


def pull(reference: str, log: Path) -> bool:
    """Pulls an image; gives up when nothing at all was heard for a few seconds.

    The engine's first line comes with the registry's first answer; from then on a slow
    connection is a reason to wait.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["docker", "pull", reference], stdout=subprocess.PIPE, stderr=output
        )
        assert process.stdout is not None
        heard, _, _ = select.select([process.stdout], [], [], REGISTRY_SECONDS)
        if not heard:
            process.kill()
        for line in process.stdout:
            output.write(line)
        return process.wait() == 0


def bootstrap(log: Path) -> None:
    """Makes a minimal Debian from its packages and imports it.

    A site with a package mirror names an apt sources file in YTEMPIRE_APT_SOURCES; it becomes
    the image's own.
    """
    _need_mmdebstrap(log)
    sources = os.environ.get("YTEMPIRE_APT_SOURCES")
    # What an image never reads; upstream's slim variant leaves it out as well.
    lean = [
        f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "info", "locale", "man")
    ]
    lean.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    again = f"{COMMAND} --only base"
    with tempfile.TemporaryDirectory(prefix="ytempire-base-") as scratch:
        archive = str(Path(scratch) / "base.tar")
        source = [sources] if sources else []
        command = ["mmdebstrap", "--variant=minbase", *lean, SUITE, archive, *source]
        run_logged(command, log, "mmdebstrap", again)
        label = ["--change", f"LABEL {KEY_LABEL}=bootstrap"]  # so that `make down` knows it as ours
        run_logged(["docker", "import", *label, archive, BOOTSTRAPPED_BASE], log, "import", again)


def _need_mmdebstrap(log: Path) -> None:
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() != 0:
        raise BuildError("mmdebstrap is not installed", next_step="sudo apt-get install mmdebstrap")
    again = "apt-get install mmdebstrap"
    run_logged(["apt-get", "update"], log, "apt-get update", again)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"]
    run_logged(install, log, "installing mmdebstrap", again)


def obtain_base(log: Path) -> str:
    """Debian by the first route that works; which one is no part of any key.

    Pulled by tag: the digest moves with every Debian point release, and a base without its
    security updates is the worse promise.
    """
    memory = cache_folder() / "no-image-registry"
    if not _registry_silent(memory):
        if pull(UPSTREAM_BASE, log):
            return UPSTREAM_BASE
        memory.touch()
    bootstrap(log)
    return BOOTSTRAPPED_BASE


# The wheels -------------------------------------------------------------------------------------


def _architecture() -> str:
    """The engine's, as wheels call it: it may be another machine than this one."""
    name = _docker("version", "--format", "{{.Server.Arch}}").stdout.strip()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def wheel_folder(requirements: Path, log: Path) -> Path:
    """The wheels that a requirements file pins, downloaded once and kept outside the checkout."""
    architecture = _architecture()
    text = requirements.read_bytes()
    key = digest([("requirements", text), ("for", f"{PYTHON} {architecture}".encode())])
    folder = cache_folder() / f"wheels-{key[:16]}"
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=cache_folder()) as scratch:
        _download_wheels(requirements, architecture, Path(scratch), log)
        # Complete or absent: an interrupted download must not look like a finished one.
        with contextlib.suppress(FileExistsError):
            shutil.copytree(scratch, f"{folder}.new", dirs_exist_ok=True)
            Path(f"{folder}.new").rename(folder)
    return folder


def _download_wheels(requirements: Path, architecture: str, folder: Path, log: Path) -> None:
    platforms = [f"manylinux2014_{architecture}", f"manylinux_2_28_{architecture}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    command += [f"--platform={platform}" for platform in platforms]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    run_logged(command, log, "downloading Python packages", f"{COMMAND} --only backend ops")


# Building ---------------------------------------------------------------------------------------


def assemble(image: Image, files: Mapping[str, bytes], context: Path, log: Path) -> None:
    """The build context: what the key was taken of, and the wheels."""
    for name, content in files.items():
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o644)
    for name in image.wheels:
        for wheel in sorted(wheel_folder(FOLDER / name, log).iterdir()):
            (context / "wheels").mkdir(exist_ok=True)
            shutil.copy2(wheel, context / "wheels" / wheel.name)


@dataclass(frozen=True)
class Job:
    """An image, with what it is made of."""

    image: Image
    files: Mapping[str, bytes]
    key: str


def build(job: Job, parent_tag: str, log: Path) -> None:
    image = job.image
    with tempfile.TemporaryDirectory(prefix="ytempire-context-") as scratch:
        context = Path(scratch)
        context.chmod(0o755)
        assemble(image, job.files, context, log)
        # A failed step must not leave its container behind.
        command = ["docker", "build", "--force-rm", "--tag", image.tag]
        command += ["--label", f"{KEY_LABEL}={job.key}"]
        for name, value in {"BASE": parent_tag, **image.arguments}.items():
            command += ["--build-arg", f"{name}={value}"]
        again = f"{COMMAND} --only {image.name}"
        run_logged([*command, str(context)], log, f"building {image.tag}", again)


def build_all(jobs: Sequence[Job]) -> None:
    tags = {image.name: image.tag for image in IMAGES}
    logs = cache_folder() / "logs"
    logs.mkdir(exist_ok=True)
    for number, job in enumerate(jobs, 1):
        log = logs / f"{job.image.name.replace(':', '-')}.log"
        log.write_text("")
        print(f"[{number}/{len(jobs)}] {job.image.tag} … ", end="", flush=True)
        started = time.monotonic()
        try:
            parent = job.image.parent
            build(job, tags[parent] if parent else obtain_base(log), log)
        except BaseException:
            print("failed", flush=True)
            raise
        print(f"{time.monotonic() - started:.1f} s", flush=True)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two runs would build the same twice; the second waits, then finds it done."""
    with (cache_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run is building; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# The command ------------------------------------------------------------------------------------


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description="Builds the sandbox's images.")
    names = "an image with what it stands on: postgres, backend (all versions), backend:1.1.0 …"
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help=names)
    parser.add_argument("--list", action="store_true", help="say what is current, build nothing")
    return parser.parse_args(argv)


def list_images(images: Sequence[Image], stale: Sequence[Image]) -> None:
    for image in images:
        state = "to build" if image in stale else "current"
        print(f"{image.name:32} {image.tag:44} {state}")


def ensure(only: Sequence[str], *, just_list: bool = False) -> None:
    """Brings the images asked for up to date."""
    images = select_images(IMAGES, only)
    files = {image.name: read_inputs(image) for image in images}
    keys = content_keys(images, files)
    stale = stale_images(images, keys, present_keys(images))
    if just_list:
        list_images(images, stale)
        return
    if stale:
        with one_at_a_time():
            # Whoever was waited for may have built them.
            stale = stale_images(stale, keys, present_keys(stale))
            build_all([Job(image, files[image.name], keys[image.name]) for image in stale])
    print(f"{len(images)} images are current")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    try:
        ensure(arguments.only, just_list=arguments.list)
    except BuildError as error:
        print(f"error: {error}", *(f"  | {line}" for line in error.log), sep="\n", file=sys.stderr)
        print(f"next: {error.next_step}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}", f"next: {COMMAND}", sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; next: {COMMAND}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
