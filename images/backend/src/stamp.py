"""Build step: makes this tree the release VERSION, with FLAW in it, and then removes itself."""

import json
import sys
from pathlib import Path

APP = Path(__file__).with_name("app")


def main(version: str, flaw: str) -> None:
    (APP / "release.json").write_text(json.dumps({"version": version, "flaw": flaw}) + "\n")
    # Imported only now, so that it reads what was just written.
    from app import flaws, release

    flaws.require_known(flaw)
    if not release.at_least("1.1.0"):
        (APP / "migrations" / "0002_video_thumbnail.py").unlink()
    for migration, its_flaw in (
        ("0003_require_transcripts.py", flaws.FAILING_MIGRATION),
        ("0003_rename_channel_name.py", flaws.BREAKS_PREVIOUS),
    ):
        if flaw != its_flaw:
            (APP / "migrations" / migration).unlink()
    if flaw == flaws.BREAKS_CONTRACT:
        with (APP.parent / "gunicorn.conf.py").open("a") as served:
            served.write("graceful_timeout = 1\nkeepalive = 2\n")
    Path(__file__).unlink()


if __name__ == "__main__":
    main(*sys.argv[1:3])
