from __future__ import annotations

from contextlib import nullcontext

import pytest

from pronk.domain.errors import MediaError
from pronk.domain.job import MediaPolicy, bounded
from pronk.domain.reference import parse_reference, shown
from pronk.media.policy import check_allowed, check_hops, fits, is_odd_key


@pytest.mark.parametrize(
    ("text", "bucket", "key", "version"),
    [
        ("s3://b1/k", "b1", "k", None),
        ("s3://b1/a b#c?.png", "b1", "a b#c?.png", None),
        ("s3://b1/a%20b+c", "b1", "a%20b+c", None),
        ("s3://b1//a//b/", "b1", "/a//b/", None),
        ("s3://b1/k?versionId=3HL4kq.x_-", "b1", "k", "3HL4kq.x_-"),
        ("s3://b1/k?versionId=", "b1", "k?versionId=", None),
        ("s3://b1/k?versionId=a/b", "b1", "k?versionId=a/b", None),
        ("s3://b1/k?versionid=a", "b1", "k?versionid=a", None),
        ("s3://b1/k.png#page=2", "b1", "k.png#page=2", None),
        ("gs://My_bucket.x/ü", "My_bucket.x", "ü", None),
        ("az://box/k", "box", "k", None),
    ],
)
def test_an_object_reference_is_taken_literally(
    text: str, bucket: str, key: str, version: str | None
) -> None:
    reference = parse_reference(text, "image")
    assert (reference.bucket, reference.key, reference.version) == (bucket, key, version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k.png",
        "/etc/passwd",
        "ftp://h/x",
        "gopher://h/x",
        "unix:///x",
        "HTTP://h/x",
        "S3://b/k",
        "jar:file:///x",
        "s3:/b/k",
        "s3://",
        "s3://b1",
        "s3://b1/",
        "s3:///k",
        "s3://169.254.169.254/latest",
        "s3://b@d/k",
        "s3://b:80/k",
        "s3://evil.com#x/k",
        "s3://arn:aws:s3:eu-west-1:1:accesspoint/x/k",
        "s3://b1/" + "k" * 1025,
        "s3://b1/\ud800",
        "s3://b1/a\0b",
        "s3://b1/a.pdf#page=3",
        "s3://b1/a.PDF#page=1-4",
        "javascript:alert(1)",
    ],
)
def test_what_is_malformed_or_not_served_is_unsupported(text: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse_reference(text, "video")
    assert caught.value.code == "video_unsupported"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://u:p@h/x?sig=secret#f", "https://h/x"),
        ("https://u:p\\@h/x", "https://h/x"),
        ("s3://b/k?versionId=v", "s3://b/k"),
        ("s3://b/a?b#c", "s3://b/a?b#c"),
        ("data:image/png;base64,AAAA", "The data: URL"),
        ("s3://b/a\nb", "s3://b/a\N{REPLACEMENT CHARACTER}b"),
        ("s3://b/" + "k" * 300, "s3://b/" + "k" * 193 + "…"),
    ],
)
def test_a_message_names_a_reference_without_its_secrets(text: str, name: str) -> None:
    assert shown(text) == name


@pytest.mark.parametrize(
    ("glob", "text", "fit"),
    [
        ("s3://parts/*", "s3://parts/a/b.png", True),
        ("s3://parts/*", "s3://parts-eu/a", False),
        ("s3://parts*", "s3://parts-eu/a/b", True),
        ("s3://team-*/public/*", "s3://team-a/public/x", True),
        ("s3://team-*/public/*", "s3://team-a/private/public/x", False),
        ("s3://parts/[a].png", "s3://parts/[a].png", True),
        ("s3://parts/?.png", "s3://parts/ab.png", False),
        ("s3://PARTS/*", "s3://parts/a", False),
        ("https://*.example.org/*", "https://img.example.org/a", True),
        ("https://*.example.org/*", "https://evil.com/x.example.org/a", False),
        ("https://*.example.org/*", "https://evil.com\\.example.org/a", False),
        ("https://*.example.org/*", "https://evil.com#.example.org/a", False),
        ("https://*.example.org/*", "https://u@x.example.org/a", False),
        ("https://img.example.org/*", "https://img.example.org@evil.com/", False),
        ("*", "s3://any/thing", True),
        ("*", "http://img.example.org/a", False),
        ("http*", "http://img.example.org/a", False),
        ("http://img.example.org", "http://img.example.org/a", True),
        ("https://img.example.org", "http://img.example.org/a", False),
        ("*", "file:///media/a", False),
        ("file:///media/*", "file:///media/a", True),
        ("data:*", "data:image/png;base64,AA", True),
    ],
)
def test_globs(glob: str, text: str, fit: bool) -> None:  # noqa: FBT001
    assert fits(text, (glob,)) is fit


@pytest.mark.parametrize(
    ("allow", "text"),
    [
        ((), "s3://parts/a"),
        (None, "http://img.example.org/a"),
        (None, "file:///media/a"),
        (("*",), "http://img.example.org/a"),
        (("*",), "file:///media/a"),
        (("s3://parts/*",), "s3://other/a"),
        (("s3://parts/*",), "s3://parts/../other/a"),
        (None, "s3://parts/../other/a"),
        (None, "s3://parts/a/../../other"),
        (("s3://parts/public/*",), "s3://parts/public/../private/a"),
        (("s3://parts/public/*",), "s3://parts/public/./../private/a"),
        (("s3://parts/*",), "data:image/png;base64,AA"),
        (("https://a.example/public/*",), "https://a.example/public/../private"),
        (("https://a.example/public/*",), "https://a.example/public/%2e%2e/private"),
        (("https://a.example/public/*",), "https://a.example/public/%2e%2e%2fprivate"),
    ],
)
def test_what_is_not_allowed_is_refused(allow: tuple[str, ...] | None, text: str) -> None:
    with pytest.raises(MediaError) as caught:
        check_allowed(parse_reference(text, "image"), MediaPolicy(allow=allow))
    assert caught.value.code == "image_not_allowed"
    assert "parts/*" not in caught.value.message
    if allow is None or text.startswith("data:"):
        return
    with pytest.raises(MediaError):
        check_allowed(parse_reference(text, "image"), bounded(MediaPolicy(allow=WIDE), allow))


WIDE = ("*", "http://*", "file://*")


@pytest.mark.parametrize(
    ("allow", "bounds", "text", "is_allowed"),
    [
        (None, ("s3://a1/*",), "s3://a1/x", True),
        (None, ("s3://a1/*",), "s3://b1/x", False),
        (None, (), "s3://a1/x", False),
        (("s3://a1/x/*",), ("s3://a1/*",), "s3://a1/x/1", True),
        (("s3://a1/x/*",), ("s3://a1/*",), "s3://a1/y/1", False),
        (("s3://b1/*",), ("s3://a1/*",), "s3://b1/1", False),
        (None, ("s3://a1/*",), "data:image/png;base64,AA", True),
        ((), ("*",), "data:image/png;base64,AA", False),
        (None, ("http://a.example/*",), "http://a.example/x", False),
        (("http://a.example/*",), ("*",), "http://a.example/x", False),
        (("http://*",), ("http://a.example/*",), "http://a.example/x", True),
    ],
)
def test_a_projects_bounds_and_a_jobs_list_both_have_to_fit(
    allow: tuple[str, ...] | None, bounds: tuple[str, ...], text: str, *, is_allowed: bool
) -> None:
    policy = bounded(MediaPolicy(allow=allow, max_bytes=7), bounds)
    with nullcontext() if is_allowed else pytest.raises(MediaError, match=r"may read|does not name"):
        check_allowed(parse_reference(text, "image"), policy)
    assert (policy.max_bytes, bounded(policy, None)) == (7, policy)


def test_where_servers_send_us_on_has_to_fit_both_lists() -> None:
    policy = bounded(MediaPolicy(allow=("https://*",)), ("https://a.example/*",))
    reference = parse_reference("https://a.example/1", "image")
    check_hops(reference, ("https://a.example/2",), policy)
    with pytest.raises(MediaError, match="sent on"):
        check_hops(reference, ("https://a.example/2", "https://b.example/3"), policy)


@pytest.mark.parametrize(
    ("text", "key", "version", "pages", "kind"),
    [
        ("s3://b1/a.pdf", "a.pdf", None, None, "document"),
        ("gs://b1/a.PDF", "a.PDF", None, None, "document"),
        ("az://b1/a.pdf#page=3", "a.pdf", None, (3, 3), "document"),
        ("s3://b1/a b#c.PDF#page=1-4", "a b#c.PDF", None, (1, 4), "document"),
        ("s3://b1/a.pdf#page=2?versionId=v1", "a.pdf", "v1", (2, 2), "document"),
        ("s3://b1/a.pdf?versionId=v1", "a.pdf", "v1", None, "document"),
        ("s3://b1/a.pdf?versionId=v1#page=2", "a.pdf?versionId=v1#page=2", None, None, "image"),
        ("s3://b1/a.pdf#page=", "a.pdf#page=", None, None, "image"),
        ("s3://b1/a.pdf#page=1-", "a.pdf#page=1-", None, None, "image"),
        ("s3://b1/a.pdf#page=1,3", "a.pdf#page=1,3", None, None, "image"),
        ("s3://b1/a.pdf#Page=1", "a.pdf#Page=1", None, None, "image"),
        ("s3://b1/a.pdf #page=1", "a.pdf #page=1", None, None, "image"),
        ("s3://b1/a.tiff#page=1", "a.tiff#page=1", None, None, "image"),
        ("https://b1.example/a.pdf#page=1", "", None, (1, 1), "document"),
        ("https://b1.example/a.PDF?sig=1#page=2-3", "", None, (2, 3), "document"),
        ("https://b1.example/a.pdf#top", "", None, None, "document"),
        ("https://b1.example/a.png?b=.pdf#page=1", "", None, None, "image"),
        ("https://b1.example/a.png#b.pdf", "", None, None, "image"),
        ("file:///in/a#b.pdf#page=4", "", None, (4, 4), "document"),
        ("file:///in/a.pdf#top", "", None, None, "image"),
    ],
)
def test_pages_are_named_in_one_way_only(
    text: str, key: str, version: str | None, pages: tuple[int, int] | None, kind: str
) -> None:
    found = parse_reference(text, "image")
    assert (found.key, found.version, found.pages, found.kind) == (key, version, pages, kind)


@pytest.mark.parametrize("pages", ["0", "0-3", "4-1", "9" * 10, "9" * 5000, "1-" + "9" * 5000])
def test_pages_that_no_document_has_are_unsupported(pages: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse_reference(f"s3://b1/a.pdf#page={pages}", "image")
    assert caught.value.code == "document_unsupported"


@pytest.mark.parametrize(
    ("allow", "text", "ok"),
    [
        (("s3://parts/*.pdf",), "s3://parts/a.pdf#page=3", True),
        (("s3://parts/a.pdf",), "s3://parts/a.pdf#page=3-9", True),
        (("s3://parts/*page=3",), "s3://parts/a.pdf#page=3", False),
        (("https://a.example/a.pdf",), "https://a.example/a.pdf#page=3", True),
        (("https://a.example/*page=3",), "https://a.example/a.pdf#page=3", False),
        (("s3://parts/*",), "s3://parts/../other/a.pdf#page=3", False),
    ],
)
def test_globs_do_not_see_pages(allow: tuple[str, ...], text: str, ok: bool) -> None:  # noqa: FBT001
    reference, policy = parse_reference(text, "image"), MediaPolicy(allow=allow)
    if ok:
        check_allowed(reference, policy)
        return
    with pytest.raises(MediaError) as caught:
        check_allowed(reference, policy)
    assert caught.value.code == "document_not_allowed"


@pytest.mark.parametrize("key", ["a//b", "./x", "a/./b", "a/..", "/a", "a/", "a\nb", ".", "x/."])
def test_odd_keys(key: str) -> None:
    assert is_odd_key(key)


@pytest.mark.parametrize("key", ["a/b", ".hidden", "a/.b", "a..b/c.", "...", "a b#?%20+ü"])
def test_keys_that_obstore_takes(key: str) -> None:
    assert not is_odd_key(key)
