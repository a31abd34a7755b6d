"""What an object store's refusals mean, whoever met them."""

from __future__ import annotations

import re

from pronk.domain.errors import PronkError
from pronk.media.fetched import ExpiredKeysError, FetchError, TransientError, WrongRegionError, status_failure

_CODE = re.compile(r"<Code>(\w+)</Code>")
_REGION = re.compile(r"<Region>([a-z0-9\-]{1,64})</Region>")
_EXPIRED = frozenset({"ExpiredToken", "TokenRefreshRequired", "ExpiredTokenException"})
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "Redirect"})
_PASSING = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"})


def error_of_status(status: int, text: str, *, versioned: bool) -> PronkError:
    """Return what an HTTP answer of a store means; `text` holds its XML."""
    found = _CODE.search(text)
    code = found[1] if found else ""
    if code in _EXPIRED:
        return ExpiredKeysError(code)
    if code in _ELSEWHERE or 300 <= status < 400:
        named = _REGION.search(text)
        return WrongRegionError(code, named[1] if named else None)
    if code in _PASSING:
        return TransientError(
            f"HTTP {status} {code}", slow_down=code in {"SlowDown", "Throttling"} or status == 503
        )
    return _final(status, code, versioned=versioned)


def _final(status: int, code: str, *, versioned: bool) -> PronkError:
    if code == "NoSuchBucket":
        return FetchError("not_found", "does not exist: there is no such bucket")
    if code == "NoSuchVersion" or (versioned and status in {400, 405}):
        return FetchError("not_found", "does not exist in that version")
    if code == "InvalidObjectState":
        return FetchError("access_denied", "is archived; restore it in its bucket first")
    if status == 404:
        return FetchError("not_found", "does not exist")
    if status in {401, 403}:
        return FetchError("access_denied", f"may not be read with the server's credentials{_hint(code)}")
    return status_failure(status)


def _hint(code: str) -> str:
    return {
        "InvalidAccessKeyId": ": the store does not know the access key",
        "SignatureDoesNotMatch": ": the secret key is not the right one",
        "RequestTimeTooSkewed": ": the server's clock is wrong",
    }.get(code, "")
