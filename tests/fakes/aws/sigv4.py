"""Signature Version 4 as the service checks it: written from AWS's description, not from any signer."""

from __future__ import annotations

import hashlib
import hmac
from calendar import timegm
from dataclasses import dataclass
from functools import lru_cache
from time import strptime
from urllib.parse import quote, unquote

from tests.fakes.aws.iam import Credential, Iam
from tests.fakes.aws.refusals import RefusedError
from tests.fakes.http1 import Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_MAX_SKEW_SECONDS = 900
_UNSIGNED = {"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds: by whom, and for which region and service."""

    credential: Credential
    region: str
    service: str


@dataclass(slots=True)
class _Claim:
    """What a request says about its signature."""

    access_key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    stamp: str
    payload: str
    token: str | None
    lifetime: int | None = None


def is_signed(request: Request) -> bool:
    """Whether the request carries a signature at all."""
    return "authorization" in request.headers or "X-Amz-Algorithm=" in request.query


def check_signature(request: Request, iam: Iam, now: float) -> Signed:
    """Return who signed; `now` is the service's clock in Unix seconds. Raises RefusedError in the service's words."""
    claim = _from_query(request) if "X-Amz-Algorithm=" in request.query else _from_header(request)
    credential = iam.credentials.get(claim.access_key)
    if credential is None:
        raise RefusedError(
            "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
        )
    _check_time(claim, now)
    _check_all_signed(request, claim)
    if not hmac.compare_digest(_signature(request, claim, credential.secret), claim.signature):
        raise RefusedError("SignatureDoesNotMatch", "The request signature we calculated does not match.")
    _check_session(claim, credential, iam.now())
    _check_payload(request, claim)
    return Signed(credential, claim.region, claim.service)


def _from_header(request: Request) -> _Claim:
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").split("/")
    if algorithm != _ALGORITHM or len(scope) != 5 or not {"SignedHeaders", "Signature"} <= fields.keys():
        raise RefusedError("AuthorizationHeaderMalformed", "The authorization header is malformed.")
    access_key, date, region, service, _ = scope
    payload = request.headers.get("x-amz-content-sha256", "")
    if not payload and service == "s3":
        raise RefusedError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    return _Claim(
        access_key,
        date,
        region,
        service,
        tuple(fields["SignedHeaders"].split(";")),
        fields["Signature"],
        request.headers.get("x-amz-date", ""),
        payload or hashlib.sha256(request.body).hexdigest(),
        request.headers.get("x-amz-security-token"),
    )


def _from_query(request: Request) -> _Claim:
    fields = dict(_pairs(request.query))
    scope = fields.get("X-Amz-Credential", "").split("/")
    needed = {"X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Expires", "X-Amz-Date"}
    if len(scope) != 5 or not needed <= fields.keys():
        raise RefusedError("AuthorizationQueryParametersError", "Query-string authentication is incomplete.")
    access_key, date, region, service, _ = scope
    return _Claim(
        access_key,
        date,
        region,
        service,
        tuple(fields["X-Amz-SignedHeaders"].split(";")),
        fields["X-Amz-Signature"],
        fields["X-Amz-Date"],
        "UNSIGNED-PAYLOAD",
        fields.get("X-Amz-Security-Token"),
        int(fields["X-Amz-Expires"]),
    )


def _check_time(claim: _Claim, now: float) -> None:
    try:
        stamped = _seconds(claim.stamp)
    except ValueError:
        raise RefusedError("AccessDenied", "AWS authentication requires a valid Date or x-amz-date") from None
    if not claim.stamp.startswith(claim.date):
        raise RefusedError("AuthorizationHeaderMalformed", "Invalid credential date.")
    if claim.lifetime is not None and now > stamped + claim.lifetime:
        raise RefusedError("AccessDenied", "Request has expired")
    if claim.lifetime is None and abs(now - stamped) > _MAX_SKEW_SECONDS:
        raise RefusedError(
            "RequestTimeTooSkewed", "The difference between the request time and ours is too large."
        )


@lru_cache(maxsize=64)
def _seconds(stamp: str) -> int:
    return timegm(strptime(stamp, "%Y%m%dT%H%M%SZ"))


def _check_all_signed(request: Request, claim: _Claim) -> None:
    must = {name for name in request.headers if name == "host" or name.startswith("x-amz-")}
    if not must <= set(claim.headers):
        raise RefusedError("AccessDenied", "There were headers present in the request which were not signed")


def _check_session(claim: _Claim, credential: Credential, now: float) -> None:
    if claim.token != credential.token:
        raise RefusedError("InvalidToken", "The provided token is malformed or otherwise invalid.")
    if credential.expires_at is not None and now >= credential.expires_at:
        raise RefusedError("ExpiredToken", "The provided token has expired.")


def _check_payload(request: Request, claim: _Claim) -> None:
    if claim.payload in _UNSIGNED:
        return
    if claim.payload != hashlib.sha256(request.body).hexdigest():
        raise RefusedError(
            "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match."
        )


def _signature(request: Request, claim: _Claim, secret: str) -> str:
    scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
    digest = hashlib.sha256(_canonical_request(request, claim).encode()).hexdigest()
    text = f"{_ALGORITHM}\n{claim.stamp}\n{scope}\n{digest}"
    return hmac.digest(_key(secret, claim.date, claim.region, claim.service), text.encode(), "sha256").hex()


@lru_cache(maxsize=256)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical_request(request: Request, claim: _Claim) -> str:
    headers = "".join(f"{name}:{' '.join(_header(request, name).split())}\n" for name in claim.headers)
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path, claim.service),
            _canonical_query(request.query),
            headers,
            ";".join(claim.headers),
            claim.payload,
        )
    )


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name)
    if value is None:
        raise RefusedError("SignatureDoesNotMatch", f"The signed header {name} is missing.")
    return value


def _canonical_path(path: str, service: str) -> str:
    once = quote(unquote(path), safe="/-_.~")
    return once if service == "s3" else quote(once, safe="/-_.~")


def _canonical_query(query: str) -> str:
    pairs = [(name, value) for name, value in _pairs(query) if name != "X-Amz-Signature"]
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in parts]
