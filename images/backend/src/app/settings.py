"""Django's settings; everything that differs between hosts comes from the environment."""

from __future__ import annotations

import secrets

from django.core.exceptions import ImproperlyConfigured

from app import environment, release

ENVIRONMENT = environment.value("ENVIRONMENT", "development")


def _secret_key() -> str:
    key = environment.value("DJANGO_SECRET_KEY")
    if key:
        return key
    if ENVIRONMENT == "production":
        raise ImproperlyConfigured("DJANGO_SECRET_KEY is not set, and ENVIRONMENT is production")
    return secrets.token_urlsafe(48)


SECRET_KEY = _secret_key()
DEBUG = False
ALLOWED_HOSTS = environment.value("ALLOWED_HOSTS", "*").split(",")
ROOT_URLCONF = "app.urls"
INSTALLED_APPS = ["app"]
MIDDLEWARE = ["app.flaws.ErrorsBehindProxy", "django.middleware.common.CommonMiddleware"]
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = environment.value("MEDIA_ROOT", "/media")

DATABASES = {
    "default": {
        **environment.database(environment.required("DATABASE_URL")),
        # A thread keeps its connection, and finds out before use when the server was restarted.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 3, "application_name": f"ytempire {release.VERSION}"},
    }
}

REDIS_URL = environment.required("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": environment.value("CACHE_URL", environment.cache_url(REDIS_URL)),
        # Two releases run side by side: neither may read what the other stored.
        "KEY_PREFIX": release.VERSION,
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
