"""What this machine is, as far as figures depend on it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe(docker: str) -> dict[str, str]:
    """A line each. `docker`: the engine's version."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) // 1024 / 1024:.0f} GB",
        "system": f"{_field('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}",
        "Docker": docker.strip(),
        "docker-compose": _said("docker-compose", "version", "--short"),
        "Pulumi": _said("pulumi", "version"),
        "Python": platform.python_version(),
        "load average at the start": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _field(file: str, name: str, between: str = ":") -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(between)
        if key.strip() == name:
            return value.strip().strip('"')
    return "unknown"


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
