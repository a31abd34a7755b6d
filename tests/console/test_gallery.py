"""What the Python client shows in notebooks: pictures that the server made, and hostile texts as text."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import anyio
import httpx2
import pytest
from tests.console.conftest import run_batch
from tests.console.hostile import PAYLOADS
from tests.console.server import ConsoleServer, line

import pronk
from pronk.cli.progress import BatchProgress, is_notebook
from pronk.client.bars import tell
from pronk.client.gallery import Gallery, Picture, Shown

TAGS = {"table", "tr", "th", "td", "b", "small", "br", "img"}


class Seen(HTMLParser):
    """What a notebook would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.pictures: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name == "src" and str(value).startswith("data:image/"):
                self.pictures.append(str(value))
            elif name not in {"style", "alt"} or "url(" in str(value):
                self.faults.append(f"{name}={value}")


def test_a_batch_is_shown_with_its_pictures(server: ConsoleServer, http: httpx2.Client) -> None:
    lines = [line(1, "a"), line(2, "b", picture=False), line(3, "c", reference="s3://none/x.png")]
    batch_id = run_batch(server.url, http, lines)
    with pronk.Client(server.url) as client:
        shown = client.show(batch_id)
        plain = client.show(batch_id, has_pictures=False, limit=1)
    seen = Seen(shown._repr_html_())
    assert (seen.faults, len(seen.pictures)) == ([], 1)
    assert [one.custom_id for one in shown] == ["r1", "r2", "r3"]
    assert (len(plain), Seen(plain._repr_html_()).pictures) == (1, [])
    assert repr(shown).splitlines()[0] == f"{batch_id}, 3 lines"

    async def again() -> Gallery:
        async with pronk.AsyncClient(server.url) as client:
            return await client.show(batch_id)

    assert anyio.run(again) == shown


def test_a_batch_whose_every_text_is_hostile_is_shown_as_text(server: ConsoleServer, hostile: str) -> None:
    with pronk.Client(server.url) as client:
        shown = client.show(hostile, limit=200)
    assert len(shown) > len(PAYLOADS)
    assert Seen(shown._repr_html_()).faults == []


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_field_is_more_than_text(text: str) -> None:
    given: dict[str, Any] = {"custom_id": text, "prompt": text, "answer": text}
    pictures = (
        Picture(text),
        Picture(text, b"GIF89a", text),
        Picture(text, text.encode(errors="replace"), "image/png"),
    )
    for error in ("", text):
        page = Gallery(text, (Shown(**given, pictures=pictures, error=error),))._repr_html_()
        seen = Seen(page)
        assert (seen.faults, len(seen.pictures)) == ([], 1)


def test_a_bar_of_the_callers_goes_on_as_the_batch_does() -> None:
    class Tqdm:
        total: int | None = None
        n = 0

        def update(self, n: int) -> None:
            self.n += n

    heard: list[dict[str, Any]] = []
    bar = Tqdm()
    for total, completed, failed in ((0, 0, 0), (10, 3, 1), (10, 8, 2)):
        batch = {"request_counts": {"total": total, "completed": completed, "failed": failed}}
        tell(bar, batch)
        tell(heard.append, batch)
    assert (bar.total, bar.n, len(heard)) == (10, 10, 3)


def test_a_notebook_has_a_bar_although_it_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_notebook()
    for shell, expected in ((SimpleNamespace(kernel=1), True), (SimpleNamespace(), False), (None, False)):
        monkeypatch.setitem(
            __import__("sys").modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell)
        )
        assert is_notebook() is expected
        assert (BatchProgress("b")._bar is not None) is expected
