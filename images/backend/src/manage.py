#!/usr/bin/env python3
"""Django's command line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
    try:
        execute_from_command_line(sys.argv)
    except (DatabaseError, ImproperlyConfigured) as error:
        # What was said is what the operator needs, not where in Django it was said.
        sys.exit(f"\nerror: {type(error).__name__}: {str(error).strip()}")


if __name__ == "__main__":
    main()
