from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pronk.media.aws import Identity, Keys
from pronk.media.fetched import TransientError, WrongRegionError
from pronk.media.keyring import KeyRing
from pronk.media.regions import NoMemory, Regions
from pronk.media.signed_urls import without_signature
from pronk.media.store_errors import error_of_status
from pronk.media.transport import Reply

pytestmark = pytest.mark.anyio
ME = Identity()


class Source:
    """Gives keys that live for a while, and counts."""

    def __init__(self, now: list[float], life: float | None) -> None:
        self.now, self.life, self.count, self.broken = now, life, 0, False

    def keys(self, identity: Identity) -> Keys:
        if self.broken:
            raise TransientError("the credential service does not answer")
        self.count += 1
        end = None if self.life is None else self.now[0] + self.life
        return Keys(access_key=f"{identity.profile}{self.count}", secret_key="s", expires_at=end)


@pytest.mark.parametrize(("life", "renewed_after"), [(3600.0, 3001.0), (900.0, 676.0), (60.0, 46.0)])
async def test_keys_are_renewed_before_they_end(life: float, renewed_after: float) -> None:
    now = [1000.0]
    source = Source(now, life)
    ring = KeyRing(source, lambda: now[0])
    first = await ring.get(ME)
    now[0] += renewed_after - 2
    assert await ring.get(ME) is first
    now[0] += 2
    assert (await ring.get(ME)) is not first
    assert source.count == 2


async def test_many_ask_and_one_fetches() -> None:
    source = Source([0.0], None)
    ring = KeyRing(source, lambda: 0.0)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(ring.get, ME)
    assert source.count == 1
    assert await ring.get(ME)
    assert source.count == 1


async def test_old_keys_serve_while_the_renewal_fails_and_not_after_their_end() -> None:
    now = [0.0]
    source = Source(now, 3600.0)
    ring = KeyRing(source, lambda: now[0])
    first = await ring.get(ME)
    source.broken, now[0] = True, 3100.0
    assert await ring.get(ME) is first
    now[0] = 3601.0
    with pytest.raises(TransientError):
        await ring.get(ME)


async def test_dropping_old_keys_leaves_newer_ones() -> None:
    source = Source([0.0], None)
    ring = KeyRing(source, lambda: 0.0)
    old = await ring.get(ME)
    ring.drop(ME, old)
    new = await ring.get(ME)
    ring.drop(ME, old)
    assert await ring.get(ME) is new


class Heads:
    """Answers HEADs with the regions it was given, in turn."""

    def __init__(self, *regions: str | None, status: int = 403) -> None:
        self.regions, self.status, self.urls = list(regions), status, list[str]()

    async def head(self, url: str) -> Reply:
        self.urls.append(url)
        await anyio.lowlevel.checkpoint()
        region = self.regions.pop(0)
        return Reply(status=self.status, headers={} if region is None else {"x-amz-bucket-region": region})


async def test_one_look_up_per_bucket_whatever_its_status() -> None:
    heads = Heads("eu-west-1")
    regions = Regions(heads, NoMemory())  # type: ignore[arg-type]
    found = []

    async def ask() -> None:
        found.append(await regions.get("b", "https://s3/b", "us-east-1"))

    async with anyio.create_task_group() as group:
        for _ in range(30):
            group.start_soon(ask)
    assert found == ["eu-west-1"] * 30
    assert heads.urls == ["https://s3/b"]


async def test_a_wrong_region_is_looked_up_once_more() -> None:
    heads = Heads("eu-west-1", "eu-north-1")
    regions = Regions(heads, NoMemory())  # type: ignore[arg-type]
    await regions.get("b", "u", "us-east-1")
    assert await regions.correct("b", "u", "eu-west-1") == "eu-north-1"
    assert await regions.correct("b", "u", "eu-west-1") == "eu-north-1"
    assert len(heads.urls) == 2


async def test_a_region_that_only_the_refusal_names_counts() -> None:
    heads = Heads(None, None, None)
    regions = Regions(heads, NoMemory())  # type: ignore[arg-type]
    assert await regions.get("b", "u", "us-east-1") == "us-east-1"
    assert await regions.correct("b", "u", "us-east-1", "eu-north-9") == "eu-north-9"
    assert await regions.get("b", "u", "us-east-1") == "eu-north-9"
    told = Regions(Heads("ap-south-9"), NoMemory())  # type: ignore[arg-type]
    assert await told.correct("b", "u", "us-east-1", "eu-north-9") == "ap-south-9"


@pytest.mark.parametrize(
    ("text", "right"),
    [("<Region>eu-north-9</Region>", "eu-north-9"), ("<Region>../x</Region>", None), ("", None)],
)
def test_a_refusal_may_name_the_region(text: str, right: str | None) -> None:
    error = error_of_status(400, f"<Code>AuthorizationHeaderMalformed</Code>{text}", versioned=False)
    assert isinstance(error, WrongRegionError)
    assert error.right == right


async def test_a_server_without_the_header_gets_the_default_but_an_outage_is_no_answer() -> None:
    assert await Regions(Heads(None, status=404), NoMemory()).get("b", "u", "x") == "x"  # type: ignore[arg-type]
    with pytest.raises(TransientError):
        await Regions(Heads(None, status=503), NoMemory()).get("b", "u", "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Signature=a&X-Amz-Date=b&versionId=7",
            "https://b.s3.amazonaws.com/k?versionId=7",
        ),
        (
            "https://x.blob.core.windows.net/c/k?sv=1&sig=2&se=3&w=100",
            "https://x.blob.core.windows.net/c/k?w=100",
        ),
        ("https://cdn.example/k?Expires=1&Signature=2&Key-Pair-Id=3", "https://cdn.example/k"),
        ("https://h/k?AWSAccessKeyId=1&Signature=2&Expires=3", "https://h/k"),
        ("https://h/k?X-Goog-Signature=1&X-Goog-Expires=2", "https://h/k"),
        ("https://h/k?st=5&se=6&Expires=1", "https://h/k?st=5&se=6&Expires=1"),
        ("https://h/k?Signature=1", "https://h/k?Signature=1"),
        ("https://h/k?a=1#f", "https://h/k?a=1"),
        ("https://h/k#f", "https://h/k"),
    ],
)
def test_only_what_signs_a_url_is_dropped_from_its_name(url: str, name: str) -> None:
    assert without_signature(url) == name
