"""How the app is served; gunicorn reads this file from the working directory."""

import os

bind = "0.0.0.0:8000"

# Loaded before the socket exists: a connection is accepted only by an app that can answer it,
# and a release that can't load exits instead of listening.
preload_app = True

# Long requests take a thread, not a process. The kernel hands out connections unevenly (twelve
# slow ones at once overfilled one process of eight threads, while the other had room): a single
# process must have room for all that is expected.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "16"))

# Longer than the 75 s after which nginx drops an idle upstream connection: whoever closes first
# must be the side that knows, or a request meets a closed socket.
keepalive = 90
# On SIGTERM requests in flight get this long.
graceful_timeout = 30
# A worker whose main loop is silent is replaced; threads in long requests don't count.
timeout = 60

# The heartbeat file must not wait for a disk; /tmp is a tmpfs under a read-only root.
worker_tmp_dir = "/tmp"
control_socket_disable = True

errorlog = "-"
loglevel = os.environ.get("LOG_LEVEL", "info")
