"""Where a stack's backups are, by its stack file: read without its secrets."""

from __future__ import annotations

from ops.verbs._exit import Misused
from ops.verbs._place import Place
from rollout.settings import PRODUCTION, Backups, SettingsError, load_backups


def configured(place: Place) -> Backups:
    keys = {info.alias or name for name, info in Backups.model_fields.items()}
    try:
        return load_backups(place.stack, {key: place.configuration.get(key) for key in keys})
    except SettingsError as error:
        raise Misused(str(error)) from None


def image(place: Place) -> str:
    """The live database's image, or what it shall run: a drive can be read without a database."""
    found = place.docker.inspect(place.names.postgres)
    return found.image if found else place.configuration.get("postgresImage")


def is_offsite(place: Place) -> bool:
    """Whether a backup that stays on its host is none."""
    return place.configuration.get("environment") == PRODUCTION
