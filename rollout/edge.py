"""What the edge's nginx is told: its configuration, the one include that says where traffic goes,
and the script it runs under. Pure text; the switch agent (`ops/switch/edge.py`) writes it.

`nginx.conf` changes when the configuration does. `active/active.conf` changes at every switch and,
with the link beside it, is the truth about traffic: its first line can be read back.

While nginx reloads, old processes and new ones accept side by side, so a switch has two phases:

1. `active.conf` announces two sides, `before` (what serves) and `after`. nginx reloads, and old and
   new processes answer alike.
2. The link `active/turned` is renamed to name the announcement. Each request that begins from then
   on takes the other side, in all processes at once: nginx resolves the link once a request.

At rest there is one side, and nginx doesn't look at the link.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from string import Template
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from rollout.names import (
    ACCESS_LOG_PORT,
    EDGE_HTTP_PORT,
    EDGE_HTTPS_PORT,
    EDGE_STATUS_PORT,
)
from rollout.shapes import Pointer, Release
from rollout.state import Record

EDGE_ROOT = "/etc/nginx/edge"  # the edge volume as nginx sees it
NGINX_CONF = "nginx.conf"
RUN_SCRIPT = "run.sh"
CERTIFICATE = "tls/cert.pem"
PRIVATE_KEY = "tls/key.pem"
ACTIVE_CONF = "active/active.conf"
# A link to an empty file beside it: to the one named by the announcement that is to serve, else to
# `before`. Files, because nginx resolves only what exists.
TURNED = "active/turned"
BEFORE = "before"
AFTER = "after-"
RELOAD_TOKEN = "reload"

RELEASE_HEADER = "X-Release"
NO_RELEASE = "none"
LOG_TAG = "edge"  # marks the lines that the switch's watch counts

HTTPS_DEFAULT_PORT = 443
# The app (gunicorn) closes an idle connection after 75 s; nginx must be the first to close, or a
# request is sent into a connection that is just going away.
UPSTREAM_IDLE_SECONDS = 60
RETRY_AFTER_SECONDS = 30

_ACTIVE_MARK = "# active: "
_IDENTITY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]*")


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value, strict=False))


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value))


Network = Annotated[str, AfterValidator(_network)]
Address = Annotated[str, AfterValidator(_address)]


class EdgeConfig(Record):
    """What nginx.conf depends on. `http_port` and `https_port` are the published ones."""

    domain: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    app_subnet: Network
    switch_address: Address
    tls: bool = True
    http_port: int = Field(default=80, ge=1, le=65535)
    https_port: int = Field(default=HTTPS_DEFAULT_PORT, ge=1, le=65535)
    hsts_seconds: int = Field(default=31536000, ge=0)
    max_body_mb: int = Field(default=100, ge=1)
    request_timeout_seconds: int = Field(default=60, ge=1)
    drain_seconds: int = Field(default=60, ge=1)
    trusted_proxies: tuple[Network, ...] = ()
    worker_processes: int = Field(default=2, ge=1)
    worker_connections: int = Field(default=4096, ge=16)


class Active(Record):
    """What active.conf says, and whether it is `turned`. `turn` is what the link names then; empty
    where there is one side. `load` names one writing, so that a reload can be proved; `body` is the
    hash of what follows, so that an edit by hand shows."""

    serial: int
    before: Pointer | None
    after: Pointer | None
    turn: str = ""
    load: str = ""
    body: str = ""
    turned: bool = Field(default=False, exclude=True)

    @property
    def pointer(self) -> Pointer | None:
        """Where traffic goes."""
        return self.after if self.turned else self.before


@dataclass(frozen=True)
class Side:
    """Where requests go; without a pointer they get 503."""

    pointer: Pointer | None
    server: str

    @property
    def identity(self) -> str:
        return self.pointer.identity if self.pointer else ""

    @property
    def colour(self) -> str:
        return self.pointer.colour if self.pointer else ""


def side(pointer: Pointer | None, release: Release | None, address: str) -> Side:
    """`release`, as it runs in `pointer`'s slot at `address`."""
    if pointer is None:
        return Side(None, "127.0.0.1:1 down")
    if release is None or release.identity != pointer.identity:
        known = release.identity if release else "no release"
        raise ValueError(f"active.conf must name {pointer.identity}, but was given {known}")
    if not _IDENTITY.fullmatch(pointer.identity):
        raise ValueError(f"a release identity can't hold these characters: {pointer.identity!r}")
    return Side(pointer, f"{address}:{release.port} max_fails=0")


class _Conf(Template):
    """nginx owns `$`, so our holes are `@{name}`."""

    delimiter = "@"


def render_nginx(config: EdgeConfig) -> str:
    """The whole nginx.conf; `/config` on the status port answers `config_hash` of the same."""
    return _nginx(config, config_hash(config))


def config_hash(config: EdgeConfig) -> str:
    """A short hash of the rendered configuration, baked into it."""
    return hashlib.sha256(_nginx(config, "").encode()).hexdigest()[:16]


def render_active(
    before: Side, serial: int, load: str = "", *, after: Side | None = None, turn: str = ""
) -> str:
    """The include that sends traffic to `before` and, once the link names `turn`, to `after`."""
    after = after or before
    body = _ACTIVE.substitute(
        server=before.server,
        server_after=after.server,
        idle=UPSTREAM_IDLE_SECONDS,
        side=_TURNING.substitute(turn=turn) if turn else _AT_REST,
        identity=before.identity,
        identity_after=after.identity,
        colour=before.colour,
        colour_after=after.colour,
        serial=serial,
        load=load,
    )
    said = Active(serial=serial, before=before.pointer, after=after.pointer, turn=turn, load=load)
    return _marked(said, body)


def read_active(text: str, turned: str = "") -> Active | None:
    """What an active.conf says while the link names `turned`; None if it isn't one of ours, or was
    changed since."""
    first, _, body = text.partition("\n")
    if not first.startswith(_ACTIVE_MARK):
        return None
    try:
        active = Active.model_validate_json(first.removeprefix(_ACTIVE_MARK))
    except ValidationError:
        return None
    if active.body not in ("", _body_hash(body)):
        return None
    return active.model_copy(update={"turned": active.turn != "" and active.turn == turned})


def reloaded(text: str, active: Active, load: str) -> str:
    """The same traffic under a new load name."""
    _, _, body = text.partition("\n")
    return _marked(active.model_copy(update={"load": load}), body.replace(active.load, load))


def _marked(active: Active, body: str) -> str:
    """`body` below the line that says what it is."""
    active = active.model_copy(update={"body": _body_hash(body)})
    return f"{_ACTIVE_MARK}{json.dumps(active.model_dump(), sort_keys=True)}\n{body}"


def _body_hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _nginx(config: EdgeConfig, digest: str) -> str:
    public = _TLS if config.tls else _PLAIN
    return _NGINX.substitute(
        root=EDGE_ROOT,
        turned=TURNED,
        processes=config.worker_processes,
        connections=config.worker_connections,
        files=2 * config.worker_connections,  # a request holds a client's and an app's connection
        drain=config.drain_seconds,
        status_port=EDGE_STATUS_PORT,
        app_subnet=config.app_subnet,
        digest=digest,
        none=NO_RELEASE,
        retry=RETRY_AFTER_SECONDS,
        proto=_forwarded_proto(config),
        servers=public.substitute(
            root=EDGE_ROOT,
            http=EDGE_HTTP_PORT,
            https=EDGE_HTTPS_PORT,
            domain=config.domain,
            elsewhere=_https_authority(config),
            headers=_indent(_headers()),
            hsts=_hsts(config),
            app=_indent(_app(config)),
        ),
    )


def _headers() -> str:
    return "\n".join(
        (
            f"add_header {RELEASE_HEADER} $shown_release always;",
            "add_header Retry-After $retry_after always;",
        )
    )


def _hsts(config: EdgeConfig) -> str:
    if not config.hsts_seconds:
        return "# HSTS is switched off"
    return f'add_header Strict-Transport-Security "max-age={config.hsts_seconds}" always;'


def _app(config: EdgeConfig) -> str:
    proxies = [f"set_real_ip_from {network};" for network in config.trusted_proxies]
    if proxies:
        proxies += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return _APP.substitute(
        proxies="\n".join(proxies) or "# no trusted proxies: the peer is the client",
        body=config.max_body_mb,
        timeout=config.request_timeout_seconds,
        release_header=RELEASE_HEADER,
        tag=LOG_TAG,
        log=f"{config.switch_address}:{ACCESS_LOG_PORT}",
    ).strip()


def _forwarded_proto(config: EdgeConfig) -> str:
    """A trusted proxy may have ended TLS before us; nobody else may claim so."""
    if not config.trusted_proxies:
        return "    map $scheme $forwarded_proto { default $scheme; }"
    trusted = " ".join(f"{network} 1;" for network in config.trusted_proxies)
    return "\n".join(
        (
            f"    geo $realip_remote_addr $from_proxy {{ default 0; {trusted} }}",
            '    map "$from_proxy $http_x_forwarded_proto" $forwarded_proto {',
            "        default $scheme;",
            '        "1 https" https;',
            '        "1 http" http;',
            "    }",
        )
    )


def _https_authority(config: EdgeConfig) -> str:
    if config.https_port == HTTPS_DEFAULT_PORT:
        return config.domain
    return f"{config.domain}:{config.https_port}"


def _indent(text: str) -> str:
    return "\n".join(" " * 8 + line if line else line for line in text.splitlines()).lstrip()


# Each map is looked up once a request, so that upstream, header and log line agree. An nginx.conf
# of before there were two sides knows `app` alone: an upgrade meets it with this file.
_ACTIVE = _Conf("""\
upstream app {
    server @{server};
    keepalive 64;
    keepalive_timeout @{idle}s;
    keepalive_requests 10000;
}
upstream app_after {
    server @{server_after};
    keepalive 64;
    keepalive_timeout @{idle}s;
    keepalive_requests 10000;
}
@{side}
map $side $app_upstream { default app; after app_after; }
map $side $release { default "@{identity}"; after "@{identity_after}"; }
map $side $active_colour { default "@{colour}"; after "@{colour_after}"; }
map "" $active_serial { default "@{serial}"; }
map "" $active_load { default "@{load}"; }
""")

_AT_REST = 'map "" $side { default before; }'
_TURNING = _Conf('map $realpath_root $side { default before; "~/@{turn}$" after; }')

_NGINX = _Conf("""\
# Generated: change the configuration, not this file.
worker_processes @{processes};
worker_rlimit_nofile @{files};
# Old workers finish what they serve after a switch, but not for ever.
worker_shutdown_timeout @{drain}s;
pid /tmp/nginx.pid;
error_log stderr warn;

events {
    worker_connections @{connections};
}

http {
    default_type text/html;
    charset utf-8;
    server_tokens off;
    sendfile on;
    tcp_nodelay on;
    keepalive_timeout 65s;
    client_header_timeout 15s;
    client_body_timeout 60s;
    send_timeout 60s;
    reset_timedout_connection on;
    client_body_buffer_size 128k;
    large_client_header_buffers 4 16k;

    # The root file system is read-only; /tmp is memory.
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;

    # $uri and not $request_uri: query strings carry tokens.
    log_format access escape=json
        '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
        '"host":"$host","uri":"$uri","protocol":"$server_protocol","status":"$status",'
        '"bytes":$body_bytes_sent,"request_time":$request_time,'
        '"upstream_time":"$upstream_response_time","upstream":"$upstream_addr",'
        '"release":"$release","request_id":"$request_id","user_agent":"$http_user_agent"}';
    log_format watch '$active_serial $shown_release $status $request_time $remote_addr';
    access_log /dev/stdout access;

    # Nothing is served from files: this is for $realpath_root, which says which side is turned to.
    root @{root}/@{turned};
    include @{root}/active/*.conf;
    map $release $shown_release { "" @{none}; default $release; }
    map $release $retry_after { "" @{retry}; default ""; }
    map $http_upgrade $connection_upgrade { "" ""; default upgrade; }
    map $http_host $forwarded_host { "" $host; default $http_host; }
@{proto}

@{servers}
    # Only for the app network: `return` answers before allow/deny are looked at, hence the geo.
    geo $remote_addr $inside { default 0; 127.0.0.1 1; @{app_subnet} 1; }
    server {
        listen @{status_port};
        access_log off;
        default_type application/json;
        if ($inside = 0) { return 403; }
        location = /serial {
            return 200 '{"serial":$active_serial,"colour":"$active_colour","identity":"$release","load":"$active_load"}\\n';
        }
        location = /config { return 200 '{"config":"@{digest}"}\\n'; }
        location = /reload { default_type text/plain; alias /tmp/reload.log; }
        location = /accepting { default_type text/plain; alias /tmp/accepting; }
        location = /draining { default_type text/plain; alias /tmp/draining; }
        location = /stub_status { stub_status; }
        location / { return 404; }
    }
}
""")  # noqa: E501

_PLAIN = _Conf("""\
    server {
        listen @{http} default_server;
        server_name @{domain};
        @{headers}
        @{app}
    }
""")

_TLS = _Conf("""\
    server {
        listen @{http} default_server;
        server_name @{domain};
        @{headers}
        # 308 keeps method and body; the name is ours, not what the client sent.
        location / { return 308 https://@{elsewhere}$request_uri; }
    }

    server {
        listen @{https} ssl http2 default_server;
        server_name @{domain};
        ssl_certificate @{root}/tls/cert.pem;
        ssl_certificate_key @{root}/tls/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
        ssl_prefer_server_ciphers off;
        ssl_session_cache shared:tls:10m;
        ssl_session_timeout 1d;
        ssl_session_tickets off;
        @{headers}
        @{hsts}
        @{app}
    }
""")  # noqa: E501

_APP = _Conf("""\
@{proxies}
access_log /dev/stdout access;
# The watch judges what is asked of the release, not redirects to https.
access_log syslog:server=@{log},nohostname,tag=@{tag} watch;
client_max_body_size @{body}m;
if ($release = "") {
    return 503 "<!doctype html><title>Not available</title><p>YTEMPIRE is not available right now. Please try again in a moment.</p>\\n";
}
location / {
    proxy_pass http://$app_upstream;
    proxy_http_version 1.1;
    proxy_set_header Host $forwarded_host;
    proxy_set_header X-Real-IP $remote_addr;
    # One address, the one we believe: what a client sends in this header is not passed on.
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $forwarded_proto;
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_hide_header @{release_header};
    proxy_hide_header Strict-Transport-Security;
    proxy_connect_timeout 5s;
    proxy_send_timeout @{timeout}s;
    proxy_read_timeout @{timeout}s;
    # One server: this only asks again when a kept connection turns out closed, and never for a
    # POST that was sent.
    proxy_next_upstream error;
    proxy_buffer_size 16k;
    proxy_buffers 16 16k;
    proxy_busy_buffers_size 32k;
    proxy_max_temp_file_size 0;
}
""")  # noqa: E501

RUN_SH = """\
#!/bin/sh
# Runs nginx and reloads it when the switch writes a new token: nginx can't be signalled from
# another container. The token is read before nginx reads its files, so no change is missed.
edge=$(cd "$(dirname "$0")" && pwd)
conf=$edge/nginx.conf
rm -f /tmp/nginx.pid
: >/tmp/reload.log
echo 0 >/tmp/draining
: >/tmp/accepting

token() {
    current=
    { read -r current <"$edge/reload"; } 2>/dev/null || :
}

# nginx's processes that accept connections: one that was told to end says so in its name.
accepting() {
    grep -ls "^PPid:.$$\\$" /proc/[0-9]*/status | sed 's/status$/cmdline/' |
        xargs -r grep -ls 'worker process' | xargs -r grep -Ls 'shutting down'
}

# Tells the token once none of the processes of `before` accepts any more: nginx lets them for
# 0.1 s. A reload that it refused ends none of them; the next token is not kept waiting for that.
tell_when_alone() {
    tries=0
    while [ $((tries += 1)) -le 50 ] && [ -n "$before" ]; do
        sleep 0.02
        token
        [ "$current" = "$loaded" ] || return
        now=$(accepting) old=
        for process in $now; do
            case " $before " in *" $process "*) old=$process ;; esac
        done
        if [ -n "$now" ] && [ -z "$old" ]; then
            echo "$loaded" >/tmp/accepting.new
            mv /tmp/accepting.new /tmp/accepting
            return
        fi
    done
}

token
loaded=$current
tick=0
(
    # $$ is the shell that becomes nginx. Before it has written its pid, a HUP would end it.
    while [ ! -s /tmp/nginx.pid ] && kill -0 $$ 2>/dev/null; do sleep 0.1; done
    while kill -0 $$ 2>/dev/null; do
        token
        if [ "$current" != "$loaded" ]; then
            loaded=$current
            if nginx -e stderr -t -q -c "$conf" 2>/tmp/reload.log; then
                before=$(echo $(accepting))
                kill -HUP $$
                tell_when_alone
            else
                cat /tmp/reload.log >&2
            fi
        fi
        # Once a second: how many of nginx's old processes still end what they had begun.
        tick=$((tick + 1))
        if [ $((tick % 10)) -eq 0 ]; then
            grep -ls 'is shutting dow[n]' /proc/[0-9]*/cmdline | wc -l >/tmp/draining.new
            mv /tmp/draining.new /tmp/draining
        fi
        sleep 0.1
    done
) &
exec nginx -e stderr -c "$conf" -g 'daemon off;'
"""
