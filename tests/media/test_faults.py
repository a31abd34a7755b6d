"""Every way in which a fetch goes wrong: the code, where it says so, how often it was tried, and that neighbours are served."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from tests.fakes.aws import SILENT, Fault
from tests.media.faults import ALWAYS, HASTY, ROLE, STORE_CASES, Case
from tests.media.faults_documents import DOCUMENT_CASES
from tests.media.faults_web import WEB, WEB_CASES, at_first, status
from tests.media.pictures import png
from tests.media.world import CHAT, World, chat, open_world

from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved
from pronk.media.resolve import Bounds

pytestmark = pytest.mark.anyio

PARAM = "messages[0].content[2].image_url.url"


@pytest.mark.parametrize("case", STORE_CASES + DOCUMENT_CASES, ids=lambda case: case.name)
async def test_store(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, rules=case.rules, web=case.web) as world:
        case.arrange(world)
        answer = await among_neighbours(case, world)
        name = case.ref.partition("?")[0].partition("#page=")[0]
        bucket, _, key = name.removeprefix("s3://").partition("/")
        assert (outcome_of(answer), world.aws.count("GetObject", bucket, key)) == (case.code, case.tries)
        check_words(answer, world)


@pytest.mark.parametrize("case", WEB_CASES, ids=lambda case: case.name)
async def test_web(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, rules=case.rules, web=case.web) as world:
        case.arrange(world)
        answer = await among_neighbours(replace(case, ref=world.fill(case.ref)), world)
        assert (outcome_of(answer), world.site.count("/it.png")) == (case.code, case.tries)
        check_words(answer, world)


async def test_a_server_that_says_when_to_come_back_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        at_first(status(503, ("retry-after", "7")))(world)
        assert isinstance(await world.outcome(world.fill(f"{WEB}/it.png")), Resolved)
        assert [wait for wait in world.slept if wait >= 7]


@pytest.mark.parametrize(
    ("kind", "code"),
    [("video_url", "video_not_found"), ("audio_url", "audio_not_found"), ("image_url", "image_not_found")],
)
async def test_other_media_have_their_own_prefix(
    kind: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(monkeypatch) as world:
        with pytest.raises(MediaError) as raised:
            await world.resolver.resolve(
                chat("s3://parts/none", kind=kind),
                endpoint=CHAT,
                policy=MediaPolicy(),
                project=DEFAULT_PROJECT,
            )
        assert (raised.value.code, raised.value.param) == (code, f"messages[0].content[1].{kind}.url")


async def test_responses_say_where_in_their_own_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"input":[{"content":[{"type":"input_text","text":""},{"type":"input_image","image_url":"s3://parts/none"}]}]}'
    async with open_world(monkeypatch) as world:
        with pytest.raises(MediaError) as raised:
            await world.resolver.resolve(
                body, endpoint="/v1/responses", policy=MediaPolicy(), project=DEFAULT_PROJECT
            )
        assert raised.value.param == "input[0].content[1].image_url"


async def test_the_budget_is_given_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = Bounds(in_flight_bytes=300_000, memory_bytes=0)
    async with open_world(monkeypatch, bounds=bounds, web=HASTY) as world:
        world.aws.buckets["parts"].put("big.png", png() + b"\0" * 90_000)
        world.aws.buckets["parts"].put("huge.png", png() + b"\0" * 900_000)
        world.aws.fail(Fault(key="big.png", code="SlowDown", times=50))
        names = ["good.png", "big.png", "none.png", "huge.png", "big.png"]
        with anyio.fail_after(30):
            answers = await world.outcomes([[f"s3://parts/{names[n % 5]}"] for n in range(100)])
        codes = {answer.code for answer in answers if isinstance(answer, MediaError)}
        assert codes <= {"image_not_found", "image_fetch_failed"}
        assert isinstance(await world.outcome("s3://parts/huge.png"), Resolved)


async def test_cancelled_lines_leave_nothing_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = Bounds(in_flight_bytes=300_000)
    async with open_world(monkeypatch, bounds=bounds) as world:
        world.aws.buckets["parts"].put("slow.png", png(9, 9))
        world.aws.fail(Fault(key="slow.png", manners=SILENT, times=ALWAYS))
        for _ in range(20):
            with anyio.move_on_after(0.02):
                await world.outcomes(
                    [["s3://parts/slow.png"], ["s3://parts/slow.png", "s3://parts/good.png"]]
                )
        world.aws.faults.clear()
        with anyio.fail_after(10):
            answers = await world.outcomes([["s3://parts/slow.png"]] * 20)
        assert [outcome_of(answer) for answer in answers] == [None] * 20


async def among_neighbours(case: Case, world: World) -> MediaError | Resolved:
    """Resolve the case's reference while four good lines are resolved too, which must all be served."""
    good = ["s3://parts/good.png"]
    lines = [good, good, [good[0], case.ref], good, good]
    answers = await world.outcomes(lines, case.policy)
    assert [outcome_of(answer) for answer in (*answers[:2], *answers[3:])] == [None] * 4
    return answers[2]


def outcome_of(answer: MediaError | Resolved) -> str | None:
    return answer.code if isinstance(answer, MediaError) else None


def check_words(answer: MediaError | Resolved, world: World) -> None:
    """An error says where it stands and whether another try may help, and no more than it should."""
    if not isinstance(answer, MediaError):
        assert b"s3://" not in answer.body
        return
    assert answer.param == PARAM
    assert answer.retriable <= answer.code.endswith("_fetch_failed")
    assert answer.retriable or " tries" not in answer.message
    for secret in (world.aws.url, "127.0.0.2", "AKIA", "Signature", "0x", "hunter2", ROLE, "/work", ".py"):
        assert secret not in answer.message
