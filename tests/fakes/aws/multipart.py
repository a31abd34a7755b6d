"""Uploads in parts, and bodies that come in signed chunks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from tests.fakes.aws.buckets import Bucket
from tests.fakes.aws.refusals import RefusedError
from tests.fakes.http1 import Reply, Request

_PART = re.compile(rb"<Part>.*?</Part>", re.DOTALL)
_NUMBER = re.compile(rb"<PartNumber>(\d+)</PartNumber>")
_ETAG = re.compile(rb"<ETag>(?:&quot;|&#34;|\")?([0-9a-f]+)")


def body_of(request: Request) -> bytes:
    """Return what the client stores: the body without the chunk framing of a streaming upload."""
    if not request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        return request.body
    body, rest = b"", request.body
    while rest:
        head, _, rest = rest.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        body, rest = body + rest[:size], rest[size + 2 :]
    return body


def create(bucket: Bucket, key: str) -> Reply:
    """Begin an upload."""
    upload_id = hashlib.sha256(f"{key}{len(bucket.uploads)}".encode()).hexdigest()[:32]
    bucket.uploads[upload_id] = {}
    body = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
    return Reply(200, body=body.encode())


def upload_part(bucket: Bucket, request: Request, query: Mapping[str, str]) -> Reply:
    """Keep one part."""
    body = body_of(request)
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    _parts(bucket, query)[int(query["partNumber"])] = (etag, body)
    return Reply(200, (("etag", f'"{etag}"'),))


def complete(bucket: Bucket, request: Request, key: str, query: Mapping[str, str]) -> Reply:
    """Join the named parts. Raises RefusedError for one that was not sent."""
    parts = _parts(bucket, query)
    named = [_number_and_etag(part) for part in _PART.findall(request.body)]
    if any(parts.get(number, ("", b""))[0] != etag for number, etag in named):
        raise RefusedError("InvalidPart", "One or more of the specified parts could not be found.")
    stored = bucket.put(key, b"".join(parts[number][1] for number, _ in named))
    del bucket.uploads[query["uploadId"]]
    body = f"<CompleteMultipartUploadResult><ETag>{stored.etag}</ETag></CompleteMultipartUploadResult>"
    return Reply(200, body=body.encode())


def abort(bucket: Bucket, query: Mapping[str, str]) -> Reply:
    """Forget an upload."""
    _parts(bucket, query)
    del bucket.uploads[query["uploadId"]]
    return Reply(204)


def _number_and_etag(part: bytes) -> tuple[int, str]:
    number, etag = _NUMBER.search(part), _ETAG.search(part)
    if number is None or etag is None:
        raise RefusedError("InvalidPart", "One or more of the specified parts could not be found.")
    return int(number[1]), etag[1].decode()


def _parts(bucket: Bucket, query: Mapping[str, str]) -> dict[int, tuple[str, bytes]]:
    parts = bucket.uploads.get(query["uploadId"])
    if parts is None:
        raise RefusedError("NoSuchUpload", "The specified upload does not exist.")
    return parts
