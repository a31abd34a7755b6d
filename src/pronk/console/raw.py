"""One line as it really is: its request and its result from storage, and their parts for people. Numbers stay as written."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Final

import msgspec

from pronk.api.parts import ApiParts
from pronk.api.sorted_lines import lines_after
from pronk.console.index.answers import answer_text
from pronk.console.index.queries import Line
from pronk.domain.batch import Batch
from pronk.domain.errors import NotFoundError
from pronk.domain.lines import BOM
from pronk.media.refs import find_slots

SHOWN_BYTES: Final = 200_000
_DATA_SHOWN: Final = 60
_LONG_URL: Final = 200


async def request_of(parts: ApiParts, batch: Batch, line: Line) -> bytes:
    """Return a request line's bytes, empty when its file is gone."""
    if line.start is None or line.size is None:
        return b""
    try:
        file = await parts.store.files.get(batch.project_id, batch.input_file_id, now=parts.second)
        return (await parts.blobs.get_range(file.blob, line.start, line.size)).removeprefix(BOM)
    except (NotFoundError, FileNotFoundError):
        return b""


async def result_of(parts: ApiParts, batch: Batch, number: int) -> bytes:
    """Return a result line's bytes, empty while there is none."""
    if not batch.is_terminal:
        return await _from_journal(parts, batch, number)
    for file_id in (batch.output_file_id, batch.error_file_id):
        try:
            file = await parts.store.files.get(batch.project_id, file_id or "", now=parts.second)
            async with aclosing(lines_after(parts.blobs, file.blob, file.bytes, number - 1)) as lines:
                async for line in lines:
                    if line.number == number:
                        return line.data
                    break
        except (NotFoundError, FileNotFoundError):
            continue
    return b""


async def _from_journal(parts: ApiParts, batch: Batch, number: int) -> bytes:
    for cut, _, _ in reversed(await parts.store.shards.of_batch(batch.id)):
        if cut.first_line <= number:
            found = await parts.journal.read(batch.id, cut.number)
            return found[number][1].rstrip() if number in found else b""
    return b""


class Picture(msgspec.Struct, frozen=True):
    """A reference as its line has it."""

    text: str
    kind: str


def pictures_of(asked: bytes, endpoint: str) -> list[Picture]:
    """Return the references of a request line, in order."""
    body = body_of(asked)
    try:
        return [Picture(slot.text, slot.kind) for slot in find_slots(body, endpoint)]
    except ValueError:
        return []


def body_of(asked: bytes) -> bytes:
    """Return the body of a request line."""
    try:
        return bytes(msgspec.json.decode(asked, type=_Body).body)
    except msgspec.DecodeError:
        return b"{}"


class _Body(msgspec.Struct):
    body: msgspec.Raw = msgspec.Raw(b"{}")


class Said(msgspec.Struct, frozen=True):
    """What one party of a request says: texts and references in the order they stand."""

    role: str
    pieces: tuple[tuple[str, str], ...]


def messages_of(asked: bytes, endpoint: str) -> list[Said]:
    """Return the messages of a request for people; data: URLs are shortened."""
    try:
        body = msgspec.json.decode(body_of(asked))
    except (msgspec.DecodeError, RecursionError):
        return []
    if not isinstance(body, dict):
        return []
    said = (
        body.get("input")
        if endpoint == "/v1/responses"
        else body.get("messages", body.get("prompt", body.get("input")))
    )
    found = (
        [Said("system", (("text", body["instructions"]),))]
        if isinstance(body.get("instructions"), str)
        else []
    )
    found += [_said(item) for item in (said if isinstance(said, list) else [said])]
    return [one for one in found if one.pieces]


def answer_of(told: bytes) -> str:
    """Return what the engine said in a result line, or the message of its error."""
    try:
        result = msgspec.json.decode(told, type=_Told)
    except msgspec.DecodeError:
        return ""
    if result.error is not None:
        return str(result.error.get("message", ""))
    return answer_text(bytes(result.response.body)).text if result.response else ""


class _Inner(msgspec.Struct):
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Told(msgspec.Struct):
    response: _Inner | None = None
    error: dict[str, Any] | None = None


def pretty(line: bytes) -> str:
    """Return a line's JSON with line breaks, every number as it was written; data: URLs are shortened and say so."""
    if not line:
        return ""
    try:
        plain = msgspec.json.format(_short_urls(line), indent=2)
    except (msgspec.DecodeError, RecursionError):
        plain = line
    text = plain.decode(errors="replace")
    return (
        text
        if len(text) <= SHOWN_BYTES
        else text[:SHOWN_BYTES] + f"\n… {len(text) - SHOWN_BYTES} characters more; the download has all"
    )


def _short_urls(line: bytes) -> bytes:
    pieces, done, at = [], 0, line.find(b'"data:')
    while at >= 0:
        end = line.find(b'"', at + 1)
        if end - at > _LONG_URL:
            cut = at + 1 + _DATA_SHOWN
            pieces += [line[done:cut], b"\xe2\x80\xa6 %d bytes" % (end - cut)]
            done = end
        at = line.find(b'"data:', end + 1) if end > 0 else -1
    return b"".join((*pieces, line[done:]))


class Node(msgspec.Struct, frozen=True):
    """A value of a JSON answer: its name, what it is, its text, or what is in it."""

    name: str
    kind: str
    text: str = ""
    inner: tuple[Node, ...] = ()


def tree_of(raw: msgspec.Raw | None, name: str = "", depth: int = 0) -> Node | None:
    """Return a JSON value as nodes; numbers keep the text that they were written as."""
    if raw is None:
        return None
    data = bytes(raw).strip()
    if depth < 8 and data.startswith(b"{"):
        members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        inner = [tree_of(value, key, depth + 1) for key, value in list(members.items())[:200]]
        return Node(name, "object", inner=tuple(node for node in inner if node))
    if depth < 8 and data.startswith(b"["):
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
        inner = [tree_of(value, str(place), depth + 1) for place, value in enumerate(items[:200])]
        return Node(name, "list", inner=tuple(node for node in inner if node))
    if data.startswith(b'"'):
        return Node(name, "string", msgspec.json.decode(data, type=str))
    return Node(
        name, "word" if data in {b"true", b"false", b"null"} else "number", data.decode(errors="replace")
    )


def _said(item: Any) -> Said:
    if isinstance(item, str):
        return Said("user", (("text", item),))
    if not isinstance(item, dict):
        return Said("user", ())
    content = item.get("content")
    parts = content if isinstance(content, list) else [content]
    return Said(str(item.get("role", "user")), tuple(piece for part in parts if (piece := _piece(part))))


def _piece(part: Any) -> tuple[str, str] | None:
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, dict):
        return None
    if isinstance(part.get("text"), str):
        return "text", part["text"]
    for name in ("image_url", "video_url", "audio_url"):
        value = part.get(name)
        url = value.get("url") if isinstance(value, dict) else value
        if isinstance(url, str):
            return "reference", url if len(url) < 300 else f"{url[:_DATA_SHOWN]}… {len(url)} characters"
    return "text", msgspec.json.encode(part).decode()[:2000]
