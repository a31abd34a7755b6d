"""Addresses with a name: what somebody looks at often, for everybody of the project."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from pronk.console.desk import TheDesk, Viewer
from pronk.console.guard import Guarded
from pronk.console.origin import local_path
from pronk.domain.errors import InvalidRequestError

router = APIRouter(prefix="/views", route_class=Guarded, include_in_schema=False)


@router.post("")
async def keep_view(request: Request, desk: TheDesk, viewer: Viewer) -> Response:
    """Give the address of a page a name, or take a name away from one, and go back there."""
    form = await request.form()
    name, address = str(form.get("name", "")).strip()[:60], local_path(str(form.get("address", ""))[:2000])
    if not name:
        raise InvalidRequestError("A view needs a name.", param="name", code="missing_required_parameter")
    if form.get("forget"):
        await desk.parts.store.views.delete(viewer.project, name)
    else:
        await desk.parts.store.views.put(viewer.project, name, address, now=desk.parts.second)
    return RedirectResponse(address, 303)
