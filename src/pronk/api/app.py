"""The API as one ASGI app, made from opened parts."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse

from pronk.api import (
    again,
    audit,
    batches,
    check,
    docs,
    files,
    health,
    importing,
    jobs,
    keys,
    models,
    now,
    projects,
    uploads,
    webhooks,
)
from pronk.api.edge import Edge
from pronk.api.errors import add_error_handlers
from pronk.api.parts import ApiParts
from pronk.api.polled import Polled
from pronk.api.traced import Traced
from pronk.telemetry.traces import tracer

__all__ = ["ApiParts", "create_api"]

_DESCRIPTION: Final = (
    "OpenAI-compatible batches whose requests may carry images by reference. Every answer that is not a success has "
    "OpenAI's error envelope."
)
_ROUTERS: Final = (
    batches.router,
    again.router,
    check.router,
    files.router,
    importing.router,
    uploads.router,
    uploads.streaming,
    jobs.router,
    models.router,
    now.router,
    keys.router,
    projects.router,
    audit.router,
    webhooks.router,
    health.router,
)
_NO_VALIDATION: Final = ("HTTPValidationError", "ValidationError")


def create_api(parts: ApiParts) -> FastAPI:
    """Return the app. It owns nothing: whoever opened `parts` closes them after the server has stopped."""
    app = FastAPI(
        title="pronk",
        version=parts.version,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        middleware=[*_tracing(), Middleware(Edge)],
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.parts = parts
    add_error_handlers(app)
    app.router.routes.insert(0, Polled())
    for router in _ROUTERS:
        app.include_router(router)
    _describe(app)
    return app


def _tracing() -> list[Middleware]:
    found = tracer()
    return [] if found is None else [Middleware(Traced, tracer=found)]


def _operation_id(route: APIRoute) -> str:
    return route.name


def _describe(app: FastAPI) -> None:
    """Leave FastAPI's own 422 out of the description, since it is answered 400; and serve the page made from it."""
    original = app.openapi

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = original()
            for item in found["paths"].values():
                for operation in item.values():
                    operation["responses"].pop("422", None)
            for name in _NO_VALIDATION:
                found["components"]["schemas"].pop(name, None)
            found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"key": []}, {}]
        return app.openapi_schema or {}

    app.openapi = description  # type: ignore[method-assign]  # FastAPI's own way to change it
    page: list[str] = []

    @app.get("/docs", include_in_schema=False)
    async def show_docs() -> HTMLResponse:
        if not page:
            page.append(docs.render(app.openapi()))
        return HTMLResponse(page[0])
