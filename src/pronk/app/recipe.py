"""What requests are made of: which objects belong to one, and what it asks."""

from __future__ import annotations

import hashlib
import re
from fnmatch import translate
from typing import Any, Final

import msgspec

from pronk.domain.errors import SettingsError
from pronk.domain.template import Template
from pronk.media.listing import Entry
from pronk.results.table import Table

MEDIA: Final = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "pdf")
MAX_CUSTOM_ID: Final = 512
CHAT: Final = "/v1/chat/completions"
_encode = msgspec.json.Encoder().encode


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What to make: requests of `model` with `prompt` over the objects below `source`.

    `group` is ``folder`` or a regular expression whose first group (or whole match) names the request that an object belongs to; None makes
    one request for each object. `extra` are further members of the body. `table` holds a column ``key`` and others for templates.
    """

    source: str
    model: str
    prompt: str
    system: str | None = None
    include: tuple[str, ...] = ()
    group: str | None = None
    max_images: int = 50
    extra: dict[str, Any] = {}
    table: str | None = None
    max_lines: int = 50_000
    max_bytes: int = 200_000_000


class Group(msgspec.Struct):
    """Objects of one request; `values` are those of its first object for templates."""

    name: str
    keys: list[str]
    values: dict[str, str]


class Grouping:
    """Puts objects that follow one another into requests; what the recipe does not include is left out and counted."""

    def __init__(self, recipe: Recipe, table: Table | None) -> None:
        self.left_out = 0
        self._prefix = recipe.source.partition("://")[2].partition("/")[2]
        self._globs = [re.compile(translate(glob), re.DOTALL) for glob in recipe.include]
        self._has_slash = [("/" in glob) for glob in recipe.include]
        self._by_folder = recipe.group == "folder"
        self._pattern = None if recipe.group in {None, "folder"} else _compiled(recipe.group or "")
        self._most = recipe.max_images
        self._table = table
        self._open: Group | None = None
        self._runs: dict[str, int] = {}

    def take(self, entry_: Entry) -> Group | None:
        """Take an object; return the group that is whole now."""
        key = entry_.key
        name = self._name(key) if self._is_wanted(entry_) else None
        values = self._values(key) if name is not None else None
        if name is None or values is None:
            self.left_out += not key.endswith("/")
            return None
        group = self._open
        if group is not None and self._is_grouped and group.name == name and len(group.keys) < self._most:
            group.keys.append(key)
            return None
        self._open = Group(name, [key], values)
        return self._numbered(group)

    def end(self) -> Group | None:
        """Return the last group."""
        group, self._open = self._open, None
        return self._numbered(group)

    @property
    def _is_grouped(self) -> bool:
        return self._by_folder or self._pattern is not None

    def _numbered(self, group: Group | None) -> Group | None:
        """Give a group that comes again (it was too large, or others came between) a number, so that ids stay apart."""
        if group is None or not self._is_grouped:
            return group
        runs = self._runs[group.name] = self._runs.pop(group.name, 0) + 1
        if len(self._runs) > 10_000:
            del self._runs[next(iter(self._runs))]
        if runs > 1:
            group.name = f"{group.name}#{runs}"
        return group

    def _is_wanted(self, entry_: Entry) -> bool:
        key = entry_.key
        if not entry_.size or key.endswith("/"):
            return False
        name = key.rpartition("/")[2]
        if not self._globs:
            return name.rpartition(".")[2].lower() in MEDIA
        below = key[len(self._prefix) :].lstrip("/")
        return any(
            glob.match(below if has_slash else name)
            for glob, has_slash in zip(self._globs, self._has_slash, strict=True)
        )

    def _name(self, key: str) -> str | None:
        if self._by_folder:
            return key.rpartition("/")[0] or "."
        if self._pattern is None:
            return key
        found = self._pattern.search(key)
        return found[(found.lastindex and 1) or 0] if found else None

    def _values(self, key: str) -> dict[str, str] | None:
        folder, _, name = key.rpartition("/")
        values = {"key": key, "name": name, "folder": folder.rpartition("/")[2]}
        if self._table is None:
            return values
        row = self._table.find(key)
        return None if row is None else {**row, **values}


class Composer:
    """Makes request lines. Raises SettingsError for templates that name what there is not."""

    def __init__(self, recipe: Recipe, columns: frozenset[str]) -> None:
        known = frozenset({"key", "name", "folder"}) | columns
        self._bucket = "/".join(recipe.source.split("/", 3)[:3])
        self._prompt = _template("--prompt", recipe.prompt, known)
        self._system = _template("--system", recipe.system, known) if recipe.system is not None else None
        self._model = recipe.model
        self._extra = recipe.extra

    def line(self, group: Group) -> bytes:
        """Return the request line of a group, with its newline."""
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": f"{self._bucket}/{key}"}} for key in group.keys
        ]
        content.append({"type": "text", "text": self._prompt.fill(group.values)})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if self._system is not None:
            messages.insert(0, {"role": "system", "content": self._system.fill(group.values)})
        body = {"model": self._model, "messages": messages, **self._extra}
        return (
            _encode({"custom_id": _custom_id(group.name), "method": "POST", "url": CHAT, "body": body})
            + b"\n"
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SettingsError(f"--group {pattern!r} is no regular expression: {error}") from error


def _template(flag: str, text: str, known: frozenset[str]) -> Template:
    try:
        return Template(text, known)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from error


def _custom_id(name: str) -> str:
    if len(name) <= MAX_CUSTOM_ID:
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{name[: MAX_CUSTOM_ID - 17]}-{digest}"
