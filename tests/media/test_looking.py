"""A look at references: what is there, how large, of which type and in which region, with a few KiB read of each."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from tests.fakes.aws import Fault
from tests.media.pictures import jpeg, png
from tests.media.world import SITE_HOST, World, open_world, opened

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy
from pronk.domain.reference import Kind
from pronk.media.looking import Seen

pytestmark = pytest.mark.anyio
RULES = (BucketRule(match="owned", owner="111111111111"),)


async def code_of(world: World, text: str, policy: MediaPolicy | None = None, kind: Kind = "image") -> str:
    with pytest.raises(MediaError) as caught:
        await world.resolver.look(world.fill(text), kind, opened(policy))
    return caught.value.code


async def test_objects_are_seen_with_size_type_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch, rules=RULES) as world:
        big = jpeg(320, 200) + b"\0" * 300_000
        world.aws.buckets["parts"].put("big.jpg", big)
        world.aws.buckets["parts"].put("odd//key.png", png())
        world.aws.new_bucket("owned", "us-west-2").put("mine.png", png())
        for text, region, size, type_ in (
            ("s3://parts/big.jpg", "eu-west-1", len(big), "image/jpeg"),
            ("s3://parts/odd//key.png", "eu-west-1", len(png()), "image/png"),
            ("s3://owned/mine.png", "us-west-2", len(png()), "image/png"),
            (f"http://{SITE_HOST}:{{site}}/good.png", None, len(png()), "image/png"),
        ):
            seen = await world.resolver.look(world.fill(text), "image", opened(None))
            assert (seen.region, seen.bytes, seen.type) == (region, size, type_), text
            assert seen.width > 0, text
        assert world.aws.count("GetObject", "parts", "big.jpg") == 1
        assert await world.resolver.home_region() == "us-east-1"


async def test_a_look_costs_a_few_kib_however_large_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("huge.jpg", jpeg(64, 64) + b"\0" * 15_000_000)
        before = world.aws.traffic.bytes_sent
        await world.resolver.look("s3://parts/huge.jpg", "image", opened(None))
        assert world.aws.traffic.bytes_sent - before < 20_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("s3://parts/none.png", "image_not_found"),
        ("s3://no-such-bucket/a.png", "image_not_found"),
        ("s3://closed/a.png", "image_access_denied"),
        ("s3://parts/empty.png", "image_invalid"),
        ("s3://parts/text.png", "image_invalid"),
        ("s3://parts/cut.png", "image_invalid"),
        ("s3://parts/film.png", "image_unsupported"),
        ("s3://parts/large.jpg", "image_too_large"),
        ("s3://parts/bomb.png", "image_too_large"),
        ("ftp://parts/a.png", "image_unsupported"),
        ("http://127.0.0.1:{port}/a.png", "image_not_allowed"),
        ("http://169.254.169.254/latest", "image_not_allowed"),
        (f"http://{SITE_HOST}:{{site}}/inward", "image_not_allowed"),
        ("data:image/png;base64,!!!!", "image_invalid"),
        ("file:///etc/passwd", "image_unsupported"),
    ],
)
async def test_what_cannot_be_read_has_the_code_of_reading_it(
    monkeypatch: pytest.MonkeyPatch, text: str, code: str
) -> None:
    async with open_world(monkeypatch) as world:
        parts = world.aws.buckets["parts"]
        world.aws.new_bucket("closed", readers=()).put("a.png", png())
        parts.put("empty.png", b"")
        parts.put("text.png", b"hello " * 2000)
        parts.put("cut.png", png()[:60])
        parts.put("film.png", b"\0\0\0\x20ftypisom" + b"\0" * 9000)
        parts.put("large.jpg", jpeg(8, 8) + b"\0" * 60_000)
        parts.put("bomb.png", png()[:16] + b"\0\0\xc3\x50\0\0\xc3\x50" + b"\0" * 9000)
        world.site.redirect("/inward", f"http://127.0.0.1:{world.canary.port}/")
        assert await code_of(world, text, MediaPolicy(max_bytes=50_000)) == code
        assert not world.canary.visits


async def test_the_list_decides_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        policy = MediaPolicy(allow=("s3://other/*",))
        assert await code_of(world, "s3://parts/good.png", policy) == "image_not_allowed"
        assert not world.aws.counts


async def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.fail(Fault(code="SlowDown", times=2))
        seen = await world.resolver.look("s3://parts/good.png", "image", opened(None))
        assert (seen.type, len(world.slept)) == ("image/png", 2)


async def test_files_below_named_folders_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    async with open_world(monkeypatch, web=WebRules(file_folders=(str(tmp_path),))) as world:
        seen = await world.resolver.look(f"file://{tmp_path}/a.png", "image", opened(None))
        assert (seen.type, seen.bytes) == ("image/png", len(png()))
        assert await code_of(world, "file:///etc/passwd") == "image_not_allowed"


async def test_documents_and_films_are_seen_by_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(monkeypatch) as world:
        world.aws.buckets["parts"].put("a.pdf", b"%PDF-1.7\n" + b"x" * 9000 + b"%%EOF")
        world.aws.buckets["parts"].put("a.mp4", b"\0\0\0\x20ftypisom" + b"\0" * 9000)
        for text, kind, type_ in (
            ("s3://parts/a.pdf#page=2", "image", "application/pdf"),
            ("s3://parts/a.mp4", "video", "video/mp4"),
        ):
            seen = await world.resolver.look(text, kind, opened(None))  # type: ignore[arg-type]
            assert seen.type == type_


async def test_many_looks_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 50 ms of latency 60 s have room for 1,200 looks one after the other; the lanes let at least 64 run at once."""
    async with open_world(monkeypatch) as world:
        world.aws.latency.seconds = 0.05
        found: list[Seen] = []

        async def look(number: int) -> None:
            world.aws.buckets["parts"].put(f"{number}.png", png())
            found.append(await world.resolver.look(f"s3://parts/{number}.png", "image", opened(None)))

        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(look, number)
        assert len(found) == 300
        assert world.aws.traffic.most_open >= 60
