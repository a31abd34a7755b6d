"""What the attack tables share: a watched world, what counts as refused, and what may never stand in a message."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs
from tests.fakes.web import watched_sockets
from tests.media.world import SITE_ADDRESS, World, open_world

from pronk.domain.bucket import WebRules
from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import shown
from pronk.media.line import Resolved
from pronk.telemetry import metrics

ENDINGS = {"not_found", "access_denied", "not_allowed", "too_large", "invalid", "unsupported", "fetch_failed"}
CODES = {f"image_{ending}" for ending in ENDINGS}
REFUSED = {"image_not_allowed", "image_unsupported"}
UNREAD = {"image_invalid", "image_unsupported", "image_too_large"}
WARY = WebRules(
    allow_http=True, dns_timeout=0.3, connect_timeout=0.3, first_byte_timeout=0.3, total_timeout=0.7
)
HOME = str(Path.home())
LEAKS = re.compile(
    r"0x[0-9a-fA-F]{4,}|/work|/root|/tmp|site-packages|\.py\b|AKIA|ASIA|Signature=|hunter2|secret_key|Errno|Traceback"
    r"|127\.0\.0\.2|botocore|aiohttp|obstore|Pillow|PIL\."
    rf"|{re.escape(HOME)}/"
)


@asynccontextmanager
async def watched_world(patch: pytest.MonkeyPatch, web: WebRules = WARY) -> AsyncIterator[World]:
    """Give a world in which every connection is watched; only store and site may have been connected to in the end.

    Nor may the log or the metrics tell what no message may tell.
    """
    async with open_world(patch, web=web) as world:
        with watched_sockets() as seen, capture_logs() as logged:
            yield world
        own = {world.aws.url.removeprefix("http://"), f"{SITE_ADDRESS}:{world.site.port}"}
        strangers = {event for event in seen if event.startswith("connect") and event.split()[1] not in own}
        assert strangers == set()
        assert world.canary.visits == []
        assert [entry for entry in logged if LEAKS.search(str(entry))] == []
        assert LEAKS.search(generate_latest(metrics.REGISTRY).decode()) is None


async def refusals(
    world: World, references: Iterable[str], codes: set[str], policy: MediaPolicy | None = None
) -> dict[str, object]:
    """Ask for each reference in a request of its own, and return those that were not refused as they should be."""
    texts = [world.fill(reference) for reference in references]
    answers = await world.outcomes([[text] for text in texts], policy)
    wrong = {text[:300]: fault_of(answer, text, codes) for text, answer in zip(texts, answers, strict=True)}
    return {text: fault for text, fault in wrong.items() if fault is not None}


def fault_of(answer: MediaError | Resolved, text: str, codes: set[str]) -> object:
    """Return what is wrong with an answer, None if nothing."""
    if isinstance(answer, Resolved):
        return "was served"
    if answer.code not in codes:
        return answer.code, answer.message
    if answer.param != "messages[0].content[1].image_url.url":
        return answer.param
    told = answer.message.replace(shown(text), "")
    return (
        answer.message
        if LEAKS.search(told) or len(answer.message) > 600 or not answer.message.isprintable()
        else None
    )


@contextmanager
def bounded_memory(megabytes: int) -> Iterator[None]:
    """Fail when the block allocates more than this at its peak."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()
