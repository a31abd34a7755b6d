"""Reads the members of one JSON object; whatever is wrong is said with its JSON path and with what would be right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from pronk.domain.errors import InvalidRequestError
from pronk.engines.bundled.refusals import bad, missing

SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """A value as JSON, cut short, to be quoted in a message."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def wrong(path: str, right: str, value: object) -> InvalidRequestError:
    """The refusal of a `value` that is not `right`."""
    return bad(path, f"{path} must be {right}, not {shown(value)}")


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object of a request. Null and absent are the same; members nobody reads are accepted."""

    members: Mapping[str, object]
    path: str = ""

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> object:
        return self.members.get(name)

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(self.at(name), f"a whole number from {low} to {high}", value)
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise wrong(self.at(name), f"a number from {low:g} to {high:g}", value)
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.at(name), "true or false", value)
        return bool(value)

    def text(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong(self.at(name), "a string", value)
        return value

    def required_text(self, name: str, right: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(self.at(name), right)
        return value

    def child(self, name: str) -> "Fields | None":
        value = self.get(name)
        return None if value is None else as_object(value, self.at(name))

    def items(self, name: str) -> list[object] | None:
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise wrong(self.at(name), "an array", value)
        return cast("list[object] | None", value)


def as_object(value: object, path: str) -> Fields:
    """Raises `InvalidRequestError` at `path` for anything but an object."""
    if not isinstance(value, dict):
        raise wrong(path or "the request body", "a JSON object", value)
    return Fields(cast("dict[str, object]", value), path)


def read_body(data: bytes) -> Fields:
    """The body of a request as fields; 400 when it is not one JSON object."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad(
            None, "the request body must be one JSON object in UTF-8; it could not be parsed", "invalid_json"
        ) from error
    if not isinstance(value, dict):
        raise bad(None, f"the request body must be a JSON object, not {shown(value)}", "invalid_json")
    return Fields(value)
