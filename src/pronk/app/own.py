"""Addresses of our own parts, which no reference may reach even where the operator allows their network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio.to_thread

from pronk.settings import Settings

_PORTS = {"http": 80, "https": 443, "postgresql": 5432}


async def own_addresses(settings: Settings) -> tuple[tuple[str, int], ...]:
    """Return (address, port) of the API, the engines and the database; a name that does not resolve is left out."""
    return await anyio.to_thread.run_sync(lambda: tuple(sorted(set(_addresses(settings)))))


def _addresses(settings: Settings) -> Iterator[tuple[str, int]]:
    for host, port in _listeners(settings):
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            continue
        for *_, where in found:
            yield str(where[0]), port


def _listeners(settings: Settings) -> Iterator[tuple[str, int]]:
    yield settings.host, settings.port
    urls = [url for spec in settings.engines.values() for url in spec.urls]
    for url in [*urls, settings.database.reveal()]:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
        if parts.hostname and port:
            yield parts.hostname, port
