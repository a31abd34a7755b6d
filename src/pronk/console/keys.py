"""The project's API keys: made here once, shown by their beginning, revoked at once."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from pronk.api import schemas
from pronk.api.auth import check_scope
from pronk.api.keys import create_key, revoke_key
from pronk.console.desk import TheAudit, TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.domain.errors import InvalidRequestError
from pronk.domain.key import Scope

router = APIRouter(prefix="/keys", route_class=Guarded, include_in_schema=False)

LIMIT = 200


@router.get("")
async def show_keys(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """All keys of the project; only its administrators see them."""
    check_scope(viewer.identity, Scope.ADMIN)
    keys = await desk.parts.store.keys.page(viewer.project, after=None, limit=LIMIT)
    return desk.pages.show(
        request, "keys.html", keys=keys, now=desk.parts.now(), made=None, scopes=list(Scope)
    )


@router.post("")
async def make_key(request: Request, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> Response:
    """Make one and show it, this once."""
    check_scope(viewer.identity, Scope.ADMIN)
    form = await request.form()
    try:
        body = schemas.CreateKey.model_validate(
            {"name": str(form.get("name", "")), "scopes": [str(form.get("scope", ""))]}
        )
    except ValidationError as error:
        raise InvalidRequestError(str(error.errors()[0]["msg"]), code="invalid_value") from error
    made = await create_key(body, viewer.identity, desk.parts, audit)
    keys = await desk.parts.store.keys.page(viewer.project, after=None, limit=LIMIT)
    return desk.pages.show(
        request, "keys.html", keys=keys, now=desk.parts.now(), made=made, scopes=list(Scope)
    )


@router.post("/{key_id}/revoke")
async def end_key(key_id: str, desk: TheDesk, viewer: Viewer, audit: TheAudit) -> Response:
    """Revoke one."""
    check_scope(viewer.identity, Scope.ADMIN)
    await revoke_key(key_id, viewer.identity, desk.parts, audit)
    return RedirectResponse("/keys", 303)
