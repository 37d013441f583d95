"""The edge: nginx, and beside it the switch that says where traffic goes. No deploy moves them."""

from __future__ import annotations

import json
from urllib.parse import quote

import pulumi

from components.container import Attachment, Check, ContainerArgs, Volume, container
from components.host import Networks, volume
from components.site import Site
from components.step import step
from ops.switch.config import SwitchConfig
from rollout import steps
from rollout.edge import RUN_SH, EdgeConfig, config_hash, render_nginx
from rollout.names import (
    BROKER_DATABASE,
    EDGE_HTTP_PORT,
    EDGE_HTTPS_PORT,
    EDGE_STATUS_PORT,
    address,
)

NGINX_UID = "101:101"
EDGE_PATH = "/etc/nginx/edge"
BOOT_SECONDS = 60  # its first health check comes after 5 s, and a crash loop is seen before


class Edge(pulumi.ComponentResource):
    """nginx on the published ports, its configuration in a volume that the switch writes.

    Outputs: `address` (where users reach it), `live_volume` (says which release is live),
    `volumes` (all of them, by name).
    `ready`: nginx is healthy.
    """

    address: str
    live_volume: pulumi.Output[str]
    volumes: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        networks: Networks,
        redis: pulumi.Resource,
        switch_image: str,
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:edge:Edge", name, None, opts)
        self._site, self._networks = site, networks
        self._edge = volume("edge", self, site)
        live = volume("live", self, site)
        control = volume("control", self, site)
        self.live_volume = live.name
        self.volumes = {"edge": self._edge.name, "live": live.name, "control": control.name}
        self.switch = container(
            "switch",
            ContainerArgs(
                container=site.names.switch,
                part="switch",
                image=switch_image,
                user=NGINX_UID,
                networks=[
                    Attachment(networks.app, address(site.settings.networks.app, "switch")),
                    Attachment(networks.data),
                ],
                memory=256,
                pids=128,
                environment=self._switch_environment(),
                volumes=[
                    Volume(control.name, "/control"),
                    Volume(live.name, "/live"),
                    Volume(self._edge.name, "/edge"),
                ],
                tmpfs=("/tmp", "/run"),
                check=Check(("CMD", "test", "-S", "/run/switch.sock"), 10, 5, 3, 10),
            ),
            site,
            # All that it knows is in volumes: a deploy may replace it, as a rotation does.
            site.docker_options(self, [redis], protect=False),
        )
        self.nginx = self._nginx(self._configuration())
        self.ready = self._healthy()
        self.address = self._address()
        self.register_outputs({"address": self.address, "live_volume": self.live_volume})

    def _switch_environment(self) -> dict[str, pulumi.Input[str]]:
        settings = self._site.settings
        config = SwitchConfig(
            stack=settings.stack,
            app_subnet=settings.networks.app,
            domain=settings.edge.domain,
            drain_seconds=settings.edge.drain_seconds,
            tls=settings.edge.tls != "off",
        )
        login = settings.redis.logins.current
        password = quote(login.password, safe="")
        broker = f"redis://{login.user}:{password}@redis:6379/{BROKER_DATABASE}"
        return {
            "SWITCH_CONFIG": config.model_dump_json(),
            "REDIS_URL": pulumi.Output.secret(broker),
        }

    def _config(self) -> EdgeConfig:
        settings = self._site.settings
        edge = settings.edge
        return EdgeConfig(
            app_subnet=settings.networks.app,
            tls=edge.tls != "off",
            domain=edge.domain,
            http_port=edge.http_port,
            https_port=edge.https_port,
            hsts_seconds=edge.hsts_seconds,
            max_body_mb=edge.max_body_mb,
            request_timeout_seconds=edge.request_timeout,
            drain_seconds=edge.drain_seconds,
            trusted_proxies=edge.trusted_proxies,
            switch_address=address(settings.networks.app, "switch"),
        )

    def _configuration(self) -> pulumi.Resource:
        """nginx.conf and the certificate, checked by nginx before it takes them."""
        settings, config = self._site.settings, self._config()
        edge = settings.edge
        files = {"nginx.conf": render_nginx(config), "run.sh": RUN_SH}
        if edge.tls == "provided":
            files |= {"tls/cert.pem": edge.certificate, "tls/key.pem": edge.certificate_key}
        return step(
            "edge-config",
            steps.EdgeFiles(
                switch=self._site.names.switch,
                edge=self._site.names.edge,
                config_hash=config_hash(config),
                self_signed=edge.tls == "self-signed",
            ),
            settings,
            self._site.options(self, [self.switch]),
            secrets={"FILES": json.dumps(files)},
        )

    def _nginx(self, configured: pulumi.Resource) -> pulumi.Resource:
        edge, names = self._site.settings.edge, self._site.names
        ports = [(edge.bind_address, edge.http_port, EDGE_HTTP_PORT)]
        if edge.tls != "off":
            ports.append((edge.bind_address, edge.https_port, EDGE_HTTPS_PORT))
        return container(
            "nginx",
            ContainerArgs(
                container=names.edge,
                part="nginx",
                image=edge.image,
                user=NGINX_UID,
                networks=[
                    Attachment(self._networks.edge),
                    Attachment(
                        self._networks.app, address(self._site.settings.networks.app, "edge")
                    ),
                ],
                memory=edge.memory,
                pids=64,
                command=["sh", f"{EDGE_PATH}/run.sh"],
                volumes=[Volume(self._edge.name, EDGE_PATH, read_only=True)],
                check=Check(
                    (
                        "CMD-SHELL",
                        f"wget -qO- http://127.0.0.1:{EDGE_STATUS_PORT}/serial >/dev/null"
                        f" || curl -fsS http://127.0.0.1:{EDGE_STATUS_PORT}/serial >/dev/null",
                    ),
                    interval=5,
                    timeout=5,
                    retries=3,
                    start_period=5,
                ),
                stop_seconds=edge.drain_seconds,
                stop_signal="SIGQUIT",
                ports=ports,
            ),
            self._site,
            self._site.lasting_options(self, [configured]),
        )

    def _healthy(self) -> pulumi.Resource:
        """Before its first release nothing else would show a certificate that nginx can't use."""
        return step(
            "edge-healthy",
            steps.Healthy(container=self._site.names.edge, timeout=BOOT_SECONDS, stops=False),
            self._site.settings,
            self._site.options(self, [self.nginx]),
            key=f"{self._site.settings.edge.image} {config_hash(self._config())}",
        )

    def _address(self) -> str:
        edge = self._site.settings.edge
        if edge.tls == "off":
            return f"http://{edge.domain}" + (f":{edge.http_port}" if edge.http_port != 80 else "")
        return f"https://{edge.domain}" + (f":{edge.https_port}" if edge.https_port != 443 else "")
