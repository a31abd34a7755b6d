"""Who looks at the pages: a cookie that holds an API key, and the token that proves that a form is ours.

The cookie cannot be read by scripts and is sent by our own pages only. Every request asks anew whether its key still
holds, so revoking a key ends its sessions at once, and no server has to remember any.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pronk.domain.ids import ProjectId
from pronk.domain.key import Identity, Scope

KEY: Final = "pronk_key"
SEED: Final = "pronk_seed"
_MAX_AGE: Final = 30 * 86_400


class Session(msgspec.Struct, frozen=True):
    """One caller in one browser."""

    seed: str
    identity: Identity = Identity(scopes=frozenset())

    @property
    def project(self) -> ProjectId:
        """Whose things are shown."""
        return self.identity.project_id

    @property
    def can_write(self) -> bool:
        """Whether buttons do anything."""
        return Scope.WRITE in self.identity.scopes

    @property
    def is_operator(self) -> bool:
        """Whether what is no project's may be seen."""
        return self.identity.is_operator

    @property
    def key_name(self) -> str | None:
        """The id of the key, None while nobody needs one."""
        return self.identity.key_id

    @property
    def token(self) -> str:
        """What a form has to carry."""
        return _token(self.seed)


def seed_of(request: Request) -> str:
    """Return the secret that a browser's tokens are made of; a fresh one for a new browser."""
    return request.cookies.get(SEED) or secrets.token_urlsafe(24)


def holds(request: Request, token: str | None) -> bool:
    """Return whether a token was made for this browser."""
    seed = request.cookies.get(SEED)
    return bool(seed and token) and compare_digest(_token(seed or ""), token or "")


def keep(response: Response, request: Request, name: str, value: str) -> None:
    """Put a cookie that only our own pages send and no script reads."""
    response.set_cookie(
        name,
        value,
        max_age=_MAX_AGE,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _token(seed: str) -> str:
    return blake2b(seed.encode(errors="replace"), digest_size=18, person=b"pronk csrf").hexdigest()
