"""What OpenAPI says of routes beyond their types: every answer that is not a success, forms and bodies."""

from __future__ import annotations

from typing import Any, Final

from pronk.api import examples, schemas

Responses = dict[int | str, dict[str, Any]]

_SENTENCES: Final = {
    400: "The request can be seen to be wrong.",
    401: "The key opens nothing, or there is none where one is needed.",
    403: "The key lacks the scope.",
    404: "No such thing, or not the caller's.",
    405: "The path does not take this method.",
    408: "The engine says so.",
    409: "The thing is in a state that does not allow this.",
    413: "The body is over a limit.",
    416: "The file has no such range.",
    429: "A limit of the project is reached, many wrong keys came from this address, or the engine has too much to do.",
    500: "A fault of the server.",
    502: "The engine answered what is no answer.",
    503: "The server, or every replica of the engine, cannot answer now.",
    504: "The engine did not answer in time.",
}


def _errors(*statuses: int) -> Responses:
    return {status: {"model": schemas.Error, "description": _SENTENCES[status]} for status in statuses}


_GUARDED: Final = (401, 403, 429)
LISTING: Final = _errors(*_GUARDED, 400, 500, 503)
LOOKING: Final = _errors(*_GUARDED, 400, 404, 500, 503)
CREATING: Final = _errors(*_GUARDED, 400, 404, 409, 413, 500, 503)
UPLOADING: Final = _errors(*_GUARDED, 400, 413, 500, 503)
CHANGING: Final = _errors(*_GUARDED, 400, 404, 409, 413, 500, 503)
PAGING: Final = _errors(*_GUARDED, 400, 404, 500, 503)
PROBING: Final = _errors(503)

_BYTES: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
CONTENT: Final[Responses] = {
    200: {"description": "The bytes of the file.", "content": _BYTES},
    206: {"description": "The bytes that `Range` asked for.", "content": _BYTES},
    **_errors(*_GUARDED, 400, 404, 416, 500, 503),
}

_JSON_ANY: Final = {"application/json": {"schema": {"type": "object"}}}
NOW: Final[Responses] = {
    200: {
        "description": "The engine's answer; server-sent events when `stream` is true.",
        "content": {**_JSON_ANY, "text/event-stream": {"schema": {"type": "string"}}},
    },
    "4XX": {"description": "The request is wrong, here or for the engine.", "content": _JSON_ANY},
    "5XX": {"description": "No engine could answer.", "content": _JSON_ANY},
}

FILE_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "dependentRequired": {
                        "expires_after[anchor]": ["expires_after[seconds]"],
                        "expires_after[seconds]": ["expires_after[anchor]"],
                    },
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {
                            "type": "string",
                            "enum": ["assistants", "batch", "evals", "fine-tune", "user_data", "vision"],
                        },
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
                    },
                },
            }
        },
    }
}

PART_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {"data": {"type": "string", "format": "binary"}},
                },
            }
        },
    }
}

CHAT_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"model": {"type": "string"}}},
                "example": examples.CHAT,
            }
        },
    }
}

METRICS: Final[Responses] = {
    200: {
        "description": "Prometheus' text form.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    **_errors(*_GUARDED, 400, 500, 503),
}

ANY_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {"model": {"type": "string"}}}}
        },
    }
}
