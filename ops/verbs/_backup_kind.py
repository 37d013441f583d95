"""What `ytops backup run` can be asked for. The command line imports no job for it."""

from __future__ import annotations

from enum import StrEnum


class BackupKind(StrEnum):
    """files: both of media and application."""

    DATABASE = "database"
    FILES = "files"
    MEDIA = "media"
    APPLICATION = "application"
