"""What the commands that talk to a server take from the environment, and what a started process gets from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from pronk.domain.errors import SettingsError
from pronk.settings.secret import Secret

DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class ClientSettings:
    """The server to talk to, without a slash or ``/v1`` at the end, and the key to show it."""

    url: str
    api_key: Secret | None = None


def client_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """Return what ``PRONK_URL`` and ``PRONK_API_KEY`` say. Raises SettingsError."""
    environ = os.environ if environ is None else environ
    text = environ.get("PRONK_URL") or DEFAULT_URL
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise SettingsError(
            f"PRONK_URL is {text!r}; it must be the address of a server, such as {DEFAULT_URL}"
        )
    key = environ.get("PRONK_API_KEY")
    return ClientSettings(text.rstrip("/").removesuffix("/v1"), Secret(key) if key else None)


def names_server(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether ``PRONK_URL`` says which server commands are to talk to."""
    return bool((os.environ if environ is None else environ).get("PRONK_URL"))


def child_environment(
    changes: Mapping[str, str] = MappingProxyType({}), *, without: tuple[str, ...] = (), is_own: bool = False
) -> dict[str, str]:
    """Return the environment of a child: this process's with `changes`.

    Left out is what starts with one of `without`, and with ``PRONK_`` unless the child `is_own`, a worker of ours, whose
    engines' keys may be in such variables.
    """
    left_out = without if is_own else ("PRONK_", *without)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, **changes}
