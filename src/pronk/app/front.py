"""The server's front: whether it may be reached from elsewhere at all, over TLS or plain, and through which proxies."""

from __future__ import annotations

import ssl
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pronk.api.protocol import Protocol
from pronk.app.parts import open_store
from pronk.domain.errors import SettingsError
from pronk.settings import Settings


async def check_front(settings: Settings) -> None:
    """Raise SettingsError when strangers could reach a server without keys, or when its certificate cannot be used."""
    if settings.tls_cert is not None and settings.tls_key is not None:
        _check_certificate(settings.tls_cert, settings.tls_key)
    if settings.is_local or settings.allow_anonymous:
        return
    async with open_store(settings) as store:
        has_keys = await store.keys.exist()
    settings.check_binding(has_keys=has_keys)


def http_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how to serve. What proxies say of a request is believed only of those that the settings name."""
    return uvicorn.Config(
        app,
        http=Protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def _check_certificate(certificate: Path, key: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, path in (("tls_cert", certificate), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"tls_cert {certificate} and tls_key {key} are not a certificate and its key (PEM, without a password): {error}"
        ) from error
