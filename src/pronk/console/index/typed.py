"""A filter as it stands in an address, and as one types it: ``state:failed -code:timeout output_tokens>=100 field.shape~round "two words"``. Pure.

===============  ==============================================================================
``name:value``   it is the value; the same name again is an alternative
``-name:value``  it is not
``name>=1``      its number is that or more; ``<=``, ``>`` and ``<`` likewise
``name~text``    the text is in it
``has:name``     it has anything; ``-has:name``: it has nothing
anything else    the text is in its prompt, answer, id, message or reference
===============  ==============================================================================

Quotes hold spaces and signs together; within them a backslash goes before a quote and before itself. What is written is
what is read: every filter comes back from its text as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, NoReturn

from starlette.datastructures import QueryParams

from pronk.console.index.columns import NAMES, path_of
from pronk.console.index.filters import COMPARED, KNOWN, MAX_TERMS, MAX_VALUE, TAKEN, Filter, Sign, Term
from pronk.domain.errors import InvalidRequestError

HAS: Final = "has"
MAX_TYPED: Final = 4000
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NAME: Final = re.compile(r'[^\s"\\:<>=~-][^\s"\\:<>=~]*')
_OPERATOR: Final = re.compile(r">=|<=|[:<>~]")
_BARE: Final = re.compile(r'[^\s"\\]+')
_WORD: Final = re.compile(r"\S+")
_SPACE: Final = re.compile(r"\s*")
_SIGNS: Final[dict[str, Sign]] = {":": "is", "~": "in", **{text: sign for sign, text in COMPARED.items()}}


def read_filter(query: QueryParams) -> Filter:
    """Return the filter of an address: its names and values, and what is typed in ``filter``; names that are not known are left out.

    Raises InvalidRequestError for values that a known name cannot have, and for what is typed and cannot be read.
    """
    terms = [term for name, value in query.multi_items() if (term := _of_pair(name, value)) is not None]
    typed = read_typed(query.get("filter", ""))
    said = " ".join(filter(None, (query.get("q", "").strip(), typed.text)))
    found = Filter(tuple(dict.fromkeys((*terms, *typed.terms))), said[:MAX_VALUE])
    if len(found.terms) > MAX_TERMS:
        raise _invalid(f"A filter has at most {MAX_TERMS} terms; this one has {len(found.terms)}.")
    for term in found.terms:
        if fault := term.fault():
            raise _invalid(f"This cannot be filtered by: {fault}.", term.pair[0])
    return found


def write_typed(wanted: Filter) -> str:
    """Return a filter as text."""
    said = [_quoted(wanted.text, _is_word)] if wanted.text else []
    return " ".join((*map(write_term, wanted.terms), *said))


def write_term(term: Term) -> str:
    """Return one condition as text."""
    name = _quoted(term.name, lambda text: bool(_NAME.fullmatch(text)) and text != HAS)
    if term.sign in {"has", "lacks"}:
        return f"{'-' if term.sign == 'lacks' else ''}{HAS}:{_quoted(term.name, _is_bare)}"
    value = _quoted(term.value, _is_bare)
    if term.sign == "not":
        return f"-{name}:{value}"
    return f"{name}{next(text for text, sign in _SIGNS.items() if sign == term.sign)}{value}"


def read_typed(text: str) -> Filter:
    """Return the filter that a text means. Raises InvalidRequestError, which says where it cannot be read and what would be right."""
    if len(text) > MAX_TYPED:
        _refuse(MAX_TYPED, f"a filter has at most {MAX_TYPED} characters")
    terms: list[Term] = []
    said: list[str] = []
    at = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # it matches nothing at all too
    while at < len(text):
        term, end = _term(text, at)
        if term is None:
            word, end = _piece(text, at)
            said.append(word)
        elif term not in terms:
            terms.append(term)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    return Filter(tuple(terms), " ".join(filter(None, said)).strip())


def _of_pair(name: str, value: str) -> Term | None:
    """Return what a pair of an address says, None for one that says nothing of lines."""
    if name in {"has", "lacks"}:
        return Term(value, name) if value in KNOWN["has"] or path_of(value) else None  # type: ignore[arg-type]
    if path_of(name) or (name in KNOWN["is"] and name not in TAKEN):
        return Term(name, "is", value) if value or path_of(name) else None
    sign, _, inner = name.partition(".")
    if sign not in KNOWN or not (path_of(inner) or inner in KNOWN["has"]):
        return None
    return Term(inner, sign, value)


def _term(text: str, start: int) -> tuple[Term | None, int]:
    """Return the condition that stands at a place and where it ends, None where words stand."""
    is_negative = text[start] == "-"
    at = start + is_negative
    is_quoted = text.startswith('"', at)
    found = (_QUOTED if is_quoted else _NAME).match(text, at)
    if found is None:
        return None, start
    name = _unquoted(found[1]) if is_quoted else found[0]
    operator = _OPERATOR.match(text, found.end())
    if operator is None or (operator[0] == ":" and text.startswith("//", operator.end())):
        return None, start
    value, end = (
        _piece(text, operator.end())
        if operator.end() < len(text) and not text[operator.end()].isspace()
        else ("", operator.end())
    )
    if name == HAS and not is_quoted and operator[0] == ":":
        return _checked(Term(value, "lacks" if is_negative else "has"), start), end
    sign = _SIGNS[operator[0]]
    if is_negative and sign != "is":
        _refuse(start, f"'-' goes with ':' only; leave it out, or turn {operator[0]!r} round")
    return _checked(Term(name, "not" if is_negative else sign, value), start), end


def _piece(text: str, at: int) -> tuple[str, int]:
    """Return a value or word, in quotes or up to the next space, and where it ends."""
    if not text.startswith('"', at):
        word = _WORD.match(text, at)
        return (word[0], word.end()) if word else ("", at)
    found = _QUOTED.match(text, at)
    if found is None:
        _refuse(at, 'a quote is not closed; one within quotes is written \\"')
    return _unquoted(found[1]), found.end()


def _checked(term: Term, at: int) -> Term:
    if not path_of(term.name) and term.name not in NAMES:
        near = get_close_matches(term.name, (*NAMES, HAS), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMES)} and field.PATH."
        _refuse(
            at,
            f"there is no {term.name[:60]!r} to filter by; {hint} To search for the text itself, put it in quotes",
        )
    if fault := term.fault():
        _refuse(at, fault)
    return term


def _refuse(at: int, why: str) -> NoReturn:
    raise _invalid(f"The filter cannot be read from character {at + 1} on: {why}.")


def _invalid(message: str, param: str = "filter") -> InvalidRequestError:
    return InvalidRequestError(message, param=param, code="invalid_filter")


def _is_bare(text: str) -> bool:
    return bool(_BARE.fullmatch(text)) and not text.startswith("//")


def _is_word(text: str) -> bool:
    """Whether a text is read as words though it stands without quotes: letters and digits alone."""
    return text.isalnum()


def _quoted(text: str, is_plain: Callable[[str], bool]) -> str:
    if is_plain(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
