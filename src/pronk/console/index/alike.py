"""Lines whose answer says the same as one line's, or nearly, and lines about the same picture; without any model."""

from __future__ import annotations

from typing import Final

import msgspec

from pronk.console.index.queries import Line
from pronk.console.index.shelf import Index

LEAST: Final = 0.8
"""The share of words that two answers have in common, of all words of both, from which on they are nearly the same."""

MAX_SHOWN: Final = 30
_SECONDS: Final = 15.0
_LONGEST: Final = 20_000
_WORDS: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}]|[\p{L}\p{N}]+"
_LIKE: Final = """
WITH others AS (
  SELECT line, custom_id, answer = $answer AS is_same, list_distinct(regexp_extract_all(lower(answer), $words)) AS words
    FROM lines WHERE state = 'ok' AND line <> $line AND length(answer) BETWEEN $shortest AND $longest),
mine AS (SELECT list_distinct(regexp_extract_all(lower($answer), $words)) AS words),
measured AS (
  SELECT line, custom_id, is_same, len(list_intersect(others.words, mine.words)) AS common, len(others.words) + len(mine.words) AS total
    FROM others, mine)
SELECT line, custom_id, CASE WHEN is_same THEN 1.0 ELSE common / (total - common) END AS share, COUNT(*) OVER ()
  FROM measured WHERE is_same OR (total > common AND common / (total - common) >= $least)
 ORDER BY is_same DESC, share DESC, line LIMIT $most
"""
_SAME_PICTURE: Final = """
SELECT line, custom_id, 1.0, COUNT(*) OVER () FROM lines
 WHERE line <> ? AND pictures = 1 AND (refs[1] = ? OR (bytes = ? AND width = ? AND height = ? AND type = ?))
 ORDER BY line LIMIT ?
"""


class Alike(msgspec.Struct, frozen=True):
    """A line that is like another; `share` is 1 where nothing differs."""

    line: int
    custom_id: str
    share: float


class Found(msgspec.Struct, frozen=True):
    """The most alike lines, and how many there are in all."""

    lines: tuple[Alike, ...] = ()
    total: int = 0


async def answers(index: Index, number: int) -> Found:
    """Return lines whose answers have nearly all words in common with this line's. Raises UnavailableError when that takes too long."""
    rows = await index.table.ask("SELECT answer FROM lines WHERE line = ? AND state = 'ok'", [number])
    answer = rows[0][0] if rows else None
    if not answer or len(answer) > _LONGEST:
        return Found()
    return _found(
        await index.table.ask(
            _LIKE,
            {
                "answer": answer,
                "words": _WORDS,
                "line": number,
                "shortest": len(answer) // 2,
                "longest": 2 * len(answer),
                "least": LEAST,
                "most": MAX_SHOWN,
            },
            seconds=_SECONDS,
        )
    )


async def pictures(index: Index, line: Line) -> Found:
    """Return lines about one picture that has this line's reference, or its type, width, height and number of bytes."""
    if line.pictures != 1 or not line.refs:
        return Found()
    reference = None if line.refs[0].startswith("data:") else line.refs[0]
    values = [line.line, reference, line.bytes, line.width, line.height, line.type, MAX_SHOWN]
    return _found(await index.table.ask(_SAME_PICTURE, values, seconds=_SECONDS))


def _found(rows: list[tuple[int, str, float, int]]) -> Found:
    return Found(tuple(Alike(*row[:3]) for row in rows), rows[0][3] if rows else 0)
