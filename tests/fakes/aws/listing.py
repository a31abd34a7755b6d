"""ListObjectsV2, a thousand keys a page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.fakes.aws.buckets import Bucket
from tests.fakes.http1 import Reply

_PAGE = 1000


def list_objects(bucket: Bucket, query: Mapping[str, str]) -> Reply:
    """Return one page; the continuation token is the last entry of the page before."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    limit = min(_PAGE, int(query.get("max-keys", _PAGE)))
    entries = _entries(bucket, prefix, delimiter, after, limit)
    page = entries[:limit]
    is_cut = len(entries) > limit
    is_encoded = query.get("encoding-type") == "url"
    encode = quote if is_encoded else str
    inner = [
        _element("Name", bucket.name),
        _element("Prefix", encode(prefix)),
        _element("KeyCount", len(page)),
    ]
    inner += [_element("MaxKeys", limit), _element("IsTruncated", str(is_cut).lower())]
    inner += [_element("EncodingType", "url")] if is_encoded else []
    inner += [_element("NextContinuationToken", page[-1])] if is_cut else []
    inner += [_entry(bucket, name, encode(name), is_prefix=name not in bucket.objects) for name in page]
    body = "".join(("<ListBucketResult>", *inner, "</ListBucketResult>"))
    return Reply(200, (("content-type", "application/xml"),), body.encode())


def _entries(bucket: Bucket, prefix: str, delimiter: str, after: str, limit: int) -> list[str]:
    if not delimiter:
        return bucket.keys_after(after, prefix, None if bucket.is_versioned else limit + 1)
    keys = bucket.keys_after(after, prefix)
    rolled = (_rolled_up(key, prefix, delimiter) for key in keys)
    return [name for name in dict.fromkeys(rolled) if name > after]


def _rolled_up(key: str, prefix: str, delimiter: str) -> str:
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return f"{prefix}{head}{delimiter}" if found else key


def _entry(bucket: Bucket, name: str, shown: str, *, is_prefix: bool) -> str:
    if is_prefix:
        return f"<CommonPrefixes>{_element('Prefix', shown)}</CommonPrefixes>"
    stored = bucket.get(name)
    fields = (
        _element("Key", shown),
        "<LastModified>2026-11-02T08:00:00.000Z</LastModified>",
        _element("ETag", stored.etag),
        _element("Size", len(stored.body or b"")),
        "<StorageClass>STANDARD</StorageClass>",
    )
    return f"<Contents>{''.join(fields)}</Contents>"


def _element(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"
