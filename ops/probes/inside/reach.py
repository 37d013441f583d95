"""Whether the host reaches each endpoint, and what its clock says beside theirs:
`reach.py SECONDS NAME=URL…`.

Any HTTP answer will do: a registry says 401 and S3 403 to a stranger, and both are there. The
certificate is left to whoever sends something; no name or key travels here.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit


def main(arguments: list[str]) -> None:
    seconds, pairs = float(arguments[0]), [pair.split("=", 1) for pair in arguments[1:]]
    with ThreadPoolExecutor(max(len(pairs), 1)) as pool:
        found = list(pool.map(lambda pair: reach(pair[1], seconds), pairs))
    named = zip(pairs, found, strict=True)
    print(json.dumps([{"name": name, "url": url, **answer} for (name, url), answer in named]))


def reach(url: str, seconds: float) -> dict[str, Any]:
    """`error` in words, or `clock`: seconds that this clock is ahead."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return {"error": f"is not known to DNS ({getattr(error, 'strerror', None) or error})"}
    connection = (
        http.client.HTTPSConnection(
            host, port, timeout=seconds, context=ssl._create_unverified_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=seconds)
    )
    try:
        connection.request("HEAD", parts.path or "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        return {"clock": _ahead(answer.headers.get("Date", ""))}
    except TimeoutError:
        return {"error": f"did not answer in {seconds:g} s"}
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {"error": f"can't be reached ({words})"}
    finally:
        connection.close()


def _ahead(date: str) -> float | None:
    """The header has whole seconds: its middle is the best guess."""
    try:
        return round(time.time() - parsedate_to_datetime(date).timestamp() - 0.5, 1)
    except (TypeError, ValueError):
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
