"""The fault tables: what goes wrong, with which code and after how many tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.aws import GARBAGE, HANG_UP, RESET, SILENT, USER, Fault
from tests.fakes.http1 import Manners
from tests.media.pictures import HOSTILE, claimed_png, png
from tests.media.world import PATIENT, World

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.job import MediaPolicy

ALWAYS = None
ALL_TRIES = 4
HASTY = WebRules(
    allow_http=True, first_byte_timeout=0.2, connect_timeout=0.5, dns_timeout=0.3, total_timeout=5.0
)
ROLE = "arn:aws:iam::222222222222:role/reader"

Arrange = Callable[[World], Any]


def _nothing(world: World) -> None:
    """Nothing is there but the neighbours."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault. `code` None: served in the end. `tries` counts GETs of the object; `gets` says where, else from `ref`."""

    name: str
    ref: str = "s3://parts/it.png"
    code: str | None = None
    tries: int = 1
    arrange: Arrange = _nothing
    rules: tuple[BucketRule, ...] = ()
    policy: MediaPolicy = field(default_factory=MediaPolicy)
    web: WebRules = PATIENT


def holds(data: bytes = b"", bucket: str = "parts", key: str = "it.png", **traits: Any) -> Arrange:
    """Put an object there, in a bucket with these traits."""

    def arrange(world: World) -> None:
        found = world.aws.buckets.get(bucket) or world.aws.new_bucket(bucket, "eu-west-1")
        for name, value in traits.items():
            setattr(found, name, value)
        found.put(key, data or png())

    return arrange


def goes_wrong(make: Callable[[], Fault], key: str = "it.png") -> Arrange:
    """Put a good picture there and order a fault for it."""

    def arrange(world: World) -> None:
        world.aws.buckets["parts"].put(key, png(40, 40))
        world.aws.fail(replace(make(), key=key))

    return arrange


def both(
    name: str, make: Callable[[int | None], Fault], web: WebRules = PATIENT, key: str = "it.png"
) -> list[Case]:
    """Return the fault met once, and met for ever."""
    ref = f"s3://parts/{key}"
    once, always = goes_wrong(lambda: make(1), key=key), goes_wrong(lambda: make(ALWAYS), key=key)
    lost = "image_fetch_failed"
    return [
        Case(name=f"{name}, once", ref=ref, tries=2, arrange=once, web=web),
        Case(name=f"{name}, always", ref=ref, code=lost, tries=ALL_TRIES, arrange=always, web=web),
    ]


def spoiled(manners: Manners) -> Callable[[int | None], Fault]:
    return lambda times: Fault(manners=manners, times=times)


def coded(code: str) -> Callable[[int | None], Fault]:
    return lambda times: Fault(code=code, times=times)


ODD = "odd//it.png"

TRANSPORT = [
    *both("503 SlowDown", coded("SlowDown")),
    *both("500", coded("InternalError")),
    *both("reset", spoiled(RESET)),
    *both("hung up", spoiled(HANG_UP)),
    *both("nonsense instead of HTTP", spoiled(GARBAGE)),
    *both("no first byte", spoiled(SILENT), HASTY),
    *both("cut body", spoiled(Manners(cut_after=50))),
    *both("cut body and reset", spoiled(Manners(cut_after=50, ending="reset"))),
    *both("stalled body", spoiled(Manners(cut_after=50, ending="stall")), HASTY),
    *both("length too long", spoiled(Manners(claimed_length=9_999, cut_after=9_999))),
    *both("odd key: 503 SlowDown", coded("SlowDown"), key=ODD),
    *both("odd key: 500", coded("InternalError"), key=ODD),
    *both("odd key: reset", spoiled(RESET), key=ODD),
    *both("odd key: nonsense", spoiled(GARBAGE), key=ODD),
    *both("odd key: cut body", spoiled(Manners(cut_after=50)), key=ODD),
    *both("odd key: no first byte", spoiled(SILENT), HASTY, key=ODD),
    *both("odd key: stalled body", spoiled(Manners(cut_after=50, ending="stall")), HASTY, key=ODD),
    Case(
        name="length too short",
        code="image_invalid",
        arrange=goes_wrong(lambda: Fault(manners=Manners(claimed_length=60, cut_after=60))),
    ),
    Case(name="slow but in time", arrange=goes_wrong(lambda: Fault(manners=Manners(first_byte_after=0.1)))),
]

MISSING = [
    Case(name="no such key", code="image_not_found"),
    Case(name="no such bucket", ref="s3://nowhere/it.png", code="image_not_found"),
    Case(name="odd key missing", ref="s3://parts/odd//none.png", code="image_not_found"),
    Case(
        name="no such version",
        ref="s3://parts/it.png?versionId=v9",
        code="image_not_found",
        arrange=holds(is_versioned=True),
    ),
    Case(
        name="a version there is",
        ref="s3://parts/it.png?versionId=v000001.x",
        arrange=holds(is_versioned=True),
    ),
    Case(
        name="a deleted version",
        ref="s3://parts/it.png?versionId=v000002.x",
        code="image_not_found",
        arrange=lambda w: (holds(is_versioned=True)(w), w.aws.buckets["parts"].delete("it.png")),
    ),
    Case(
        name="deleted, no version named",
        code="image_not_found",
        arrange=lambda w: (holds(is_versioned=True)(w), w.aws.buckets["parts"].delete("it.png")),
    ),
]

DENIED = [
    Case(
        name="not a reader",
        ref="s3://theirs/it.png",
        code="image_access_denied",
        arrange=holds(bucket="theirs", readers=frozenset()),
    ),
    Case(
        name="odd key, not a reader",
        ref="s3://theirs/a//it.png",
        code="image_access_denied",
        arrange=holds(bucket="theirs", key="a//it.png", readers=frozenset()),
    ),
    Case(
        name="missing, and may not list",
        code="image_access_denied",
        arrange=holds(key="other", is_listable=False),
    ),
    Case(
        name="requester pays, not told",
        code="image_access_denied",
        ref="s3://pays/it.png",
        arrange=holds(bucket="pays", is_requester_pays=True),
    ),
    Case(
        name="requester pays, told",
        ref="s3://pays/it.png",
        arrange=holds(bucket="pays", is_requester_pays=True),
        rules=(BucketRule(match="pays", requester_pays=True),),
    ),
    Case(
        name="odd key, requester pays, told",
        ref="s3://pays/a//it.png",
        arrange=holds(bucket="pays", key="a//it.png", is_requester_pays=True),
        rules=(BucketRule(match="pays", requester_pays=True),),
    ),
    Case(
        name="somebody else's bucket",
        ref="s3://owned/it.png",
        code="image_access_denied",
        arrange=holds(bucket="owned"),
        rules=(BucketRule(match="owned", owner="999999999999"),),
    ),
    Case(
        name="the right owner's bucket",
        ref="s3://owned/it.png",
        arrange=holds(bucket="owned"),
        rules=(BucketRule(match="owned", owner="111111111111"),),
    ),
    Case(
        name="anonymous, and not public",
        ref="s3://shut/it.png",
        code="image_access_denied",
        arrange=holds(bucket="shut"),
        rules=(BucketRule(match="shut", anonymous=True),),
    ),
    Case(
        name="anonymous and public",
        ref="s3://open/it.png",
        arrange=holds(bucket="open", is_public=True, readers=frozenset()),
        rules=(BucketRule(match="open", anonymous=True),),
    ),
    Case(
        name="unknown key pair",
        code="image_access_denied",
        arrange=goes_wrong(lambda: Fault(code="InvalidAccessKeyId", times=ALWAYS)),
    ),
    Case(
        name="wrong secret",
        code="image_access_denied",
        arrange=goes_wrong(lambda: Fault(code="SignatureDoesNotMatch", times=ALWAYS)),
    ),
    Case(
        name="wrong clock",
        code="image_access_denied",
        arrange=goes_wrong(lambda: Fault(code="RequestTimeTooSkewed", times=ALWAYS)),
    ),
    Case(
        name="a role that does not trust us",
        ref="s3://roled/it.png",
        code="image_access_denied",
        tries=0,
        arrange=lambda w: (
            holds(bucket="roled", readers=frozenset({ROLE}))(w),
            w.aws.iam.add_role(ROLE, trusts=set()),
        ),
        rules=(BucketRule(match="roled", role_arn=ROLE),),
    ),
    Case(
        name="a role without its external id",
        ref="s3://roled/it.png",
        code="image_access_denied",
        tries=0,
        arrange=lambda w: (
            holds(bucket="roled", readers=frozenset({ROLE}))(w),
            w.aws.iam.add_role(ROLE, trusts={USER}, external_id="x1"),
        ),
        rules=(BucketRule(match="roled", role_arn=ROLE, external_id="wrong"),),
    ),
    Case(
        name="a role with its external id",
        ref="s3://roled/it.png",
        arrange=lambda w: (
            holds(bucket="roled", readers=frozenset({ROLE}))(w),
            w.aws.iam.add_role(ROLE, trusts={USER}, external_id="x1"),
        ),
        rules=(BucketRule(match="roled", role_arn=ROLE, external_id="x1"),),
    ),
]

RENEWED = [
    Case(name="token expired, once", tries=2, arrange=goes_wrong(lambda: Fault(code="ExpiredToken"))),
    Case(
        name="token expired, always",
        code="image_access_denied",
        tries=2,
        arrange=goes_wrong(lambda: Fault(code="ExpiredToken", times=ALWAYS)),
    ),
    Case(
        name="odd key: token expired, once",
        ref=f"s3://parts/{ODD}",
        tries=2,
        arrange=goes_wrong(lambda: Fault(code="ExpiredToken"), key=ODD),
    ),
    Case(
        name="the rule names a wrong region (301)",
        ref="s3://moved/it.png",
        tries=2,
        arrange=holds(bucket="moved"),
        rules=(BucketRule(match="moved", region="eu-central-1"),),
    ),
    Case(
        name="the rule names a wrong region (400)",
        ref="s3://moved/it.png",
        tries=2,
        arrange=holds(bucket="moved", wrong_region="malformed"),
        rules=(BucketRule(match="moved", region="eu-central-1"),),
    ),
    Case(
        name="odd key in a wrong region (301)",
        ref="s3://moved/a//it.png",
        tries=2,
        arrange=holds(bucket="moved", key="a//it.png"),
        rules=(BucketRule(match="moved", region="eu-central-1"),),
    ),
    Case(
        name="odd key in a wrong region (400)",
        ref="s3://moved/a//it.png",
        tries=2,
        arrange=holds(bucket="moved", key="a//it.png", wrong_region="malformed"),
        rules=(BucketRule(match="moved", region="eu-central-1"),),
    ),
    Case(
        name="sent round in circles",
        code="image_fetch_failed",
        tries=2,
        arrange=goes_wrong(lambda: Fault(code="PermanentRedirect", times=ALWAYS)),
    ),
    Case(
        name="region look-up fails once",
        ref="s3://other/it.png",
        arrange=lambda w: (
            holds(bucket="other")(w),
            w.aws.fail(Fault(code="SlowDown", operation="HeadBucket", bucket="other")),
        ),
    ),
    Case(
        name="region look-up always fails",
        ref="s3://other/it.png",
        code="image_fetch_failed",
        tries=0,
        arrange=lambda w: (
            holds(bucket="other")(w),
            w.aws.fail(Fault(code="SlowDown", operation="HeadBucket", bucket="other", times=ALWAYS)),
        ),
    ),
]

CONTENT = [
    Case(name="empty", code="image_invalid", arrange=lambda w: w.aws.buckets["parts"].put("it.png", b"")),
    Case(name="text", code="image_invalid", arrange=holds(b"not a picture")),
    Case(name="cut picture", code="image_invalid", arrange=holds(HOSTILE["png cut in half"]())),
    Case(name="drawing", code="image_unsupported", arrange=holds(HOSTILE["svg with entities outside"]())),
    Case(name="document", code="image_unsupported", arrange=holds(HOSTILE["pdf"]())),
    Case(
        name="too many bytes",
        code="image_too_large",
        arrange=holds(png(500, 500, (9, 9, 9)) + b"\0" * 9000),
        policy=MediaPolicy(max_bytes=5000),
    ),
    Case(
        name="odd key, too many bytes",
        ref=f"s3://parts/{ODD}",
        code="image_too_large",
        arrange=holds(png() + b"\0" * 9000, key=ODD),
        policy=MediaPolicy(max_bytes=5000),
    ),
    Case(name="too many pixels", code="image_too_large", arrange=holds(claimed_png(50_000, 50_000))),
    Case(name="a broken tiff", code="image_invalid", arrange=holds(HOSTILE["tiff cut"]())),
]

UNASKED = [
    Case(
        name="not in the list",
        code="image_not_allowed",
        tries=0,
        arrange=holds(),
        policy=MediaPolicy(allow=("s3://parts/good*",)),
    ),
    Case(name="no key", ref="s3://parts/", code="image_unsupported", tries=0),
    Case(name="no such scheme", ref="ftp://parts/it.png", code="image_unsupported", tries=0),
    Case(name="no scheme", ref="it.png", code="image_unsupported", tries=0),
    Case(name="climbs out", ref="s3://parts/../it.png", code="image_not_allowed", tries=0),
    Case(name="data: that is no base64", ref="data:image/png;base64,!!", code="image_invalid", tries=0),
    Case(name="data: in plain", ref="data:image/png,abc", code="image_unsupported", tries=0),
    Case(
        name="data: that is no picture", ref="data:image/png;base64,aGVsbG8=", code="image_invalid", tries=0
    ),
]

STORE_CASES = [*TRANSPORT, *MISSING, *DENIED, *RENEWED, *CONTENT, *UNASKED]
