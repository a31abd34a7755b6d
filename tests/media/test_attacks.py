"""References that mean harm: none reaches where it may not, none costs more than its limit, each gets a code and no secret."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
import structlog
from tests.fakes.http1 import Reply
from tests.media.addresses import LOOPBACK_SPELLINGS, SPECIAL_V4, SPECIAL_V6, embedded
from tests.media.attack import CODES, HOME, REFUSED, WARY, refusals, watched_world
from tests.media.pictures import HOSTILE, POLYGLOTS, png
from tests.media.references import BUCKETS, MALFORMED_WEB, OTHER_TENANT, SCHEMES, TENANT_A
from tests.media.world import SITE_ADDRESS, SITE_HOST, World

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved

pytestmark = pytest.mark.anyio


def hosts() -> list[str]:
    """Return every special address as the host of a URL."""
    return [*SPECIAL_V4, *(f"[{address}]" for address in (*SPECIAL_V6, *embedded()))]


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_special_addresses_are_never_reached(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    references = [f"{scheme}://{host}{port}/a.png" for host in hosts() for port in ("", ":{port}")]
    assert len(references) > 200
    async with watched_world(monkeypatch) as world:
        assert await refusals(world, references, {"image_not_allowed"}) == {}
        assert world.slept == []


async def test_spellings_of_inner_hosts_are_never_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        for name in (
            "localhost",
            "localhost.localdomain",
            "anything.localhost",
            "ip6-localhost",
            "ip6-loopback",
        ):
            world.names.add(name, ["127.0.0.1", "::1"])
        for name in (
            "metadata",
            "metadata.google.internal",
            "instance-data",
            "host.docker.internal",
            "kubernetes.default.svc",
        ):
            world.names.add(name, ["169.254.169.254"])
        references = [
            f"{scheme}://{host}:{{port}}/a.png" for host in LOOPBACK_SPELLINGS for scheme in ("http", "https")
        ]
        assert await refusals(world, references, REFUSED) == {}


async def test_names_that_lead_inside_are_never_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        special = [*SPECIAL_V4, *SPECIAL_V6, *embedded()]
        for number, address in enumerate(special):
            world.names.add(f"n{number}.test", [address])
            world.names.add(f"mixed{number}.test", [SITE_ADDRESS, address])
        references = [
            f"http://{kind}{n}.test:{{port}}/good.png" for n in range(len(special)) for kind in ("n", "mixed")
        ]
        assert await refusals(world, references, {"image_not_allowed"}) == {}
        assert world.site.seen == []


async def test_names_without_a_usable_answer_cost_one_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("nothing.test", [])
        world.names.add("nonsense.test", ["not an address"], ["999.1.1.1"], ["127.0.0.1 "], ["::1%lo"])
        world.names.silent.add("silent.test")
        references = [
            f"http://{name}:{{port}}/a.png"
            for name in ("nothing.test", "nonsense.test", "silent.test", "unknown.test")
        ]
        started = time.monotonic()
        assert await refusals(world, references, REFUSED | {"image_fetch_failed", "image_not_found"}) == {}
        assert time.monotonic() - started < 4 * WARY.dns_timeout + 5


async def test_a_name_that_changes_between_look_and_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("rebind.test", [SITE_ADDRESS], ["127.0.0.1"])
        world.names.add("rebind6.test", [SITE_ADDRESS], ["::1"], ["::ffff:127.0.0.1"])
        for number in range(500):
            world.site.page(f"/{number}.png", png())
        lines = [
            [f"http://{name}:{world.site.port}/{n}.png"]
            for n in range(500)
            for name in ("rebind.test", "rebind6.test")
        ]
        answers = await world.outcomes(lines)
        assert len(answers) == 1000
        codes = {answer.code for answer in answers if isinstance(answer, MediaError)}
        assert codes <= {"image_not_allowed"}
        assert any(isinstance(answer, Resolved) for answer in answers)


def inward() -> list[str]:
    """Return places to which no redirect may lead."""
    there = [
        f"http://{host}:{{port}}/a.png"
        for host in ("127.0.0.1", "[::1]", "0.0.0.1", "2130706433", "127.1", "localhost")
    ]
    there += [
        "http://169.254.169.254/latest/meta-data/",
        "https://10.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "//127.0.0.1:{port}/a.png",
    ]
    there += [
        "http://inner.test:{port}/a.png",
        "http://user:hunter2@127.0.0.1:{port}/",
        "///127.0.0.1:{port}/",
        "/\\127.0.0.1:{port}/",
    ]
    there += [
        "\\\\127.0.0.1:{port}\\a",
        "http:\\\\127.0.0.1:{port}/",
        "http://img.example.test@127.0.0.1:{port}/",
        "http://img.example.test:22/",
    ]
    there += [
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
        "gopher://127.0.0.1:{port}/",
        "data:image/png;base64,AAAA",
        "s3://parts/good.png",
    ]
    return [
        *there,
        "javascript:alert(1)",
        "http://",
        "http://[::1",
        "http://img.example.test:99999/",
        "\x01\x02",
        "http://127.0.0.1:{port}\\@img.example.test/",
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_lead_nowhere_inside(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("inner.test", ["127.0.0.1"])
        for number, place in enumerate(inward()):
            world.site.redirect(f"/{number}/0", world.fill(place), status)
            world.site.redirect(f"/{number}/1", f"/{number}/0", status)
        references = [
            f"http://{SITE_HOST}:{{site}}/{n}/{hop}" for n in range(len(inward())) for hop in (0, 1)
        ]
        assert await refusals(world, references, REFUSED | {"image_fetch_failed", "image_not_found"}) == {}
        assert world.aws.count("GetObject") == 0


async def test_redirects_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        site, base = world.site, f"http://{SITE_HOST}:{world.site.port}"
        site.redirect("/loop", "/loop")
        site.redirect("/ping", "/pong")
        site.redirect("/pong", "/ping")
        start = site.chain("/long", 50, "/good.png")
        site.pages["/endless"] = lambda _: Reply(302, (("location", f"/endless?{len(site.seen)}"),))
        site.status("/nowhere", 302)
        site.status("/multiple", 300, ("location", "/good.png"))
        site.pages["/refresh"] = Reply(
            200,
            (("refresh", "0; url=http://127.0.0.1/"), ("content-type", "text/html")),
            b"<meta http-equiv=refresh>",
        )
        references = [
            f"{base}{path}"
            for path in ("/loop", "/ping", start, "/endless", "/nowhere", "/multiple", "/refresh")
        ]
        assert await refusals(world, references, CODES - {"image_access_denied"}) == {}
        assert len(site.seen) <= len(references) * 4
        assert isinstance(await world.outcome(f"{base}{site.chain('/short', 3, '/good.png')}"), Resolved)


async def test_nothing_of_ours_travels_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("other.example.test", [SITE_ADDRESS])
        world.site.pages["/a"] = Reply(
            302,
            (("location", f"http://other.example.test:{world.site.port}/good.png"), ("set-cookie", "a=b")),
        )
        resolved = await world.ask(f"http://{SITE_HOST}:{world.site.port}/a?X-Amz-Signature=secret")
        resolved.close()
        last = world.site.seen[-1]
        assert last.host == f"other.example.test:{world.site.port}"
        assert not {"cookie", "authorization", "referer", "x-amz-security-token"} & last.headers.keys()
        assert "secret" not in json.dumps([fact.reference for fact in resolved.facts])


def set_proxies(patch: pytest.MonkeyPatch, world: World) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        patch.setenv(name, f"http://127.0.0.1:{world.canary.port}")
    patch.delenv("no_proxy", raising=False)
    patch.delenv("NO_PROXY", raising=False)


async def test_the_web_does_not_use_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        set_proxies(monkeypatch, world)
        assert isinstance(await world.outcome(f"http://{SITE_HOST}:{world.site.port}/good.png"), Resolved)


async def test_stores_do_not_use_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        set_proxies(monkeypatch, world)
        answers = await world.outcomes([["s3://parts/good.png"], ["s3://parts/a//none.png"]])
        assert isinstance(answers[0], Resolved)


async def test_urls_that_parsers_read_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.names.add("127.0.0.1.nip.io", ["127.0.0.1"])
        world.names.add("customer1.app.127.0.0.1.sslip.io", ["127.0.0.1"])
        references = [
            row.replace("https", scheme, 1) for row in MALFORMED_WEB for scheme in ("https", "http")
        ]
        assert await refusals(world, references, REFUSED | {"image_fetch_failed", "image_not_found"}) == {}
        assert [request.path for request in world.site.seen] == []


async def test_schemes_that_are_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        assert await refusals(world, SCHEMES, REFUSED | {"image_invalid"}) == {}
        assert world.aws.traffic.requests == 0


@pytest.mark.parametrize("deliver", ["native", "presign", "auto"])
async def test_no_way_of_delivery_passes_an_inner_place_on(
    deliver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = MediaPolicy(deliver=deliver)  # type: ignore[arg-type]
    references = [row for row in SCHEMES if not row.lower().startswith(("data", "blob", "s3+"))]
    references += [f"http://{host}/a.png" for host in hosts()]
    async with watched_world(monkeypatch) as world:
        assert await refusals(world, references, REFUSED, policy) == {}


async def test_buckets_that_are_no_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        assert await refusals(world, BUCKETS, REFUSED) == {}
        assert world.aws.traffic.requests == 0


async def test_other_tenants_are_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        for bucket in ("tenant-a", "tenant-b"):
            for key in ("secret.png", "private/secret.png", "public/a.png", "public/../private/secret.png"):
                (world.aws.buckets.get(bucket) or world.aws.new_bucket(bucket)).put(key, png())
        for path in (
            "/private/a.png",
            "/open/../private/a.png",
            "/open/%2e%2e/private/a.png",
            "/open/..%2fprivate/a.png",
        ):
            world.site.page(path, png())
        policy = MediaPolicy(allow=tuple(world.fill(glob) for glob in TENANT_A))
        assert await refusals(world, OTHER_TENANT, REFUSED, policy) == {}
        assert world.aws.traffic.requests == 0
        assert world.site.seen == []
        assert isinstance(await world.outcome("s3://tenant-a/public/a.png", policy=policy), Resolved)


async def test_an_allowed_page_may_not_send_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched_world(monkeypatch) as world:
        world.site.redirect("/open/a", "/private/a.png")
        world.site.redirect("/open/b", f"http://{SITE_HOST}:{world.site.port}/open/../private/a.png")
        world.site.page("/private/a.png", png())
        policy = MediaPolicy(allow=tuple(world.fill(glob).replace("https", "http") for glob in TENANT_A))
        references = [f"http://{SITE_HOST}:{{site}}/open/{page}" for page in "ab"]
        assert await refusals(world, references, {"image_not_allowed"}, policy) == {}
        assert world.site.count("/private/a.png") == 0


@pytest.mark.parametrize("leak", ["<Reader object at 0x7f3a12cc90>", "Signature=abc", f"{HOME}/.aws/config"])
async def test_a_leak_into_the_log_would_be_seen(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        async with watched_world(monkeypatch):
            structlog.get_logger("pronk.media").warning("object_failed", error=leak)


def test_the_table_is_as_long_as_promised() -> None:
    rows: Sequence[object] = [
        *hosts(),
        *LOOPBACK_SPELLINGS,
        *MALFORMED_WEB,
        *SCHEMES,
        *BUCKETS,
        *OTHER_TENANT,
        *HOSTILE,
        *POLYGLOTS,
        *inward(),
    ]
    assert len(rows) >= 300
