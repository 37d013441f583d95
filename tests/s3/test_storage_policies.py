"""The pack on the backup bucket, by the real engine and provider: previews, nothing is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies import storage
from tests.e2e.sketch import Sketch
from tests.e2e.world import ROOT, Outcome
from tests.s3.store import CREDENTIALS, PROGRAM, SECONDS, Moto

# What BROKEN says of a resource takes the place of what is declared. For moto, which evaluates no
# conditions, no bucket policy is declared: the open one is declared here.
BREAKS = """
    import json
    BROKEN = json.loads(os.environ["BROKEN"])

    def broken(args):
        if args.name in BROKEN:
            return pulumi.ResourceTransformResult({**args.props, **BROKEN[args.name]}, args.opts)

    pulumi.runtime.register_resource_transform(broken)
"""
BARE = """
    from pulumi_aws import s3
    if BROKEN:
        bare = ResourceOptions(provider=opts.providers[0])
        s3.Bucket("bare", bucket="bare", opts=bare)
        s3.BucketPolicy("open", bucket="bare", policy=BROKEN["open"]["policy"], opts=bare)
"""
OPEN = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Anyone",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::bare/*",
        }
    ],
}
BROKEN: dict[str, dict[str, Any]] = {
    "plain-private": {"blockPublicAcls": False},
    "plain-ownership": {"rule": {"objectOwnership": "ObjectWriter"}},
    "open": {"policy": json.dumps(OPEN)},
    "plain-encryption": {"rules": []},
    "full-versioning": {"versioningConfiguration": {"status": "Suspended"}},
    "plain-lifecycle": {
        "rules": [
            {
                "id": "everything",
                "status": "Enabled",
                "filter": {"prefix": "database/"},
                "expiration": {"days": 1},
            }
        ]
    },
}
SAID = {
    "bucket-blocks-public-access": (
        "plain-private must block public access in all four ways: set blockPublicAcls"
    ),
    "bucket-has-no-access-lists": (
        "plain-ownership must have no access lists, and ObjectWriter allows them"
    ),
    "bucket-is-private": 'open must let nobody in by Anyone ("*")',
    "bucket-speaks-tls": "open must refuse whoever speaks without TLS",
    "bucket-is-encrypted": "plain-encryption must encrypt by default",
    "bucket-is-versioned": "full-versioning must keep versions",
    "bucket-expires-as-retention-says": (
        "plain-lifecycle must expire nothing but what rollout/retention.py names: remove database/*"
    ),
    "bucket-has-its-settings": "bare must have versions: declare a BucketVersioning for it",
    "bucket-is-protected": "plain must not be deleted with what is in it: unset forceDestroy",
    "bucket-settings-are-protected": "full-versioning must be protected, because the stack is",
}


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Sketch:
    made = Sketch(tmp_path_factory.mktemp("policies"), seconds=SECONDS)
    made.create(BREAKS + PROGRAM + BARE)
    return made


def preview(sketch: Sketch, moto: Moto, broken: dict[str, dict[str, Any]]) -> Outcome:
    more = {**CREDENTIALS, "MOTO": moto.address, "BROKEN": json.dumps(broken)}
    pack = str(ROOT / "policies")
    return sketch.run("preview", "--color=never", PULUMI_OPTION_POLICY_PACK=pack, **more)


def test_the_backup_bucket_as_it_is_declared_passes(sketch: Sketch, moto: Moto) -> None:
    outcome = preview(sketch, moto, {})
    assert outcome.ok, outcome.text
    assert "ytempire@" in outcome.text
    assert "[mandatory]" not in outcome.text
    assert "can't run policy" not in outcome.text


def test_each_rule_about_the_bucket_is_broken_below() -> None:
    assert {p.name for p in storage.POLICIES if p.name.startswith("bucket-")} == SAID.keys()


def test_each_rule_refuses_what_breaks_it_and_says_so(sketch: Sketch, moto: Moto) -> None:
    """The last test of this file: that the stack protects stays in its configuration."""
    assert sketch.run("config", "set", "ytempire:protect", "true").ok
    outcome = preview(sketch, moto, BROKEN)
    assert not outcome.ok
    text = " ".join(outcome.text.split())
    assert {rule for rule in SAID if f" {rule} (" not in text} == set(), outcome.text
    assert [words for words in SAID.values() if words not in text] == []
