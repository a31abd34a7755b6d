"""Every error pronk raises, as one tree.

::

    PronkError
    ├─ SettingsError                a setting is wrong: the program does not start
    ├─ ApiError                     status_code, type, param, code → the error envelope of one HTTP answer
    │   ├─ InvalidRequestError 400  ├─ AuthenticationError 401   ├─ PermissionDeniedError 403
    │   ├─ NotFoundError 404        ├─ ConflictError 409         ├─ TooLargeError 413
    │   └─ RateLimitError 429       └─ UnavailableError 503
    ├─ RequestError                 code, message, param, retriable → `error` of one result line
    │   ├─ MediaError               a reference cannot be turned into bytes (image_…, video_…)
    │   └─ EngineError              engine_unavailable, engine_timeout
    ├─ InputLostError               the bytes of an input file are gone or changed → `errors` of a batch
    ├─ ClaimLostError               somebody else owns the work now: stop, write nothing more
    └─ OutageError                  the database or the storage does not answer: pause, then go on
        ├─ StoreOutageError
        └─ BlobOutageError
"""

from __future__ import annotations


class PronkError(Exception):
    """What pronk itself raises."""


class SettingsError(PronkError):
    """A setting is missing, unknown or out of range; the message names it and what would be right."""


class ApiError(PronkError):
    """One HTTP answer that is not a success, in OpenAI's envelope."""

    status_code = 500
    type = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class InvalidRequestError(ApiError):
    """The request can be seen to be wrong."""

    status_code = 400
    type = "invalid_request_error"


class AuthenticationError(ApiError):
    """No key, or one that is not known."""

    status_code = 401
    type = "authentication_error"


class PermissionDeniedError(ApiError):
    """A known key that may not do this."""

    status_code = 403
    type = "permission_error"


class NotFoundError(ApiError):
    """No such thing, or it belongs to another project."""

    status_code = 404
    type = "invalid_request_error"


class ConflictError(ApiError):
    """The thing is in a state that does not allow this."""

    status_code = 409
    type = "conflict_error"


class TooLargeError(ApiError):
    """The body is over a limit."""

    status_code = 413
    type = "invalid_request_error"


class RateLimitError(ApiError):
    """Too much at once; `retry_after` says in how many seconds to come back."""

    status_code = 429
    type = "rate_limit_error"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class UnavailableError(ApiError):
    """The server cannot answer now and expects to be able to soon."""

    status_code = 503
    type = "server_error"


class RequestError(PronkError):
    """One request of a batch cannot be answered; becomes the `error` of its result line.

    `param` is the JSON path of the bad part, such as ``messages[0].content[1].image_url.url``.
    """

    def __init__(self, code: str, message: str, *, param: str | None = None, retriable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retriable = retriable


class MediaError(RequestError):
    """A reference cannot be turned into bytes that the engine may get."""


class EngineError(RequestError):
    """No usable answer from any replica; always worth another try.

    `retry_after` is the replica's own wish in seconds, if it named one.
    """

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(code, message, retriable=True)
        self.retry_after = retry_after


class InputLostError(PronkError):
    """An input file is not what was uploaded any more. `line` is the first one that is concerned, from 1."""

    def __init__(self, code: str, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


class ClaimLostError(PronkError):
    """Somebody else owns the claimed work now; nothing more may be written for it."""


class OutageError(PronkError):
    """A part that everything needs does not answer; work pauses and goes on by itself."""


class StoreOutageError(OutageError):
    """The database cannot be reached or written."""


class BlobOutageError(OutageError):
    """The storage cannot be reached or written."""
