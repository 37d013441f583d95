"""The live volume: who is live, as the beat launchers read it, and the launcher itself."""

from __future__ import annotations

from pathlib import Path

from ops.switch import beat, files


class LivePointer:
    """`/live/release`: the one identity whose beat may run; empty when none may."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self) -> None:
        """Put the launcher and its lock where the beat containers find them."""
        lock = self._folder / beat.LOCK_FILE
        if not lock.exists():
            # Never replaced: the lock is the file, and a new file would be a second lock.
            lock.touch(mode=0o644)
        source = Path(beat.__file__).read_text(encoding="utf-8")
        if files.read(self._folder / beat.LAUNCHER) != source:
            files.write(self._folder / beat.LAUNCHER, source)

    def point(self, identity: str | None) -> None:
        if self.read() != (identity or ""):
            files.write(self._folder / beat.POINTER_FILE, f"{identity or ''}\n")

    def read(self) -> str | None:
        text = files.read(self._folder / beat.POINTER_FILE)
        return None if text is None else text.strip()
