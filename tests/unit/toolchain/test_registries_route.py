"""Route 2 keeps each finished program, and none that is half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import shell
from toolchain.routes import golang, prune_aws, upstream
from toolchain.routes.registries import Build


@pytest.fixture
def build(checkout: Path, tmp_path: Path) -> Build:
    """A build whose sources are ready."""
    return Build(checkout, tmp_path, Path("go"), prepared=True)


def test_finished_program_is_not_made_again(build: Build, tmp_path: Path) -> None:
    build.once(tmp_path / "bin" / "program", lambda out: _write(out, "first"))
    build.once(tmp_path / "bin" / "program", lambda out: _write(out, "second"))
    assert (tmp_path / "bin" / "program").read_text() == "first"


def test_program_that_failed_half_way_is_absent(build: Build, tmp_path: Path) -> None:
    def fail(out: Path) -> None:
        out.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        build.once(tmp_path / "program", fail)
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize(
    ("answer", "enough"),
    [("go version go1.26.3 linux/amd64", True), ("go version go1.27 linux/amd64", True),
     ("go version go1.25.9 linux/amd64", False), (None, False)],
)  # fmt: skip
def test_old_or_silent_go_is_not_used(
    answer: str | None, enough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "capture", lambda _: answer)
    assert golang.recent_enough(Path("go")) is enough


def test_tests_and_documentation_of_a_provider_are_not_copied() -> None:
    names = ["a.go", "a_test.go", "sweep.go", "sweep", "website", "smarterr.hcl"]
    assert upstream.unneeded("", names) == {"a_test.go", "sweep.go", "website"}


def test_list_of_services_is_cut_to_ours() -> None:
    source = '\t"x/internal/service/s3"\n\t"x/internal/service/acm"\n\t\tacm.ServicePackage(ctx),'
    assert prune_aws.only_packages(source) == '\t"x/internal/service/s3"'


def test_clients_are_cut_to_ours_with_their_imports() -> None:
    imports = 'import (\n\t"aws-sdk-go-v2/service/acm"\n\t"aws-sdk-go-v2/service/s3"\n)\n'
    client = "func (c *AWSClient) {0}Client(ctx context.Context) *{0}.Client {{\n\tbody\n}}\n"
    cut = prune_aws.only_clients(imports + client.format("acm") + client.format("s3"))
    assert cut == 'import (\n\t"aws-sdk-go-v2/service/s3"\n)\n' + client.format("s3")


def test_endpoint_settings_are_cut_to_ours() -> None:
    setting = '\n\t\t"{}": schema.StringAttribute{{\n\t\t\tOptional: true,\n\t\t}},'
    cut = prune_aws.only_endpoints(setting.format("acm") + setting.format("s3"))
    assert cut == setting.format("s3")


def _write(out: Path, text: str) -> None:
    out.write_text(text)
