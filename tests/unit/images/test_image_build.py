"""What the image builder decides: keys, order, what is stale. Nothing here asks an engine."""

from __future__ import annotations

import dataclasses

import pytest

from images import build
from images.build import BuildError, Image

BASE = Image("base", "example/base:1", "base")
APP = Image("app:1", "example/app:1", "app", parent="base", arguments={"VERSION": "1"})
APP_2 = Image("app:2", "example/app:2", "app", parent="base", arguments={"VERSION": "2"})
OTHER = Image("other", "example/other:1", "other", parent="base")
ALL = (BASE, APP, APP_2, OTHER)
FILES = {image.name: {"Dockerfile": b"FROM base"} for image in ALL}


def names(images: list[Image]) -> list[str]:
    return [image.name for image in images]


def test_the_same_inputs_have_the_same_key() -> None:
    assert build.content_key(APP, FILES["app:1"], "p") == build.content_key(
        dataclasses.replace(APP), dict(FILES["app:1"]), "p"
    )


@pytest.mark.parametrize(
    ("image", "files", "parent_key"),
    [
        (APP, {"Dockerfile": b"FROM other"}, "p"),
        (APP, {"Dockerfile": b"FROM base", "new": b""}, "p"),
        (APP, {"Containerfile": b"FROM base"}, "p"),
        (APP, FILES["app:1"], "another parent"),
        (dataclasses.replace(APP, arguments={"VERSION": "3"}), FILES["app:1"], "p"),
        (dataclasses.replace(APP, tag="example/app:3"), FILES["app:1"], "p"),
    ],
    ids=["content", "new file", "renamed file", "parent", "argument", "tag"],
)
def test_any_changed_input_changes_the_key(
    image: Image, files: dict[str, bytes], parent_key: str
) -> None:
    original = build.content_key(APP, FILES["app:1"], "p")
    assert build.content_key(image, files, parent_key) != original


def test_bytes_cannot_move_from_one_file_to_the_next() -> None:
    assert build.digest([("a", b"xy"), ("b", b"")]) != build.digest([("a", b"x"), ("b", b"y")])


def test_the_order_of_the_files_is_no_part_of_the_key() -> None:
    assert build.digest([("a", b"1"), ("b", b"2")]) == build.digest([("b", b"2"), ("a", b"1")])


def test_a_changed_parent_changes_its_children_and_nobody_else() -> None:
    alone = Image("alone", "example/alone:1", "alone")
    files = {**FILES, "alone": {}}
    before = build.content_keys((*ALL, alone), files)
    after = build.content_keys((*ALL, alone), {**files, "base": {"Dockerfile": b"FROM scratch"}})
    assert {name for name in before if before[name] != after[name]} == set(FILES)


def test_nothing_asked_for_is_everything() -> None:
    assert names(build.select_images(ALL, [])) == ["base", "app:1", "app:2", "other"]


def test_an_image_brings_what_it_stands_on_and_comes_after_it() -> None:
    assert names(build.select_images(ALL, ["app:2"])) == ["base", "app:2"]


def test_a_folder_means_all_its_versions() -> None:
    assert names(build.select_images(ALL, ["app"])) == ["base", "app:1", "app:2"]


def test_a_full_tag_is_understood_as_well() -> None:
    assert names(build.select_images(ALL, ["example/other:1"])) == ["base", "other"]


def test_an_unknown_name_is_refused_with_the_command_that_lists_them() -> None:
    with pytest.raises(BuildError, match="there is no image 'backend:9'") as refused:
        build.select_images(ALL, ["backend:9"])
    assert refused.value.next_step == "python -m images.build --list"


def test_what_carries_its_key_is_current() -> None:
    keys = build.content_keys(ALL, FILES)
    present = {image.tag: keys[image.name] for image in ALL}
    assert build.stale_images(ALL, keys, present) == []


def test_what_is_missing_or_has_another_key_is_stale() -> None:
    keys = build.content_keys(ALL, FILES)
    present = {image.tag: keys[image.name] for image in ALL} | {APP.tag: "an older key"}
    del present[OTHER.tag]
    assert names(build.stale_images(ALL, keys, present)) == ["app:1", "other"]


def test_every_image_is_listed_after_the_one_it_stands_on() -> None:
    seen: set[str | None] = {None}
    for image in build.IMAGES:
        assert image.parent in seen
        seen.add(image.name)


def test_no_two_images_share_a_name_or_a_tag() -> None:
    assert len({image.name for image in build.IMAGES}) == len(build.IMAGES)
    assert len({image.tag for image in build.IMAGES}) == len(build.IMAGES)


def test_the_datastores_and_the_good_releases_come_before_the_broken_ones() -> None:
    order = names(list(build.IMAGES))
    assert order.index("postgres") < order.index("backend:1.0.0") < order.index("backend:1.1.0")
    assert order.index("backend:1.2.0") < order.index("backend:2.0.0-never-healthy")


def test_an_images_inputs_are_its_folder_its_pins_and_its_part_of_the_checkout() -> None:
    ops = next(image for image in build.IMAGES if image.name == "ops")
    inputs = build.read_inputs(ops)
    assert {"Dockerfile", "pins/ops/requirements.txt", "repository/ops/__init__.py"} <= set(inputs)
    assert not any("__pycache__" in name for name in inputs)


@pytest.mark.parametrize("image", build.IMAGES, ids=lambda image: image.name)
def test_every_package_is_pinned_by_hash_and_no_address_is_named(image: Image) -> None:
    for name in image.wheels:
        text = (build.FOLDER / name).read_text()
        pins = [line for line in text.splitlines() if "==" in line]
        assert pins
        assert all(line.endswith("\\") for line in pins)
        assert "//" not in text


def test_both_python_images_have_the_same_celery() -> None:
    pins = {
        name: {line for line in (build.FOLDER / name).read_text().splitlines() if "==" in line}
        for name in ("backend/requirements.txt", "ops/requirements.txt")
    }
    backend, ops = pins.values()
    shared = {pin.split("==")[0] for pin in backend} & {pin.split("==")[0] for pin in ops}
    assert "celery" in shared
    assert {pin for pin in backend if pin.split("==")[0] in shared} <= ops
