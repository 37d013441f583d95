"""The pack on the backup bucket, by the real engine and provider: previews, nothing is made."""

from __future__ import annotations

import pytest

from tests.e2e.sketch import Sketch
from tests.e2e.world import ROOT, Outcome
from tests.s3.store import CREDENTIALS, PROGRAM, SECONDS, Moto

# What TURN breaks, before anything is declared.
BREAKS = """
    BREAKS = {
        "public": ("plain-private", "blockPublicAcls", False),
        "unversioned": ("full-versioning", "versioningConfiguration", {"status": "Suspended"}),
    }
    name, key, value = BREAKS.get(TURN, ("", "", None))

    def broken(args):
        if args.name == name:
            return pulumi.ResourceTransformResult({**args.props, key: value}, args.opts)

    pulumi.runtime.register_resource_transform(broken)
"""
BARE = """
    from pulumi_aws import s3
    if TURN == "bare":
        s3.Bucket("bare", bucket="bare", opts=ResourceOptions(provider=opts.providers[0]))
"""


@pytest.fixture(scope="module")
def sketch(tmp_path_factory: pytest.TempPathFactory) -> Sketch:
    made = Sketch(tmp_path_factory.mktemp("policies"), seconds=SECONDS)
    made.create(BREAKS + PROGRAM + BARE)
    return made


def preview(sketch: Sketch, moto: Moto, turn: str) -> Outcome:
    pack = str(ROOT / "policies")
    more = {**CREDENTIALS, "MOTO": moto.address, "TURN": turn}
    return sketch.run("preview", "--color=never", PULUMI_OPTION_POLICY_PACK=pack, **more)


def test_the_backup_bucket_as_it_is_declared_passes(sketch: Sketch, moto: Moto) -> None:
    outcome = preview(sketch, moto, "as-it-is")
    assert outcome.ok, outcome.text
    assert "ytempire@" in outcome.text
    assert "[mandatory]" not in outcome.text
    assert "can't run policy" not in outcome.text


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("public", "plain-private must block public access in all four ways: set blockPublicAcls"),
        ("unversioned", "full-versioning must keep versions"),
        ("bare", "bare must have versions: declare a BucketVersioning for it"),
    ],
)
def test_a_broken_one_is_refused_by_name(
    sketch: Sketch, moto: Moto, turn: str, expected: str
) -> None:
    outcome = preview(sketch, moto, turn)
    assert not outcome.ok
    assert expected in " ".join(outcome.text.split())


def test_a_pack_is_told_whether_the_stack_protects(sketch: Sketch, moto: Moto) -> None:
    """The last test of this file: the configuration stays."""
    assert sketch.run("config", "set", "ytempire:protect", "true").ok
    outcome = preview(sketch, moto, "as-it-is")
    assert not outcome.ok
    text = " ".join(outcome.text.split())
    assert "plain must be protected, because the stack is" in text
    assert "plain must not be deleted with what is in it: unset forceDestroy" in text
    assert "full-versioning must be protected, because the stack is" in text
