"""Whether a server still takes a credential: asked by logging in with it, over its network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from ops.docker import Answer, Docker
from ops.errors import OpsError
from rollout.logins import Login
from rollout.names import Names, address
from rollout.redis import OPERATOR
from rollout.settings import REPLICATION_USER, Settings

# What PostgreSQL says to somebody whom it does not let in.
REFUSALS = ("password authentication failed", "is not permitted to log in", "no pg_hba.conf entry")


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and Redis of one stack."""

    docker: Docker
    names: Names
    settings: Settings

    def postgres_takes(self, login: Login) -> bool:
        return self._postgres(login.user, login.password, self.settings.postgres.database)

    def replication_takes(self, password: str) -> bool:
        return self._postgres(REPLICATION_USER, password, "replication=true dbname=replication")

    def redis_takes(self, login: Login) -> bool:
        answer = self._redis(login.user, login.password, "PING")
        if answer.out.strip() == "PONG":
            return True
        if answer.out.startswith("AUTH failed: WRONGPASS") or "WRONGPASS" in answer.words:
            return False
        raise self._silent("Redis", self.names.redis, answer)

    def add_operator_password(self, known: str, new: str) -> None:
        """Redis' operator may log in with either, until its users are set by the next run. A server
        that refuses it takes the new one at its next start."""
        hashed = hashlib.sha256(new.encode()).hexdigest()
        order = f"ACL SETUSER {OPERATOR} #{hashed}\n"
        self._redis(OPERATOR, known, stdin=order.encode())

    def _postgres(self, user: str, password: str, database: str) -> bool:
        """Over the network, where everybody is asked for a password: the socket asks for none."""
        host = address(self.settings.networks.data, "postgres")
        query = "IDENTIFY_SYSTEM" if "=" in database else "SELECT 1"
        target = database if "=" in database else f"dbname={database}"
        answer = self.docker.exec(
            self.names.postgres,
            *("psql", "-X", "-qAt", "-w", "-d", f"host={host} user={user} {target}", "-c", query),
            user="postgres",
            variables={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "10"},
        )
        if answer.code == 0:
            return True
        if any(words in answer.error for words in REFUSALS):
            return False
        raise self._silent("PostgreSQL", self.names.postgres, answer)

    def _redis(self, user: str, password: str, *command: str, stdin: bytes | None = None) -> Answer:
        variables: Mapping[str, str] = {"REDISCLI_AUTH": password}
        return self.docker.exec(
            self.names.redis,
            *("redis-cli", "--no-auth-warning", "--user", user, *command),
            variables=variables,
            stdin=stdin,
        )

    def _silent(self, server: str, container: str, answer: Answer) -> OpsError:
        return OpsError(
            f"Whether {server} ({container} on {self.docker.host}) takes the old password can't be "
            f"told: {answer.words}\nNext: `ytops status`"
        )
