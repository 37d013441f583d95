"""How long an app keeps an idle connection open: `python3 - PORT HOST PATH SECONDS`.

It runs inside the backend's image, beside the app, and says `open`, or `closed AFTER`. One request
before the silence, one after it. Only the standard library, and only Python 3.8.
"""

import http.client
import socket
import sys
import time


def main(port: str, host: str, path: str, seconds: str) -> None:
    connection = http.client.HTTPConnection("localhost", int(port), timeout=10)
    begun = ask(connection, path, host)
    if connection.sock is None or hung_up(connection.sock, float(seconds)):
        print("closed", round(time.monotonic() - begun, 1))
        return
    try:
        ask(connection, path, host)
    except (OSError, http.client.HTTPException):
        print("closed", seconds)
    else:
        print("open")


def ask(connection: http.client.HTTPConnection, path: str, host: str) -> float:
    connection.request("GET", path, headers={"Host": host})
    connection.getresponse().read()
    return time.monotonic()


def hung_up(stream: socket.socket, seconds: float) -> bool:
    stream.settimeout(seconds)
    try:
        return stream.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return True
    except OSError:  # the timeout: it stayed open
        return False


if __name__ == "__main__":
    main(*sys.argv[1:5])
