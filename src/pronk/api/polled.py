"""The route that clients ask again and again, without the machinery that routes of all kinds need: three quarters of its cost."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from pronk.api.auth import get_identity
from pronk.api.batches import get_batch
from pronk.api.parts import get_parts


class Polled(Route):
    """GET of a batch, before all other routes; the one of `batches` describes it."""

    def __init__(self) -> None:
        super().__init__("/v1/batches/{batch_id}", _look, include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave other methods to the routes that have them."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return Match.NONE, {}
        match, found = super().matches(scope)
        return match, {**found, "route": self}


async def _look(request: Request) -> Response:
    identity = await get_identity(request)
    parts = await get_parts(request)
    batch = await get_batch(request.path_params["batch_id"], identity.project_id, parts)
    return Response(batch.model_dump_json(), media_type="application/json")
