"""Lists: pages whose cursor is the id of the last element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class HasId(Protocol):
    """An object on the wire that has an id."""

    @property
    def id(self) -> str:
        """What a cursor names."""


Out = TypeVar("Out", bound=HasId)
PageOut = TypeVar("PageOut")


def to_page(
    page: Callable[..., PageOut], found: Sequence[T], limit: int, wire: Callable[[T], Out]
) -> PageOut:
    """Return a list object. `found` holds one element more than `limit` when there is a next page."""
    data = [wire(item) for item in found[:limit]]
    return page(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(found) > limit,
    )
