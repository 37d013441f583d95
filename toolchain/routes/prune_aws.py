"""Cuts the Terraform AWS provider down to the services that we declare.

Whole, it takes the better part of an hour to compile. It also spends 1.6 seconds of every run on
validating its some 400 endpoint settings, in time that grows with the square of their number.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

# `s3` imports `cloudformation`; `sts` tells who we are.
SERVICES = frozenset({"s3", "s3control", "iam", "kms", "sts", "cloudformation"})

# The names under which the endpoints of those services may be set.
ENDPOINTS = SERVICES | {"s3api"}

CLIENT = re.compile(r"func \(c \*AWSClient\) \w+\([^)]*\) \*([a-z0-9_]+)\.Client \{.*?\n\}\n", re.S)
IMPORT = re.compile(r'\s*(?:(\w+)\s+)?"([^"]+)"$')
ENDPOINT = re.compile(r'\n\t+"(\w+)": (?:schema\.StringAttribute)?\{.*?\n\t+\},', re.S)
NAMES = re.compile(r'^service "(\w+)" \{.*?^\}\n', re.S | re.M)


def prune(provider: Path) -> None:
    """Edit a copy of the provider's module in place."""
    keep_services(provider / "internal" / "service")
    edit(provider / "internal/provider/sdkv2/service_packages_gen.go", only_packages)
    edit(provider / "internal/conns/awsclient_gen.go", only_clients)
    for half in ("sdkv2", "framework"):
        edit(provider / f"internal/provider/{half}/provider_gen.go", only_endpoints)
    edit(provider / "names/data/names_data.hcl", only_names)


def edit(file: Path, change: Callable[[str], str]) -> None:
    """Rewrite a file."""
    file.write_text(change(file.read_text()))


def keep_services(folder: Path) -> None:
    """Drop the other services' code, but keep one of the error catalogues: they are embedded."""
    catalogue = next(folder.glob("*/smarterr.hcl")).relative_to(folder)
    for service in folder.iterdir():
        if not service.is_dir() or service.name in SERVICES:
            continue
        for entry in service.iterdir():
            if entry.relative_to(folder) == catalogue:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if service.name != catalogue.parts[0]:
            service.rmdir()


def only_packages(source: str) -> str:
    """The list of services that the provider assembles."""
    service = re.compile(r'internal/service/(\w+)"|^\s*(\w+)\.ServicePackage\(ctx\),')

    def kept(line: str) -> bool:
        found = service.search(line)
        return not found or (found[1] or found[2]) in SERVICES

    return "\n".join(filter(kept, source.split("\n")))


def only_clients(source: str) -> str:
    """The API clients, and the imports that they needed."""
    source = CLIENT.sub(lambda found: found[0] if found[1] in SERVICES else "", source)
    body = source[source.index("\n)\n") :]

    def kept(line: str) -> bool:
        found = IMPORT.match(line)
        if not found or "aws-sdk-go-v2/service/" not in found[2]:
            return True
        name = found[1] or found[2].rsplit("/", 1)[1]
        return re.search(rf"\b{name}\.", body) is not None

    return "\n".join(filter(kept, source.split("\n")))


def only_endpoints(source: str) -> str:
    """The endpoint settings that a configuration may have."""
    return ENDPOINT.sub(lambda found: found[0] if found[1] in ENDPOINTS else "", source)


def only_names(source: str) -> str:
    """The catalogue of services, which is parsed at every start."""
    return NAMES.sub(lambda found: found[0] if found[1] in SERVICES else "", source)
