"""One body on its way: its references, what they need of the budget, and how the answer is put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio

from pronk.domain.bodies import size_of
from pronk.domain.errors import MediaError, PronkError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import may_be_document
from pronk.media.budget import CrowdedError, Lease
from pronk.media.deliver import Delivered, MediaFact
from pronk.media.fetched import FetchError
from pronk.media.library import Caller
from pronk.media.refs import find_slots, names_media, splice
from pronk.media.slot import Slot

_AT_ONCE = 16
"""References of one line that are fetched at the same time."""


class Resolved:
    """A body for the engine, in pieces. Its bytes count against the budget until `close`; keep no hold of it after that."""

    __slots__ = ("_lease", "facts", "pieces")

    def __init__(
        self, pieces: tuple[bytes, ...], facts: tuple[MediaFact, ...] = (), lease: Lease | None = None
    ) -> None:
        self.pieces = pieces
        self.facts = facts
        self._lease = lease

    @property
    def body(self) -> bytes:
        """The pieces as one."""
        return b"".join(self.pieces)

    def close(self) -> None:
        """Give the bytes back to the budget; may be called again."""
        if self._lease is not None:
            self._lease.close()


class Line:
    """One body on its way: its references, and how much of the budget each is known to need."""

    __slots__ = ("caller", "lease", "more", "needs", "slots", "with_uuid")

    def __init__(self, slots: list[Slot], caller: Caller, *, with_uuid: bool) -> None:
        self.with_uuid = with_uuid
        self.slots = slots
        self.caller = caller
        self.needs: dict[int, int] = {}
        self.more: dict[int, int] = {}
        self.lease: Lease

    def expected(self, guess: int) -> int:
        return sum(self.needs.values()) + (len(self.slots) - len(self.needs)) * _need(guess)

    def admit(self, index: int, size: int) -> None:
        self.needs[index] = _need(size)
        if not self.lease.grow_to(sum(self.needs.values())):
            raise CrowdedError(size)

    def claim(self, index: int, count: int) -> None:
        slot = self.slots[index]
        if count > 1 and (slot.part_end < 0 or slot.has_uuid):
            raise FetchError(
                "unsupported",
                f"is {count:,} pages, for which its part would be repeated; that takes a part in a list, without a uuid and other media",
            )
        self.more[index] = count - 1
        total, limit = len(self.slots) + sum(self.more.values()), self.caller.policy.max_references
        if total > limit:
            raise FetchError(
                "too_large", f"brings the request to {total:,} pictures; at most {limit:,} are allowed"
            )


def slots_of(body: bytes, endpoint: str, policy: MediaPolicy, *, with_uuid: bool) -> list[Slot]:
    """Return the references of `body`; MediaError for too many, or for a body that cannot be read."""
    if not names_media(body):
        return []
    try:
        slots = find_slots(body, endpoint, parts=with_uuid)
        if not with_uuid and any(may_be_document(slot.text) for slot in slots):
            slots = find_slots(body, endpoint, parts=True)
    except ValueError as error:
        raise MediaError(
            "image_invalid", "The request cannot be read as JSON, so its media cannot be found"
        ) from error
    if len(slots) > policy.max_references:
        raise MediaError(
            f"{slots[0].kind}_too_large",
            f"The request names {len(slots):,} media; at most {policy.max_references:,} are allowed",
            param=slots[policy.max_references].path,
        )
    return slots


def finished(body: bytes, line: Line, delivered: Sequence[Delivered]) -> Resolved:
    """Return the body with everything in its place, holding no more of the budget than it needs."""
    edits: list[tuple[int, int, tuple[bytes, ...]]] = []
    named = -1
    for slot, one in zip(line.slots, delivered, strict=True):
        if line.with_uuid and not slot.has_uuid and one.fact.hash is not None and slot.part != named:
            named = slot.part
            edits.append((slot.part, slot.part, (b'"uuid":"%b",' % one.fact.hash.encode(),)))
        if one.token is not None:
            edits.append((slot.start, slot.end, one.token))
        edits += [(slot.part_end, slot.part_end, _repeated(body, line, slot, page)) for page in one.more]
    new = splice(body, edits) if edits else (body,)
    line.lease.shrink_to(size_of(new))
    facts = tuple(each.fact for one in delivered for each in (one, *one.more))
    return Resolved(new, facts, line.lease)


def _repeated(body: bytes, line: Line, slot: Slot, page: Delivered) -> tuple[bytes, ...]:
    """Return the part of `slot` once more, with everything that else is in it, for another page."""
    uuid = b'"uuid":"%b",' % page.fact.hash.encode() if line.with_uuid and page.fact.hash else b""
    return b",{", uuid, body[slot.part : slot.start], *(page.token or ()), body[slot.end : slot.part_end]


def _need(size: int) -> int:
    """Return the memory of an object on its way: its bytes, and the same in base64."""
    return size * 7 // 3


async def gather(count: int, one: Callable[[int], Awaitable[Delivered]]) -> list[Delivered]:
    """Run all, some at a time; the first failure ends the others."""
    done: list[Delivered | None] = [None] * count
    failures: list[PronkError] = []
    places = anyio.Semaphore(_AT_ONCE)

    async def run(index: int) -> None:
        async with places:
            try:
                done[index] = await one(index)
            except PronkError as error:
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index in range(count):
            group.start_soon(run, index)
    if failures:
        try:
            raise failures[0]
        finally:
            # The error holds this frame; what the frame held would live until the next collection of cycles.
            failures.clear()
            done.clear()
    return [delivered for delivered in done if delivered is not None]
