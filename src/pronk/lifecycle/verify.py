"""Verifying: one batch recounted from what is stored, line by line and byte by byte, without changing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from pronk.blobs import Blobs
from pronk.domain.batch import Batch, Counts
from pronk.domain.errors import InputLostError, NotFoundError
from pronk.inputs import checked, read_cut
from pronk.journal import decode_part
from pronk.linewise import numbered, result_numbers
from pronk.store.store import Store

MOST = 20
"""Lines that a finding names."""


class Verdict(msgspec.Struct, kw_only=True):
    """What was counted, and what is wrong: one sentence each."""

    batch_id: str
    status: str
    lines: int = 0
    answered: int = 0
    failed: int = 0
    parts: int = 0
    bytes: int = 0
    problems: list[str] = []
    notes: list[str] = []

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Verify:
    """Looks at a batch in whatever state it is; a server may be running on the same data."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def __call__(self, batch_id: str) -> Verdict:
        """Return the verdict on a batch. Raises NotFoundError and OutageError."""
        batch = await self._store.batches.get(None, batch_id)
        verdict = Verdict(batch_id=batch.id, status=str(batch.status))
        wanted = await self._requests(batch, verdict)
        if batch.is_terminal:
            await self._verify_files(batch, wanted, verdict)
        else:
            await self._verify_journal(batch, verdict)
        return verdict

    async def _requests(self, batch: Batch, verdict: Verdict) -> dict[int, str] | None:
        """Return the custom_ids of the input by line, None when nobody can know them any more."""
        found: dict[int, str] = {}
        try:
            file = await self._store.files.get(batch.project_id, batch.input_file_id, now=0)
            async for number, text in numbered(checked(self._blobs.stream(file.blob), file)):
                found[number] = _custom_id(text)
        except NotFoundError:
            verdict.notes.append(
                "The input file was deleted or has expired; lines are counted, not compared."
            )
            return None
        except InputLostError as lost:
            verdict.problems.append(f"{lost.code}: {lost.message}")
            return None
        verdict.lines = len(found)
        return found

    async def _verify_files(self, batch: Batch, wanted: dict[int, str] | None, verdict: Verdict) -> None:
        output = await self._results(batch, batch.output_file_id, verdict)
        errors = await self._results(batch, batch.error_file_id, verdict)
        verdict.answered, verdict.failed = len(output.numbers), len(errors.numbers)
        _count(verdict, "has more than one result line", _repeated([*output.numbers, *errors.numbers]))
        if wanted is not None and batch.counts.total:
            known = {**output.ids, **errors.ids}
            have = set(known)
            if batch.errors:
                verdict.notes.append(f"The batch was stopped: {batch.errors[0].message}")
            else:
                _count(verdict, "has no result line", sorted(set(wanted) - have))
            _count(verdict, "has a result line and is no request", sorted(have - set(wanted)))
            wrong = [line for line in have & set(wanted) if known[line] != wanted[line]]
            _count(verdict, "has a result with another custom_id", sorted(wrong))
        _compare(batch, verdict)

    async def _results(self, batch: Batch, file_id: str | None, verdict: Verdict) -> _Found:
        found = _Found()
        if file_id is None:
            return found
        try:
            file = await self._store.files.get(batch.project_id, file_id, now=0)
            verdict.bytes += file.bytes
            found.numbers = list(await result_numbers(checked(self._blobs.stream(file.blob), file)))
            async for number, text in numbered(self._blobs.stream(file.blob)):
                found.ids[found.numbers[number - 1]] = _custom_id(text)
        except NotFoundError:
            verdict.notes.append(f"{file_id} was deleted or has expired.")
        except InputLostError as lost:
            what = "is not in storage" if lost.code == "input_missing" else "is not what was written"
            verdict.problems.append(f"{file_id} {what}.")
        except (ValueError, IndexError) as error:
            verdict.problems.append(f"{file_id} is no file of results: {error}.")
        if found.numbers != sorted(found.numbers):
            verdict.problems.append(f"{file_id} is not in the order of the input.")
        return found

    async def _verify_journal(self, batch: Batch, verdict: Verdict) -> None:
        try:
            file = await self._store.files.get(batch.project_id, batch.input_file_id, now=0)
        except NotFoundError:
            return
        for cut, _, progress in await self._store.shards.of_batch(batch.id):
            try:
                await read_cut(self._blobs, file, cut)
            except InputLostError as lost:
                verdict.problems.append(f"{lost.code}: {lost.message}")
            codes = await self._journalled(batch, cut.number, verdict)
            counted = progress.completed + progress.failed
            if len(codes) < counted:
                verdict.problems.append(
                    f"Shard {cut.number} counts {counted:,} results, but {len(codes):,} are journalled."
                )
            verdict.answered += sum(code is None for code in codes.values())
            verdict.failed += sum(code is not None for code in codes.values())

    async def _journalled(self, batch: Batch, shard: int, verdict: Verdict) -> dict[int, str | None]:
        """Return the code of every line of a shard that has a result."""
        found: dict[int, str | None] = {}
        for name in await self._blobs.names(f"journals/{batch.id}/{shard:06d}/"):
            try:
                data = await self._blobs.get(name)
                verdict.parts += 1
                verdict.bytes += len(data)
                for mark, _ in decode_part(data):
                    found.setdefault(mark.line, mark.code)
            except FileNotFoundError:
                verdict.notes.append(f"{name} went away while it was read: the batch has just ended.")
            except ValueError:
                verdict.problems.append(f"{name} is damaged; its lines run again.")
        return found


class _Found:
    """The results of one file: the request lines they belong to, in order, and their custom_ids."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.ids: dict[int, str] = {}


def _compare(batch: Batch, verdict: Verdict) -> None:
    """The counts of a batch that ended well are those of its files."""
    found = Counts(batch.counts.total, verdict.answered, verdict.failed)
    if not verdict.notes and batch.counts != found:
        verdict.problems.append(
            f"The batch counts {batch.counts.completed:,} answered and {batch.counts.failed:,} failed; its files hold "
            f"{found.completed:,} and {found.failed:,}."
        )


def _repeated(numbers: Iterable[int]) -> list[int]:
    return sorted(number for number, count in Counter(numbers).items() if count > 1)


def _count(verdict: Verdict, what: str, lines: list[int]) -> None:
    """Note lines that are wrong in one way, the first of them by number."""
    if lines:
        named = ", ".join(map(str, lines[:MOST])) + (", …" if len(lines) > MOST else "")
        verdict.problems.append(f"A line {what}, {len(lines):,} times: {named}.")


class _Id(msgspec.Struct):
    custom_id: str


_decode_id = msgspec.json.Decoder(_Id).decode


def _custom_id(text: bytes) -> str:
    """Return a line's custom_id, a mark that equals none where it has none."""
    try:
        return _decode_id(text).custom_id
    except msgspec.MsgspecError:
        return "\0"
