"""Templates to pages. Everything that is put into one is escaped, whoever wrote it."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pronk.console import wording
from pronk.console.codes import explain
from pronk.console.session import SEED, Session, keep
from pronk.console.static_files import Assets

_FILTERS: Final = (
    "number", "short", "figure", "rate", "duration", "milliseconds", "size", "dollars", "moment", "clock", "cut",
)  # fmt: skip


class Pages:
    """All templates."""

    def __init__(self, assets: Assets, version: str) -> None:
        self._templates = Environment(
            loader=PackageLoader("pronk.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update({name: getattr(wording, name) for name in _FILTERS})
        self._templates.globals.update(
            asset=assets.url, percent=wording.percent, explain=explain, version=version
        )

    def text(self, template: str, **values: Any) -> str:
        """Return a filled template."""
        return self._templates.get_template(template).render(**values)

    def show(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page for whoever asks, with the navigation where they are."""
        session: Session = request.state.session
        text = self.text(template, session=session, here=request.url.path, **values)
        page = HTMLResponse(text, status)
        if request.cookies.get(SEED) != session.seed:
            keep(page, request, SEED, session.seed)
        return page
