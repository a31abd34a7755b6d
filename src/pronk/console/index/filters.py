"""Which lines: a filter, what stands for it in an address, and the conditions that it means. Values are always bound. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

from pronk.console.index.columns import (
    DIMENSIONS,
    NUMBERS,
    TEXTS,
    Expression,
    anything_of,
    as_number,
    number_of,
    path_of,
    text_of,
    value_of,
)

Sign = Literal["is", "not", "min", "max", "over", "under", "in", "has", "lacks"]

COMPARED: Final[dict[Sign, str]] = {"min": ">=", "max": "<=", "over": ">", "under": "<"}
"""The signs that compare numbers."""

TAKEN: Final = frozenset({"line"})
"""Names that stand for something else in the address of a page."""

MAX_TERMS: Final = 20
MAX_NAME: Final = 200
MAX_VALUE: Final = 300
_SEARCHED: Final = ("answer", "prompt", "custom_id", "message", "reference")
_TEXT: Final = " OR ".join(f"contains(lower({TEXTS[name]}), ?)" for name in _SEARCHED)


class Term(msgspec.Struct, frozen=True):
    """One condition. `has` and `lacks` ask whether the name has anything; `in` looks for the value within a text."""

    name: str
    sign: Sign
    value: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """What stands for it in an address."""
        if self.sign == "is" and self.name not in TAKEN:
            return self.name, self.value
        return (
            (self.sign, self.name)
            if self.sign in {"has", "lacks"}
            else (f"{self.sign}.{self.name}", self.value)
        )

    @property
    def is_range(self) -> bool:
        """Whether it bounds a number."""
        return self.sign in COMPARED

    def fault(self) -> str | None:
        """Say what is wrong with it, None when nothing is."""
        if len(self.name) > MAX_NAME or len(self.value) > MAX_VALUE:
            return f"a name has at most {MAX_NAME} characters and a value {MAX_VALUE}"
        if not path_of(self.name) and self.name not in KNOWN[self.sign]:
            return f"{self.name!r} cannot be asked for that way; what can: {', '.join(KNOWN[self.sign])}, field.PATH"
        if self.is_range and as_number(self.value) is None:
            return f"{self.value!r} is not a number, which {self.name!r} {COMPARED[self.sign]} takes"
        if self.sign in {"is", "not"} and self.name not in DIMENSIONS and not path_of(self.name):
            return (
                None
                if as_number(self.value) is not None
                else f"{self.value!r} is not a number, which {self.name!r} is"
            )
        return None


KNOWN: Final[dict[Sign, tuple[str, ...]]] = {
    "is": tuple(dict.fromkeys((*DIMENSIONS, *NUMBERS))),
    "not": tuple(dict.fromkeys((*DIMENSIONS, *NUMBERS))),
    **dict.fromkeys(COMPARED, tuple(NUMBERS)),
    "in": tuple(TEXTS),
    "has": tuple(dict.fromkeys((*DIMENSIONS, *NUMBERS, *TEXTS))),
    "lacks": tuple(dict.fromkeys((*DIMENSIONS, *NUMBERS, *TEXTS))),
}
"""What each sign can be asked of, beside fields of answers."""


class Filter(msgspec.Struct, frozen=True):
    """Lines for which all `terms` hold and that have `text` somewhere; several values that one name `is` are alternatives."""

    terms: tuple[Term, ...] = ()
    text: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything through."""
        return not self.terms and not self.text

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Its names and values in an address."""
        return [*([("q", self.text)] if self.text else []), *(term.pair for term in self.terms)]

    def address(self) -> str:
        """Return the query of an address."""
        return urlencode(self.pairs)

    def has(self, name: str, value: str) -> bool:
        """Return whether a value was chosen."""
        return Term(name, "is", value) in self.terms

    def toggled(self, name: str, value: str) -> Filter:
        """Return the filter with one value chosen, in the place of others of its name, or not any more."""
        others = self.without(name)
        return others if self.has(name, value) else others.plus(Term(name, "is", value))

    def between(self, name: str, low: Term, high: Term) -> Filter:
        """Return the filter with a range in the place of everything said of its name, or without it if it is chosen."""
        others = self.without(name)
        return others if {low, high} <= set(self.terms) else others.plus(low, high)

    def plus(self, *terms: Term) -> Filter:
        """Return the filter with more."""
        return msgspec.structs.replace(self, terms=tuple(dict.fromkeys((*self.terms, *terms))))

    def less(self, term: Term) -> Filter:
        """Return the filter without one of its terms."""
        return msgspec.structs.replace(self, terms=tuple(one for one in self.terms if one != term))

    def without(self, name: str) -> Filter:
        """Return the filter without anything said of a name."""
        return msgspec.structs.replace(self, terms=tuple(term for term in self.terms if term.name != name))

    def condition(self) -> tuple[str, list[object]]:
        """Return a condition and the values for its question marks."""
        found = list(self._conditions())
        text = " AND ".join(f"({condition})" for condition, _ in found) or "TRUE"
        return text, [value for _, values in found for value in values]

    def _conditions(self) -> Iterator[Expression]:
        alternatives: dict[str, list[str]] = {}
        for term in self.terms:
            if term.sign == "is":
                alternatives.setdefault(term.name, []).append(term.value)
            else:
                yield _condition(term)
        for name, values in alternatives.items():
            found = [_equal(name, value) for value in values]
            yield " OR ".join(text for text, _ in found), [value for _, bound in found for value in bound]
        if self.text:
            yield _TEXT, [self.text.lower()] * len(_SEARCHED)


def chosen(name: str, value: str) -> Filter:
    """Return the filter of one value."""
    return Filter((Term(name, "is", value),))


def _condition(term: Term) -> Expression:
    if term.sign == "not":
        text, values = _equal(term.name, term.value)
        return f"({text}) IS DISTINCT FROM TRUE", values
    if term.sign == "in":
        text, values = text_of(term.name)
        return f"contains(lower({text}), ?)", [*values, term.value.lower()]
    if term.sign in {"has", "lacks"}:
        text, values = anything_of(term.name)
        return f"{text} IS {'NOT ' if term.sign == 'has' else ''}NULL", values
    sign, number = COMPARED[term.sign], as_number(term.value)
    if path := path_of(term.name):
        # Numbers of fields are ready there, in the order of names, once a batch is whole.
        return f"line IN (SELECT line FROM pairs WHERE name = ? AND number {sign} ?)", [path, number]  # noqa: S608
    text, values = number_of(term.name)
    return f"{text} {sign} ?", [*values, number]


def _equal(name: str, value: str) -> Expression:
    """A number of what has a range is compared as one; a class of sizes has a name instead."""
    number = as_number(value) if name in NUMBERS else None
    text, values = value_of(name) if number is None else number_of(name)
    return f"{text} = ?", [*values, value if number is None else number]
