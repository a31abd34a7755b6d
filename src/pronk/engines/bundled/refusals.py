"""What the bundled engine answers when it cannot do what a request asks, and OpenAI's envelope around it.

Messages say what is wrong and what would be right; they never carry a memory address or a library's own text.
`param` is the JSON path of the bad part, such as `messages[0].content[1].image_url.url`.
"""

from pronk.domain.errors import (
    ApiError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    TooLargeError,
    UnavailableError,
)

RETRY_AFTER_SECONDS = 1.0


def envelope(error: ApiError) -> dict[str, dict[str, str | None]]:
    """The body of every answer that is not a success."""
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def headers(error: ApiError) -> dict[str, str]:
    """`Retry-After` for what may go well a moment later."""
    return {"retry-after": "1"} if error.status_code in (429, 503) else {}


def bad(param: str | None, message: str, code: str = "invalid_value") -> InvalidRequestError:
    """The request is wrong at `param`."""
    return InvalidRequestError(message, param=param, code=code)


def missing(param: str, right: str) -> InvalidRequestError:
    """What must be there is not."""
    return bad(param, f"{param} is required: {right}", "missing_required_parameter")


def not_found(message: str, code: str = "not_found", param: str | None = None) -> NotFoundError:
    """No such model or route."""
    return NotFoundError(message, param=param, code=code)


def too_large(message: str) -> TooLargeError:
    """The body is over the limit."""
    return TooLargeError(message, code="request_too_large")


def overloaded(message: str) -> RateLimitError:
    """Too much waits already."""
    return RateLimitError(message, retry_after=RETRY_AFTER_SECONDS, code="engine_overloaded")


def unavailable(message: str) -> UnavailableError:
    """The generating process failed this request; another try may go well."""
    return UnavailableError(message, code="engine_unavailable")


def internal() -> ApiError:
    """A fault of the engine's own; what exactly stands in the log only."""
    return ApiError("the engine failed on this request; its log has the reason", code="internal_error")
