"""Where a caller becomes a project: the dependencies that every route below /v1 has.

They belong to routes, never to a path as it is written in a request. What a route takes is known by its method: GET and HEAD
need the scope read, all others write; routes about keys, projects and the audit log need admin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection, Request

from pronk.api.names import PROJECT, checked_id, shown
from pronk.api.parts import ApiParts
from pronk.api.rates import Reading
from pronk.api.visitor import visitor_of
from pronk.domain.errors import NotFoundError, PermissionDeniedError, RateLimitError
from pronk.domain.ids import DEFAULT_PROJECT, ProjectId
from pronk.domain.key import Identity, Scope

HEADERS: Final = "pronk.headers"
"""The member of a request's scope whose headers `edge` adds to its answer."""

_FORM_BYTES: Final = 4096
"""What a form may have around its file."""

_SAFE: Final = frozenset({"GET", "HEAD"})


async def get_identity(request: Request) -> Identity:
    """Return who a request comes from, looked up once.

    Raises AuthenticationError, PermissionDeniedError for a scope that the key lacks, and RateLimitError.
    """
    known: Identity | None = getattr(request.state, "identity", None)
    if known is not None:
        return known
    parts: ApiParts = request.app.state.parts
    identity = await parts.door.identify(presented_key(request), visitor_of(request))
    check_scope(identity, Scope.READ if request.method in _SAFE else Scope.WRITE)
    _count(request, "requests", identity, identity.limits.max_requests_per_minute)
    request.state.identity = identity
    return identity


Who = Annotated[Identity, Depends(get_identity)]


async def get_project(identity: Who) -> ProjectId:
    """Return the project that a request acts for; while no keys are in use everybody is the default project."""
    return identity.project_id


Caller = Annotated[ProjectId, Depends(get_project)]


async def get_admin(identity: Who) -> Identity:
    """Return who asks, if it is an administrator of its project. Raises PermissionDeniedError."""
    check_scope(identity, Scope.ADMIN)
    return identity


Admin = Annotated[Identity, Depends(get_admin)]


async def get_operator(identity: Admin) -> Identity:
    """Return who asks, if it is an administrator of the default project. Raises PermissionDeniedError."""
    if not identity.is_operator:
        raise PermissionDeniedError(
            "This takes a key of the default project with the scope admin.", code="insufficient_scope"
        )
    return identity


Operator = Annotated[Identity, Depends(get_operator)]


def check_default_project(identity: Identity) -> None:
    """Raise PermissionDeniedError for who belongs to another project than the default one: figures of all are no tenant's."""
    if identity.project_id != DEFAULT_PROJECT:
        raise PermissionDeniedError("This takes a key of the default project.", code="insufficient_scope")


def visible_project(identity: Identity, project_id: str | None) -> ProjectId | None:
    """Return the project that an administrator asks about; None is all of them, for operators who name none.

    Raises NotFoundError for a project that is not the caller's.
    """
    if project_id is None:
        return None if identity.is_operator else identity.project_id
    if identity.is_operator or project_id == identity.project_id:
        return ProjectId(checked_id(PROJECT, project_id))
    raise NotFoundError(f"No such project: {shown(project_id)}.", param="project_id", code="not_found")


async def count_upload(request: Request, identity: Who) -> None:
    """Count an upload against the project's rate, and refuse it while the project stores too much. Raises RateLimitError."""
    _count(request, "uploads", identity, identity.limits.max_uploads_per_minute)
    await _check_room(request, identity, 0)


Counted = Depends(count_upload)
"""For the routes that take bytes in."""


async def check_announced(request: Request, identity: Who) -> None:
    """Refuse a form before it is read when the length that it announces is more than there is room for."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20:
        await _check_room(request, identity, max(0, int(length) - _FORM_BYTES))


Announced = Depends(check_announced)
"""For the route whose body is a whole file."""


async def _check_room(request: Request, identity: Identity, more_bytes: int) -> None:
    if identity.limits.max_stored_bytes:
        parts: ApiParts = request.app.state.parts
        await parts.store.files.check_room(identity.project_id, more_bytes, now=parts.second)


def check_scope(identity: Identity, needed: Scope) -> None:
    """Raise PermissionDeniedError when a key may not do what needs this scope."""
    if needed not in identity.scopes:
        has = max(identity.scopes, key=list(Scope).index, default="no")
        raise PermissionDeniedError(
            f"This takes a key with the scope {needed}; this one has {has}.", code="insufficient_scope"
        )


def presented_key(connection: HTTPConnection) -> str | None:
    """Return the key of ``Authorization: Bearer KEY``, None when there is no such header, or more than one."""
    found = connection.headers.getlist("authorization")
    kind, _, key = found[0].partition(" ") if len(found) == 1 else ("", "", "")
    return key.strip() or None if kind.lower() == "bearer" else None


def _count(request: Request, noun: str, identity: Identity, per_minute: int | None) -> None:
    if not per_minute:
        return
    parts: ApiParts = request.app.state.parts
    reading = parts.rates.take(f"{identity.project_id} {noun}", per_minute, now=parts.now())
    if noun == "requests" or reading.retry_after:
        tell(request, reading.headers("requests"))
    if reading.retry_after:
        raise _too_fast(noun, reading)


def tell(request: Request, headers: Iterator[tuple[bytes, bytes]]) -> None:
    """Add headers to the answer of a request, whatever it will be; the last word about a name counts."""
    request.scope[HEADERS] = {**request.scope.get(HEADERS, {}), **dict(headers)}


def _too_fast(noun: str, reading: Reading) -> RateLimitError:
    return RateLimitError(
        f"The project may make {reading.limit} {noun} a minute; try again in {reading.retry_after:.1f} seconds.",
        retry_after=reading.retry_after,
        code="rate_limit_exceeded",
    )
