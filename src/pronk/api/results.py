"""Result lines by page, in input order: from the journal while a batch runs, from its files once it has ended.

Lines are spliced into the answer as they stand; nothing is decoded. A page also ends at `MAX_BYTES`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Final, Literal

import msgspec

from pronk.api.names import shown
from pronk.api.parts import ApiParts
from pronk.api.sorted_lines import Line, lines_after, merged
from pronk.domain.batch import Batch
from pronk.domain.errors import BlobOutageError, InvalidRequestError
from pronk.domain.file import File
from pronk.domain.ids import BatchId, result_id

MAX_BYTES: Final = 16 * 1024 * 1024
Status = Literal["ok", "failed"]


class ResultPage(msgspec.Struct, frozen=True):
    """Which result lines: those after a line number, and of one kind if `status` is given."""

    after: int
    limit: int
    status: Status | None


def cursor_line(batch_id: BatchId, after: str | None) -> int:
    """Return the line that a cursor names: its number, or the id of its result. Raises InvalidRequestError."""
    if not after:
        return 0
    match = re.fullmatch(rf"(?:{re.escape(result_id(batch_id, 0)[:-1])})?([0-9]{{1,12}})", after, re.ASCII)
    if match is None:
        raise InvalidRequestError(
            f"'after' is {shown(after)}; it has to be the number of a line, or the id of a result of this batch, such as "
            f"{result_id(batch_id, 1)!r}.",
            param="after",
            code="invalid_cursor",
        )
    return int(match[1])


async def read_results(parts: ApiParts, batch: Batch, page: ResultPage) -> bytes:
    """Return a list object of result lines as JSON.

    A batch may end while its journal is read; then its files, which are whole, are read instead.
    """
    if not batch.is_terminal:
        answer = await _answer(batch.id, _from_journal(parts, batch.id, page), page)
        batch = await parts.store.batches.get(batch.project_id, batch.id)
        if not batch.is_terminal:
            return answer
    return await _answer(batch.id, _from_files(parts, batch, page), page)


async def _answer(batch_id: BatchId, lines: AsyncIterator[Line], page: ResultPage) -> bytes:
    found: list[Line] = []
    size, has_more = 0, False
    async with aclosing(lines):  # type: ignore[type-var]  # both sources are generators
        async for line in lines:
            has_more = len(found) == page.limit or (size > 0 and size + len(line.data) > MAX_BYTES)
            if has_more:
                break
            found.append(line)
            size += len(line.data)
    first = f'"{result_id(batch_id, found[0].number)}"' if found else "null"
    last = f'"{result_id(batch_id, found[-1].number)}"' if found else "null"
    return b'{"object":"list","data":[%b],"first_id":%b,"last_id":%b,"has_more":%b}' % (
        b",".join(line.data for line in found),
        first.encode(),
        last.encode(),
        b"true" if has_more else b"false",
    )


async def _from_journal(parts: ApiParts, batch_id: BatchId, page: ResultPage) -> AsyncIterator[Line]:
    shards = [
        (cut.number, cut.first_line, bool(progress.completed or progress.failed))
        for cut, _, progress in await parts.store.shards.of_batch(batch_id)
    ]
    for (number, _, has_results), (_, next_line, _) in pairwise([*shards, (-1, 2**62, False)]):
        if not has_results or next_line <= page.after + 1:
            continue
        found = await parts.journal.read(batch_id, number)
        for line_number in sorted(found):
            mark, data = found[line_number]
            if line_number > page.after and page.status in (None, "failed" if mark.code else "ok"):
                yield Line(line_number, data.rstrip())


async def _from_files(parts: ApiParts, batch: Batch, page: ResultPage) -> AsyncIterator[Line]:
    wanted = {"ok": batch.output_file_id, "failed": batch.error_file_id}
    ids = [file_id for status, file_id in wanted.items() if file_id and page.status in (None, status)]
    files = [await parts.store.files.get(batch.project_id, file_id, now=parts.second) for file_id in ids]
    async with aclosing(merged([_lines(parts, file, page.after) for file in files])) as lines:
        try:
            async for line in lines:
                yield line
        except FileNotFoundError as error:
            raise BlobOutageError(f"the results of {batch.id} are not in storage") from error


def _lines(parts: ApiParts, file: File, after: int) -> AsyncIterator[Line]:
    return lines_after(parts.blobs, file.blob, file.bytes, after)
