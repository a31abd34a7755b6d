"""How buckets are reached where the standard AWS chain does not do."""

from __future__ import annotations

from typing import Literal

import msgspec


class BucketRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[buckets]]`` entry; the first whose `match` glob fits a bucket's name applies.

    `owner` is the account id the bucket must belong to; a mismatch is refused by the store.
    """

    match: str
    region: str | None = None
    endpoint: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    role_arn: str | None = None
    external_id: str | None = None
    profile: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    owner: str | None = None


class WebRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ``[web]`` table: what may be fetched over https, and how far to go for it. Times are seconds.

    `allow_private` holds networks such as ``10.1.0.0/16`` that may be reached although they are not public;
    `file_folders` holds the folders below which ``file://`` references are read; `ca_file` names a PEM file of authorities
    that are trusted besides those of the system.
    """

    allow_http: bool = False
    allow_private: tuple[str, ...] = ()
    ports: tuple[int, ...] = (80, 443)
    max_redirects: int = 3
    use_proxy: bool = False
    ca_file: str | None = None
    dns_timeout: float = 5.0
    connect_timeout: float = 5.0
    first_byte_timeout: float = 10.0
    total_timeout: float = 60.0
    file_folders: tuple[str, ...] = ()
