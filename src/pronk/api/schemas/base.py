"""What every schema is made of, and the error envelope."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pronk.api import examples
from pronk.api.names import Kind


def _whole(text: str) -> str:
    """Refuse half of a surrogate pair: JSON can say it, UTF-8 and databases cannot."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it should not have half of a surrogate pair")
    return text


def _integral(value: object) -> object:
    """Take 14.0 for 14, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, AfterValidator(_whole)]
Integer = Annotated[int, BeforeValidator(_integral)]
Seconds = Annotated[int, Field(description="Unix seconds.")]
Window = Annotated[
    str,
    Field(
        description="`unlimited`, or a whole number of minutes, hours or days up to 30 days: `90m`, `24h`, `7d`.",
        json_schema_extra={"pattern": examples.WINDOW_PATTERN},
    ),
]


def after_of(kind: Kind) -> Any:
    """A cursor; what is wrong with one is said by `names.checked_cursor`."""
    return Field(
        None,
        description=f"Id of the last {kind.noun} of the page before.",
        json_schema_extra={"pattern": f"^({kind.pattern.pattern})?$"},
    )


class In(BaseModel):
    """What is read from a request: exact types, unknown members ignored."""

    model_config = ConfigDict(strict=True)


class Out(BaseModel):
    """What is answered: every member always present."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class ErrorBody(Out):
    """What went wrong, with which value, and what would be right."""

    message: str
    type: str
    param: str | None = Field(description="The member of the request that is wrong.")
    code: str | None = Field(description="A fixed word for programs.")


class Error(Out):
    """Every answer that is not a success."""

    model_config = ConfigDict(json_schema_extra={"example": examples.ERROR})

    error: ErrorBody


class ExpiresAfter(In):
    """A time to live."""

    anchor: Literal["created_at"]
    seconds: Integer = Field(ge=3600, le=2_592_000)
