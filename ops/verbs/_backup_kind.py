"""What `ytops backup run` and `ytops restore` can be asked for. The command line imports no job for
it."""

from __future__ import annotations

from enum import StrEnum


class BackupKind(StrEnum):
    """base: all of the database server's files. wal: its log. files: both of media and
    application."""

    DATABASE = "database"
    BASE = "base"
    WAL = "wal"
    FILES = "files"
    MEDIA = "media"
    APPLICATION = "application"
    CONFIG = "config"
    SECRETS = "secrets"


class Kept(StrEnum):
    """What comes back beside the database. files: the media."""

    FILES = "files"
    APPLICATION = "application"
    CONFIG = "config"
    SECRETS = "secrets"
