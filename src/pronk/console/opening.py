"""Puts the console together and into the API's app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from pronk.api.parts import ApiParts
from pronk.console import (
    batch,
    batches,
    bulk,
    compare,
    compose,
    doors,
    export,
    keys,
    lines_api,
    lists,
    picker,
    pictures,
    playground,
    report,
    resembling,
    results,
    views,
)
from pronk.console.desk import Desk
from pronk.console.guard import HEADERS
from pronk.console.index.shelf import open_shelf
from pronk.console.pages import Pages
from pronk.console.session import Session
from pronk.console.static_files import Assets
from pronk.media.thumbs import Thumbs
from pronk.media.whole import Whole


class Media(Protocol):
    """The doors to pictures and to buckets."""

    @property
    def thumbs(self) -> Thumbs:
        """Small pictures of references."""

    @property
    def whole(self) -> Whole:
        """Objects and what lies in buckets."""


_ROUTERS: Final = (
    doors.plain,
    doors.router,
    batches.router,
    batch.router,
    results.router,
    pictures.router,
    lists.router,
    export.router,
    report.router,
    resembling.router,
    bulk.router,
    lines_api.router,
    compose.router,
    picker.router,
    playground.router,
    compare.router,
    keys.router,
    views.router,
)


@asynccontextmanager
async def open_console(
    parts: ApiParts,
    media: Media,
    pools: Mapping[str, Any],
    *,
    is_stopping: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Desk]:
    """Give what the pages work with. `media` shows pictures and lists buckets, `pools` are the engines that this server talks to; `is_stopping` ends what is streamed, so that a server can stop."""
    assets = Assets()
    async with open_shelf(parts) as shelf:
        yield Desk(
            parts=parts,
            assets=assets,
            pages=Pages(assets, parts.version),
            shelf=shelf,
            thumbs=media.thumbs,
            objects=media.whole,
            pools=pools,
            is_stopping=is_stopping,
        )


def add_console(app: FastAPI, desk: Desk) -> None:
    """Serve the pages beside the API's routes."""
    app.state.console = desk
    for router in _ROUTERS:
        app.include_router(router)
    _show_missing_pages(app, desk)


def _show_missing_pages(app: FastAPI, desk: Desk) -> None:
    """Tell a browser on a page that nothing is at an address that no route has; programs get the API's answer."""
    answer = app.exception_handlers[HTTPException]

    async def missing(request: Request, error: Exception) -> Response:
        is_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1")
        if not (isinstance(error, HTTPException) and error.status_code == 404 and is_page):
            found: Response = await answer(request, error)  # type: ignore[misc]  # the API's own are all of this form
            return found
        request.state.session = Session(desk.seed(request))
        message = "There is no page at this address."
        page = desk.pages.show(request, "error.html", 404, code=404, message=message)
        page.headers.update(HEADERS)
        return page

    app.add_exception_handler(HTTPException, missing)
