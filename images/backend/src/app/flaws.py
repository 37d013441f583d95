"""The faults that can be built into a release, so that tests see a deploy meet them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from app import release

log = logging.getLogger("app.boot")

NEVER_HEALTHY = "never-healthy"
CRASHES_AT_BOOT = "crashes-at-boot"
FAILING_MIGRATION = "failing-migration"
ERRORS_AFTER_SWITCH = "errors-after-switch"
WRONG_NAME = "wrong-name"
SLOW_BOOT = "slow-boot"
HUNG_HEALTH = "hung-health"
BREAKS_PREVIOUS = "breaks-previous"
BREAKS_CONTRACT = "breaks-contract"
KNOWN = {
    "none",
    NEVER_HEALTHY,
    CRASHES_AT_BOOT,
    FAILING_MIGRATION,
    ERRORS_AFTER_SWITCH,
    WRONG_NAME,
    SLOW_BOOT,
    HUNG_HEALTH,
    BREAKS_PREVIOUS,
    BREAKS_CONTRACT,
}

SLOW_BOOT_SECONDS = 8
HUNG_SECONDS = 3600
WRONG_VERSION = "9.9.9"


def require_known(flaw: str) -> None:
    if flaw not in KNOWN:
        sys.exit(f"flaw {flaw!r} is not one of {', '.join(sorted(KNOWN))}")


def has(flaw: str) -> bool:
    return flaw == release.FLAW


def at_boot() -> None:
    """What happens while the web app loads; migrations and workers don't come this way."""
    if has(CRASHES_AT_BOOT):
        log.error("ImportError: cannot import name 'billing' from 'app': the app can't start")
        sys.exit(1)
    if has(SLOW_BOOT):
        log.warning("warming up for %s s", SLOW_BOOT_SECONDS)
        time.sleep(SLOW_BOOT_SECONDS)


class ErrorsBehindProxy:
    """Fails what came through a proxy: a direct probe finds nothing wrong."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if has(ERRORS_AFTER_SWITCH) and "X-Forwarded-For" in request.headers:
            log.error("TypeError: client address must be one IP, got a list")
            return HttpResponse("internal error\n", status=500, content_type="text/plain")
        return self.get_response(request)
