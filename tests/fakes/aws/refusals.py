"""What the service says when it does not serve, in its own words and XML."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from tests.fakes.http1 import Reply

_STATUS = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "ExpiredToken": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidPart": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "InvalidToken": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NotModified": 304,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "XAmzContentSHA256Mismatch": 400,
}


class RefusedError(Exception):
    """The request is refused; `details` are further elements of the XML body, `headers` of the answer."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        details: Mapping[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details or {}
        self.headers = headers

    def reply(self) -> Reply:
        """Return the answer that a client gets."""
        elements = {
            "Code": self.code,
            "Message": self.message,
            **self.details,
            "RequestId": "4442587FB7D0A2F9",
        }
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
        status = _STATUS[self.code]
        headers = (("content-type", "application/xml"), *self.headers)
        return Reply(status, headers, b"" if status == 304 else body)
