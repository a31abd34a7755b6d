"""Texts with names in braces: ``{key}``, ``{name}``, ``{folder}`` and the columns of a table; ``{{`` is a brace."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A text whose names are known; ValueError for one that is not, or for a brace that stands alone."""

    def __init__(self, text: str, known: frozenset[str]) -> None:
        self._pieces: list[tuple[str, str | None]] = []
        at = 0
        for found in _PIECE.finditer(text):
            self._pieces.append((text[at : found.start()], None))
            at = found.end()
            if found[0] in {"{{", "}}"}:
                self._pieces.append((found[0][0], None))
            elif found[1] is None:
                raise ValueError(
                    f"{found[0]!r} stands alone at character {found.start() + 1}; write it twice"
                )
            elif found[1] not in known:
                raise ValueError(
                    f"{{{found[1]}}} is not known; there are {', '.join(sorted(f'{{{name}}}' for name in known))}"
                )
            else:
                self._pieces.append(("", found[1]))
        self._pieces.append((text[at:], None))
        self._plain = "".join(piece for piece, name in self._pieces) if not self.names else None

    @property
    def names(self) -> set[str]:
        """The names that it uses."""
        return {name for _, name in self._pieces if name is not None}

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with its names replaced."""
        if self._plain is not None:
            return self._plain
        return "".join(piece if name is None else values[name] for piece, name in self._pieces)
