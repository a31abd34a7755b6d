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
    stamp = _stamp(int(now()))
    day = stamp[:8]
    headers = {"x-amz-content-sha256": _NO_BODY, "x-amz-date": stamp, **more}
    if keys.token is not None:
        headers["x-amz-security-token"] = keys.token
    signed = {"host": host, **headers}
    names = sorted(signed)
    listed = ";".join(names)
    path, _, query = target.partition("?")
    lines = "".join([f"{name}:{signed[name]}\n" for name in names])
    asked = f"GET\n{path}\n{_canonical(query)}\n{lines}\n{listed}\n{_NO_BODY}"
    scope = f"{day}/{region}/s3/aws4_request"
    told = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(asked.encode()).hexdigest()}"
    key = _signing_key(keys.secret_key, day, region)
    proof = hmac.digest(key, told.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access_key}/{scope}, SignedHeaders={listed}, Signature={proof}"
    )
    return headers


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
