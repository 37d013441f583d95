"""Relays lines between standard streams and the agent's socket: `docker exec -i ... client`.

With the argument `health` it asks one question itself and answers by its exit status. Only the
standard library: it is started for every conversation and must be there at once.
"""

import os
import selectors
import socket
import sys

SOCKET = os.environ.get("SWITCH_SOCKET", "/run/switch.sock")
CHUNK = 65536


def main() -> int:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(SOCKET)
    except OSError as error:
        print(f"the switch agent does not answer on {SOCKET}: {error.strerror}", file=sys.stderr)
        return 1
    if sys.argv[1:] == ["health"]:
        return _health(connection)
    return _relay(connection)


def _health(connection: socket.socket) -> int:
    import json

    connection.settimeout(4)
    connection.sendall(b'{"id":0,"verb":"health"}\n')
    answer = connection.makefile("rb").readline()
    sys.stdout.buffer.write(answer)
    return 0 if answer and json.loads(answer)["ok"] else 1


def _relay(connection: socket.socket) -> int:
    """Until the agent closes. Our end of input is told to it: it takes that as our leaving."""
    streams = selectors.SelectSelector()  # epoll refuses plain files
    streams.register(connection, selectors.EVENT_READ)
    streams.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in streams.select():
            if key.fileobj is connection:
                data = connection.recv(CHUNK)
                if not data:
                    return 0
                _write(data)
            elif data := os.read(0, CHUNK):
                connection.sendall(data)
            else:
                streams.unregister(0)
                connection.shutdown(socket.SHUT_WR)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        sys.exit(1)
