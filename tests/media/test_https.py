"""https, end to end: certificates are checked, an authority of one's own can be named, and redirects do not leave it."""

from __future__ import annotations

import pytest
from tests.fakes.web import AUTHORITY
from tests.media.documents import document
from tests.media.pictures import png
from tests.media.test_documents import number_of, parts_of, picture_of
from tests.media.test_servers import body_pictures
from tests.media.world import SITE_ADDRESS, SITE_HOST, open_world

from pronk.domain.bucket import WebRules
from pronk.domain.errors import MediaError

pytestmark = pytest.mark.anyio
TRUSTING = WebRules(ca_file=str(AUTHORITY))
BASE = f"https://{SITE_HOST}:{{site}}"


async def test_an_authority_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, web=TRUSTING, is_secure=True) as world:
        answer = await world.outcome(world.fill(f"{BASE}/good.png"), "s3://parts/good.png")
        assert body_pictures(answer) == [png(), png()]
        assert [request.path for request in world.site.seen] == ["/good.png"]


@pytest.mark.parametrize(("web", "host"), [(WebRules(), SITE_HOST), (TRUSTING, "other.test")])
async def test_a_certificate_that_is_not_good_enough(
    web: WebRules, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch, web=web, is_secure=True) as world:
        world.names.add("other.test", [SITE_ADDRESS])
        lines = [[world.fill(f"https://{host}:{{site}}/good.png")], ["s3://parts/good.png"]]
        refused, neighbour = await world.outcomes(lines)
        assert isinstance(refused, MediaError)
        assert refused.code == "image_fetch_failed"
        assert "without a certificate that can be trusted" in refused.message
        assert world.slept == []
        assert world.site.seen == []
        assert body_pictures(neighbour) == [png()]


async def test_redirects_stay_with_https(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, web=TRUSTING, is_secure=True) as world:
        world.site.redirect("/on", "/good.png")
        world.site.redirect("/down", world.fill(f"http://{SITE_HOST}:{{site}}/good.png"))
        assert body_pictures(await world.outcome(world.fill(f"{BASE}/on"))) == [png()]
        refused = await world.outcome(world.fill(f"{BASE}/down"))
        assert isinstance(refused, MediaError)
        assert refused.code == "image_not_allowed"


async def test_pages_of_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, web=TRUSTING, is_secure=True) as world:
        world.site.page("/it.pdf", document(5))
        answer = await world.outcome(
            world.fill(f"{BASE}/it.pdf#page=2-3"), world.fill(f"{BASE}/it.pdf#page=5")
        )
        assert [number_of(picture_of(part)) for part in parts_of(answer)[1:]] == [2, 3, 5]
        assert world.site.count("/it.pdf") == 1
