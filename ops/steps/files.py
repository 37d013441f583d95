"""Files: configuration files in a volume, each replaced whole, readable by its user alone."""

from __future__ import annotations

from collections.abc import Mapping

from ops.docker import Answer, Docker, Say
from ops.errors import StepFailed
from ops.steps import _server
from ops.steps._files import archive, wanted_files
from ops.steps._volume import NOT_OURS, TARGET, give
from rollout.steps import Files

# Unpacked beside their place and moved there, so that nobody ever reads half a file.
SCRIPT = f"""
set -eu
umask 0027
[ -w {TARGET} ] || exit {NOT_OURS}
rm -rf {TARGET}/.incoming.*
new=$(mktemp -d {TARGET}/.incoming.XXXXXX)
trap 'rm -rf "$new"' EXIT
tar -x -f - -C "$new"
cd "$new"
find . -type f >/tmp/names
while IFS= read -r name; do
    chmod 0440 "$name"
    mkdir -p "{TARGET}/${{name%/*}}"
    mv -f "$name" "{TARGET}/$name"
done </tmp/names
"""


def run(parameters: Files, say: Say) -> None:
    docker = Docker()
    files = wanted_files()
    answer = _write(docker, parameters, archive(files))
    if answer.code == NOT_OURS:
        give(docker, parameters.image, parameters.volume, parameters.user)
        answer = _write(docker, parameters, archive(files))
    if answer.code:
        why = answer.words or f"user {parameters.user} can't write there"
        raise StepFailed(
            f"Files were not written to {parameters.volume} on {docker.host}: {why}\n"
            f"Next: `docker volume inspect {parameters.volume}`, then `pulumi up`"
        )
    say(f"{len(files)} files in {parameters.volume}")
    _reread(docker, parameters, files, say)


def _write(docker: Docker, parameters: Files, tar: bytes) -> Answer:
    return docker.call(
        "run", "--rm", "--interactive", "--network", "none", "--read-only", "--tmpfs", "/tmp",
        "--user", parameters.user, "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges:true", "--pids-limit", "32", "--memory", "128m",
        "--volume", f"{parameters.volume}:{TARGET}",
        "--entrypoint", "sh", parameters.image, "-c", SCRIPT,
        stdin=tar, check=False,
    )  # fmt: skip


def _reread(docker: Docker, parameters: Files, files: Mapping[str, str], say: Say) -> None:
    found = docker.inspect(parameters.server)
    if not found or not found.running:
        return
    if parameters.kind == "postgres":
        _server.postgres(docker, parameters.server, say)
    elif parameters.kind == "redis":
        _server.redis(docker, parameters.server, parameters.maxmemory, say)
        _server.redis_users(docker, parameters.server, files.get(parameters.users, ""), say)
