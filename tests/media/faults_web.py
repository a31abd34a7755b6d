"""The fault table of the web: what goes wrong at a site, with which code and after how many tries."""

from __future__ import annotations

from typing import Any

from tests.fakes.http1 import Reply
from tests.fakes.web import endless
from tests.media.faults import ALL_TRIES, HASTY, Arrange, Case
from tests.media.pictures import png
from tests.media.world import PATIENT, World

from pronk.domain.bucket import WebRules
from pronk.domain.job import MediaPolicy

WEB = "http://img.example.test:{site}"


def page(**manners: Any) -> Arrange:
    """Serve a good picture, rudely."""
    return lambda world: world.site.page("/it.png", png(40, 40), **manners)


def status(code: int, *headers: tuple[str, str]) -> Arrange:
    return lambda world: world.site.status("/it.png", code, *headers)


def at_first(spoil: Arrange) -> Arrange:
    """Answer as `spoil` says once, then as it should be."""

    def arrange(world: World) -> None:
        spoil(world)
        bad, good = world.site.pages["/it.png"], Reply(200, (("content-type", "image/png"),), png(40, 40))
        assert isinstance(bad, Reply)
        world.site.pages["/it.png"] = lambda _: bad if world.site.count("/it.png") == 1 else good

    return arrange


def on_web(name: str, code: str | None, tries: int, arrange: Arrange, **more: Any) -> Case:
    return Case(name=f"web: {name}", ref=f"{WEB}/it.png", code=code, tries=tries, arrange=arrange, **more)


def both_on_web(name: str, spoil: Arrange, web: WebRules = PATIENT) -> list[Case]:
    return [
        on_web(f"{name}, once", None, 2, at_first(spoil), web=web),
        on_web(f"{name}, always", "image_fetch_failed", ALL_TRIES, spoil, web=web),
    ]


WEB_CASES = [
    *both_on_web("408", status(408)),
    *both_on_web("429", status(429)),
    *both_on_web("500", status(500)),
    *both_on_web("502", status(502)),
    *both_on_web("503", status(503)),
    *both_on_web("504", status(504)),
    *both_on_web("reset", page(cut_after=-1, ending="reset")),
    *both_on_web("hung up", page(cut_after=-1)),
    *both_on_web("cut", page(cut_after=30)),
    *both_on_web("cut and reset", page(cut_after=30, ending="reset")),
    *both_on_web("nonsense", page(instead=b"\0\1\2 nonsense\r\n\r\n")),
    *both_on_web("no first byte", page(cut_after=-1, ending="stall"), HASTY),
    *both_on_web("stalled", page(cut_after=30, ending="stall"), HASTY),
    *both_on_web("length too long", page(claimed_length=9_999, cut_after=9_999)),
    on_web("length too short", "image_invalid", 1, page(claimed_length=60, cut_after=60)),
    on_web("400", "image_fetch_failed", 1, status(400)),
    on_web("401", "image_access_denied", 1, status(401)),
    on_web("403", "image_access_denied", 1, status(403)),
    on_web("404", "image_not_found", 1, status(404)),
    on_web("410", "image_not_found", 1, status(410)),
    on_web(
        "redirected three times",
        None,
        1,
        lambda w: w.site.redirect("/it.png", w.site.chain("/r", 2, "/good.png")),
    ),
    on_web(
        "redirected four times",
        "image_not_allowed",
        1,
        lambda w: w.site.redirect("/it.png", w.site.chain("/r", 3, "/good.png")),
    ),
    on_web("redirected in a circle", "image_not_allowed", 4, lambda w: w.site.redirect("/it.png", "/it.png")),
    on_web(
        "redirected inward",
        "image_not_allowed",
        1,
        lambda w: w.site.redirect("/it.png", "http://127.0.0.1/a.png"),
    ),
    on_web("too many bytes, told", "image_too_large", 1, page(), policy=MediaPolicy(max_bytes=80)),
    on_web(
        "too many bytes, not told",
        "image_too_large",
        1,
        lambda w: w.site.stream("/it.png", endless),
        policy=MediaPolicy(max_bytes=500_000),
    ),
    on_web("text that says it is a picture", "image_invalid", 1, lambda w: w.site.page("/it.png", b"no")),
    on_web(
        "picture that says it is text", None, 1, lambda w: w.site.page("/it.png", png(40, 40), "text/plain")
    ),
    Case(
        name="web: no such host", ref="http://nowhere.test:{site}/it.png", code="image_fetch_failed", tries=0
    ),
    Case(name="web: inner host", ref="http://127.0.0.1:{site}/it.png", code="image_not_allowed", tries=0),
    Case(name="web: other port", ref="http://img.example.test:22/it.png", code="image_not_allowed", tries=0),
    Case(
        name="web: http not allowed", ref=f"{WEB}/it.png", code="image_not_allowed", tries=0, web=WebRules()
    ),
    Case(
        name="web: user in the address",
        ref="http://me:hunter2@img.example.test:{site}/it.png",
        code="image_not_allowed",
        tries=0,
    ),
    Case(
        name="web: no TLS there",
        ref="https://img.example.test:{site}/it.png",
        code="image_fetch_failed",
        tries=0,
    ),
]
