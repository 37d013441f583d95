"""The README's first commands fit each other: a second release is another one than the first."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_make_up_deploys_the_release_that_the_readme_goes_on_from() -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.sandbox.yaml").read_text())
    assert stack["config"]["ytempire:version"] == "1.0.0"
    assert "ytops up 1.1.0 " in (ROOT / "README.md").read_text()
