"""What gunicorn loads."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from app import flaws

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
application = get_wsgi_application()

# Now rather than at the first request: a release that can't load must never listen.
get_resolver().url_patterns  # noqa: B018
flaws.at_boot()
