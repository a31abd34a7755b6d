"""The webhook door: nothing inside is reached, no redirect is followed, no answer is read."""

from __future__ import annotations

import time

import pytest
from tests.fakes.aws import SILENT
from tests.fakes.http1 import Reply
from tests.fakes.web import endless
from tests.media.addresses import LOOPBACK_SPELLINGS, SPECIAL_V4, SPECIAL_V6, embedded
from tests.media.attack import watched_world
from tests.media.references import MALFORMED_WEB, SCHEMES
from tests.media.world import SITE_ADDRESS, SITE_HOST, World

from pronk.domain.errors import InvalidRequestError
from pronk.media.fetched import FetchError, TransientError

pytestmark = pytest.mark.anyio


async def outcome(world: World, url: str) -> int | str:
    try:
        return await world.resolver.hook.post(world.fill(url), {"content-type": "application/json"}, b"{}")
    except (FetchError, TransientError) as error:
        return error.why


async def test_nothing_inside_is_ever_posted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [*SPECIAL_V4, *(f"[{address}]" for address in (*SPECIAL_V6, *embedded())), *LOOPBACK_SPELLINGS]
    urls = [f"{scheme}://{host}:{{port}}/hook" for host in hosts for scheme in ("http", "https")]
    assert len(urls) > 240
    async with watched_world(monkeypatch) as world:
        world.names.add("localhost", ["127.0.0.1", "::1"])
        assert [url for url in urls if isinstance(await outcome(world, url), int)] == []


async def test_names_that_lead_inside_or_change_are_never_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("inside.test", ["10.0.0.1"])
        world.names.add("mixed.test", [SITE_ADDRESS, "169.254.169.254"])
        world.names.add("rebind.test", [SITE_ADDRESS], ["127.0.0.1"])
        world.site.page("/hook", b"")
        for name in ("inside.test", "mixed.test"):
            assert isinstance(await outcome(world, f"http://{name}:{{site}}/hook"), str)
        assert 200 in [await outcome(world, "http://rebind.test:{site}/hook") for _ in range(50)]


async def test_what_is_no_address_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        for url in (*MALFORMED_WEB, *SCHEMES):
            answer = await outcome(world, url)
            assert not isinstance(answer, int) or SITE_HOST in url, url


async def test_redirects_are_answers_and_bodies_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        site = f"http://{SITE_HOST}:{{site}}"
        for status in (301, 302, 303, 307, 308):
            world.site.redirect(f"/r{status}", f"http://127.0.0.1:{world.canary.port}/", status)
            assert await outcome(world, f"{site}/r{status}") == status
        world.site.stream("/endless", endless)
        world.site.pages["/stalled"] = Reply(200, (("content-length", "5"),), b"ab", manners=SILENT)
        started = time.monotonic()
        assert await outcome(world, f"{site}/endless") == 200
        assert isinstance(await outcome(world, f"{site}/stalled"), str)
        assert time.monotonic() - started < 5


async def test_what_would_never_be_posted_to_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        for url in ("https://127.0.0.1/x", "ftp://a.test/", "https://u:p@a.test/", "https://a.test:22/", "x"):
            with pytest.raises(InvalidRequestError) as caught:
                world.resolver.hook.check(url)
            assert (caught.value.param, caught.value.code) == ("url", "url_not_allowed")
        world.resolver.hook.check("https://example.org/pronk?x=1")
