"""AWS signature version 4 of a GET, written out because a general signer costs as much as all the rest of a fetch.

The rules are those of "Authenticating Requests (AWS Signature Version 4)" in Amazon S3's API reference; botocore's own
signer is what the tests compare with.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256

import msgspec

from pronk.media.aws import Keys

_NO_BODY = sha256(b"").hexdigest()


def sign_get(
    host: str,
    target: str,
    keys: Keys,
    region: str,
    more: Mapping[str, str],
    *,
    now: Callable[[], float] = time.time,
) -> dict[str, str]:
    """Return the headers of a GET of `target` (path and query as they are spelled) at `host`, all but ``host`` itself.

    `more` holds further ``x-amz-`` headers, which are signed too; names are in lower case. `now` gives epoch seconds.
    """
    form = _form(host, keys, region, _stamp(int(now())), tuple(more.items()))
    path, _, query = target.partition("?")
    asked = f"GET\n{path}\n{_canonical(query)}\n{form.asked}"
    told = form.told + sha256(asked.encode()).hexdigest()
    proof = hmac.digest(form.key, told.encode(), "sha256").hex()
    return {**form.headers, "authorization": form.authorization + proof}


class _Form(msgspec.Struct, frozen=True):
    """All that is the same for every object which is asked for in one second."""

    headers: dict[str, str]
    asked: str
    told: str
    authorization: str
    key: bytes


@lru_cache(64)
def _form(host: str, keys: Keys, region: str, stamp: str, more: tuple[tuple[str, str], ...]) -> _Form:
    day = stamp[:8]
    headers = {"x-amz-content-sha256": _NO_BODY, "x-amz-date": stamp, **dict(more)}
    if keys.token is not None:
        headers["x-amz-security-token"] = keys.token
    signed = {"host": host, **headers}
    listed = ";".join(sorted(signed))
    lines = "".join([f"{name}:{signed[name]}\n" for name in sorted(signed)])
    scope = f"{day}/{region}/s3/aws4_request"
    return _Form(
        headers,
        f"{lines}\n{listed}\n{_NO_BODY}",
        f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n",
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={listed}, Signature=",
        _signing_key(keys.secret_key, day, region),
    )


@lru_cache(4)
def _stamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(64)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical(query: str) -> str:
    """Return the members in order of their names, each with an equals sign."""
    if not query:
        return ""
    members = [member.partition("=") for member in query.split("&")]
    return "&".join(f"{name}={value}" for name, _, value in sorted(members))
