"""Who may sign: long-lived keys of users, sessions of roles that end, and how they are handed out."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Credential:
    """A key pair. A session also has a token and ends at `expires_at` (Unix seconds)."""

    access_key: str
    secret: str
    principal: str
    token: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """A role, who may take it, the external id they must know, and how long a session lasts."""

    arn: str
    trusts: frozenset[str]
    external_id: str | None = None
    session_seconds: float = 3600.0


@dataclass(slots=True)
class Iam:
    """All accounts at once. `now` gives Unix seconds, for what is stamped on sessions and when they end."""

    now: Callable[[], float] = time.time
    credentials: dict[str, Credential] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    instance_role: str | None = None

    def add_user(
        self, principal: str, *, access_key: str | None = None, secret: str | None = None
    ) -> Credential:
        """Return a new long-lived key of `principal`."""
        key = access_key or f"AKIA{secrets.token_hex(8).upper()}"
        return self._keep(Credential(key, secret or secrets.token_urlsafe(30), principal))

    def add_role(
        self, arn: str, *, trusts: set[str], external_id: str | None = None, seconds: float = 3600.0
    ) -> Role:
        """Return a new role that the principals in `trusts` may take."""
        self.roles[arn] = Role(arn, frozenset(trusts), external_id, seconds)
        return self.roles[arn]

    def new_session(self, principal: str, seconds: float) -> Credential:
        """Return temporary credentials of `principal`."""
        key, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(48)
        return self._keep(Credential(key, secrets.token_urlsafe(30), principal, token, self.now() + seconds))

    def end_sessions(self, principal: str | None = None) -> int:
        """End running sessions now, of one principal or all, whatever was stamped on them; return how many."""
        running = [
            c for c in self.credentials.values() if c.expires_at is not None and c.expires_at > self.now()
        ]
        ended = [c for c in running if principal in (None, c.principal)]
        for credential in ended:
            credential.expires_at = self.now() - 1
        return len(ended)

    def _keep(self, credential: Credential) -> Credential:
        self.credentials[credential.access_key] = credential
        return credential
