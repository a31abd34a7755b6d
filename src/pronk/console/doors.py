"""The way in and out, and the files that pages are made of."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from pronk.console.desk import TheDesk
from pronk.console.guard import Guarded
from pronk.console.origin import local_path
from pronk.console.session import KEY, SEED, keep
from pronk.console.static_files import PREFIX

router = APIRouter(route_class=Guarded, include_in_schema=False)
plain = APIRouter(include_in_schema=False)


@plain.get(PREFIX + "{name}")
async def get_asset(name: str, request: Request, desk: TheDesk) -> Response:
    """A script, a style or a picture of the pages; no secret, the same for all."""
    answer = desk.assets.answer(request, name)
    answer.headers["cross-origin-resource-policy"] = "same-origin"
    return answer


@router.get("/login")
async def show_login(request: Request, desk: TheDesk) -> Response:
    """The form."""
    where = local_path(request.query_params.get("next"))
    return desk.pages.show(request, "login.html", next=where, message="")


@router.post("/login")
async def log_in(request: Request, desk: TheDesk) -> Response:
    """Take a key into a cookie; one that does not hold is told so."""
    form = await request.form()
    key, where = str(form.get("key", "")).strip(), local_path(str(form.get("next", "")))
    if not (key and await desk.session_of(request, key)):
        return desk.pages.show(request, "login.html", 401, next=where, message="This key is not known here.")
    answer = RedirectResponse(where, 303)
    keep(answer, request, KEY, key)
    keep(answer, request, SEED, request.state.session.seed)
    return answer


@router.post("/logout")
async def log_out() -> Response:
    """Forget the key."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(KEY, path="/", httponly=True, samesite="strict")
    return answer
