"""One value as somebody wrote it, in a flag, a variable or a TOML file, turned into the type that a setting has.

Whatever is wrong is said with the value, the place where it stands, and what would be right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect as shape

from pronk.domain.errors import SettingsError
from pronk.settings.about import members
from pronk.settings.secret import Secret

Table = TypeVar("Table", bound=msgspec.Struct)

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?i?b?)", re.IGNORECASE)
_UNITS: Final = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "ki": 2**10, "kib": 2**10,
    "m": 10**6, "mb": 10**6, "mi": 2**20, "mib": 2**20,
    "g": 10**9, "gb": 10**9, "gi": 2**30, "gib": 2**30,
    "t": 10**12, "tb": 10**12, "ti": 2**40, "tib": 2**40,
}  # fmt: skip
_TRUTH: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Given:
    """A value and the place where it stands. `is_text` when it came as text and must be read as its type."""

    value: object
    place: str
    is_text: bool = False

    def inside(self, key: str | int) -> str:
        """Return the place of a member of this value."""
        if isinstance(key, int):
            return f"{self.place}[{key}]"
        return f"{self.place}{'' if self.place.endswith(': ') else '.'}{key}"

    def table(self) -> Mapping[str, object]:
        """Return the members. Raises SettingsError when this is no table."""
        if not isinstance(self.value, dict):
            raise self.wrong("a table")
        return self.value

    def member(self, key: str) -> Given:
        """Return one member of this table."""
        return Given(self.table()[key], self.inside(key))

    def wrong(self, right: str) -> SettingsError:
        """Return the error that says what stands here and what would be right."""
        shown = repr(self.value) if not isinstance(self.value, bool) else str(self.value).lower()
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "…"
        return SettingsError(f"{self.place} is {shown}; it must be {right}")


def unknown(name: str, place: str, known: Iterable[str]) -> SettingsError:
    """Return the error for a name that nothing has, with the nearest one that exists."""
    nearest = max(sorted(known), key=lambda other: SequenceMatcher(None, name, other).ratio())
    return SettingsError(f"{place} is not a setting; did you mean {nearest!r}?")


def read(given: Given, kind: shape.Type, name: str) -> Any:
    """Return the value as `kind`; `name` is the setting's own name, whose ending says its unit.

    Raises SettingsError.
    """
    kind = bare(kind)
    match kind:
        case shape.StructType():
            return read_table(given, kind.cls)
        case shape.DictType():
            return _read_dict(given, kind)
        case shape.VarTupleType():
            return _read_tuple(given, kind, name)
        case shape.RawType():
            return _read_raw(given)
        case shape.UnionType():
            return _read_union(given, kind, name)
        case _:
            return _read_scalar(given, kind, name)


def bare(kind: shape.Type) -> shape.Type:
    """Return the type without its description."""
    return kind.type if isinstance(kind, shape.Metadata) else kind


def words(kind: shape.Type, name: str) -> str:
    """Return what a right value is, as it stands after "must be"."""
    kind = bare(kind)
    match kind:
        case shape.LiteralType():
            found = "one of " + ", ".join(sorted(str(value) for value in kind.values))
        case shape.UnionType():
            parts = (part for part in kind.types if not isinstance(part, shape.NoneType))
            found = " or ".join(words(part, name) for part in parts)
        case shape.VarTupleType():
            found = f"a list, each {words(kind.item_type, name)}"
        case _:
            found = _plain_words(kind, name)
    return found


def _plain_words(kind: shape.Type, name: str) -> str:
    match kind:
        case shape.BoolType():
            return "true or false"
        case shape.IntType():
            return ("a size such as 20MB or 64MiB" if name.endswith("_bytes") else "a whole number") + _range(
                kind
            )
        case shape.FloatType():
            return f"a number{_range(kind)}"
        case shape.DictType() | shape.StructType():
            return "a table"
        case _:
            return "a path" if isinstance(kind, shape.CustomType) and kind.cls is Path else "text"


def _range(kind: shape.IntType | shape.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    if kind.ge is not None:
        return f", {kind.ge} or more"
    return f" above {kind.gt}" if kind.gt is not None else ""


def read_table(given: Given, kind: type[Table], **own: object) -> Table:
    """Return a table as one `kind`; `own` are the members that its header says and that may not stand in it.

    Raises SettingsError.
    """
    table = given.table()
    fields = members(kind, but=frozenset(own))
    for key in table:
        if key not in fields:
            raise unknown(key, given.inside(key), fields)
    for key, field in fields.items():
        if field.required and key not in table:
            raise SettingsError(f"{given.inside(key)} is missing; it must be {words(field.type, key)}")
    read_members = {key: read(given.member(key), fields[key].type, key) for key in table}
    return kind(**read_members, **own)


def _read_dict(given: Given, kind: shape.DictType) -> dict[str, Any]:
    return {key: read(given.member(key), kind.value_type, key) for key in given.table()}


def _read_tuple(given: Given, kind: shape.VarTupleType, name: str) -> tuple[Any, ...]:
    value = given.value
    if given.is_text and isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value) if part]
    if not isinstance(value, list | tuple):
        raise given.wrong(words(kind, name))
    items = (Given(item, given.inside(number), given.is_text) for number, item in enumerate(value))
    return tuple(read(item, kind.item_type, name) for item in items)


def _read_raw(given: Given) -> msgspec.Raw:
    if not _is_json(given.value):
        raise given.wrong("a value that JSON has: text, a finite number, true or false, a list or a table")
    return msgspec.Raw(msgspec.json.encode(given.value))


def _is_json(value: object) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case str() | bool() | int():
            return True
        case list():
            return all(map(_is_json, value))
        case dict():
            return all(map(_is_json, value.values()))
        case _:
            return False


def _read_union(given: Given, kind: shape.UnionType, name: str) -> Any:
    for part in kind.types:
        if isinstance(part, shape.NoneType):
            continue
        try:
            return read(given, part, name)
        except SettingsError:
            if isinstance(part, shape.StructType):
                raise
    raise given.wrong(words(kind, name))


def _read_scalar(given: Given, kind: shape.Type, name: str) -> Any:
    value: object = None
    match kind:
        case shape.BoolType():
            value = _truth(given)
        case shape.IntType():
            value = _whole(given, is_size=name.endswith("_bytes"))
        case shape.FloatType():
            value = _number(given)
        case shape.LiteralType():
            value = given.value if given.value in kind.values else None
        case shape.CustomType(cls=cls) if isinstance(given.value, str) and cls in {Path, Secret}:
            value = cls(given.value)
        case shape.StrType() if isinstance(given.value, str):
            value = given.value
        case _:
            pass
    if value is None or not _is_within(value, kind):
        raise given.wrong(words(kind, name))
    return value


def _truth(given: Given) -> bool | None:
    if isinstance(given.value, bool):
        return given.value
    return _TRUTH.get(str(given.value).lower()) if given.is_text else None


def _whole(given: Given, *, is_size: bool) -> int | None:
    value = given.value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and is_size:
        return parse_size(value)
    if isinstance(value, str) and given.is_text and re.fullmatch(r"[+-]?[0-9][0-9_]*", value):
        return int(value)
    return None


def parse_size(text: str) -> int | None:
    """Return bytes: ``20MB`` counts in thousands, ``64MiB`` in 1024s, a bare number is bytes; None if it is neither."""
    match = _SIZE.fullmatch(text.strip().replace("_", ""))
    unit = _UNITS.get(match[2].lower()) if match else None
    return int(float(match[1]) * unit) if match and unit else None


def _number(given: Given) -> float | None:
    value = given.value
    if given.is_text and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _is_within(value: object, kind: shape.Type) -> bool:
    if not isinstance(kind, shape.IntType | shape.FloatType) or not isinstance(value, int | float):
        return True
    is_low = (kind.ge is not None and value < kind.ge) or (kind.gt is not None and value <= kind.gt)
    return not is_low and (kind.le is None or value <= kind.le)
