"""The storage service: who may do what to which bucket, and the answer of each operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape, unescape

from tests.fakes.aws import multipart
from tests.fakes.aws.buckets import Bucket, Stored
from tests.fakes.aws.listing import list_objects
from tests.fakes.aws.refusals import RefusedError
from tests.fakes.aws.sigv4 import Signed
from tests.fakes.http1 import Reply, Request

_DATE = ("last-modified", "Mon, 02 Nov 2026 08:00:00 GMT")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about. `region` is the one its host name stands for, None for a host without one."""

    bucket: str
    key: str
    region: str | None
    query: Mapping[str, str]
    operation: str


def target_of(request: Request, bases: tuple[str, ...]) -> Target:
    """Read bucket and key from a path-style or a virtual-host request; `bases` are our own host names."""
    return _target_of(request.method, request.host.partition(":")[0], request.path, request.query, bases)


@lru_cache(maxsize=4096)
def _target_of(method: str, host: str, path: str, query: str, bases: tuple[str, ...]) -> Target:
    region, in_host = _read_host(host, bases)
    path = path.removeprefix("/")
    bucket, key = (in_host, path) if in_host else path.partition("/")[::2]
    fields = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    bucket, key = unquote(bucket), unquote(key)
    return Target(bucket, key, region, fields, _operation(method, bucket, key, fields))


def answer_s3(request: Request, target: Target, buckets: dict[str, Bucket], signed: Signed | None) -> Reply:
    """Return the answer of a storage operation. Raises RefusedError."""
    bucket = buckets.get(target.bucket)
    if bucket is None:
        raise RefusedError("NoSuchBucket", "The specified bucket does not exist")
    if target.operation == "HeadBucket" and signed is None:
        return _head_bucket_unsigned(bucket)
    if target.operation not in _OPERATIONS:
        raise RefusedError("MethodNotAllowed", "The specified method is not allowed against this resource.")
    _check_region(bucket, target, signed)
    _check_allowed(bucket, request, target, signed)
    return _OPERATIONS[target.operation](bucket, request, target)


def _read_host(name: str, bases: tuple[str, ...]) -> tuple[str | None, str]:
    if name.endswith(".amazonaws.com"):
        before, _, after = f".{name.removesuffix('.amazonaws.com')}".rpartition(".s3")
        return after.strip(".-") or "us-east-1", before.strip(".")
    for base in bases:
        if name.endswith(f".{base}"):
            return None, name.removesuffix(f".{base}")
    return None, ""


def _operation(method: str, bucket: str, key: str, query: Mapping[str, str]) -> str:
    if not bucket:
        return "ListBuckets"
    if not key:
        by_method = {"HEAD": "HeadBucket", "GET": "ListObjectsV2", "POST": "DeleteObjects"}
        return "GetBucketLocation" if "location" in query else by_method.get(method, method)
    if "uploadId" in query:
        return {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[
            method
        ]
    if "uploads" in query:
        return "CreateMultipartUpload"
    return f"{method.capitalize()}Object"


def _check_region(bucket: Bucket, target: Target, signed: Signed | None) -> None:
    where = (("x-amz-bucket-region", bucket.region),)
    asked = target.region or (signed.region if signed else bucket.region)
    if signed is not None and signed.region != asked:
        raise _malformed(signed.region, asked, ())
    if asked == bucket.region:
        return
    kind = bucket.wrong_region or ("malformed" if asked == "us-east-1" else "redirect")
    if signed is not None and kind == "malformed":
        raise _malformed(asked, bucket.region, where)
    details = {"Endpoint": f"{bucket.name}.s3.{bucket.region}.amazonaws.com", "Bucket": bucket.name}
    message = "The bucket you are attempting to access must be addressed using the specified endpoint."
    raise RefusedError("PermanentRedirect", message, details=details, headers=where)


def _malformed(asked: str, right: str, headers: tuple[tuple[str, str], ...]) -> RefusedError:
    message = f"The authorization header is malformed; the region '{asked}' is wrong; expecting '{right}'"
    return RefusedError("AuthorizationHeaderMalformed", message, details={"Region": right}, headers=headers)


def _check_allowed(bucket: Bucket, request: Request, target: Target, signed: Signed | None) -> None:
    expected = request.headers.get("x-amz-expected-bucket-owner", bucket.owner)
    payer = request.headers.get("x-amz-request-payer") or target.query.get("x-amz-request-payer")
    is_reader = signed is not None and signed.credential.principal in bucket.readers
    is_reading = target.operation in {"GetObject", "HeadObject", "HeadBucket", "ListObjectsV2"}
    if bucket.is_requester_pays and (payer != "requester" or signed is None):
        raise RefusedError("AccessDenied", "Access Denied. Bucket is Requester Pays bucket.")
    if expected != bucket.owner or not (is_reader or (bucket.is_public and is_reading)):
        raise RefusedError("AccessDenied", "Access Denied", headers=(("x-amz-bucket-region", bucket.region),))


def _head_bucket_unsigned(bucket: Bucket) -> Reply:
    status = bucket.head_status or (200 if bucket.is_public else 403)
    return Reply(status, (("x-amz-bucket-region", bucket.region), ("content-type", "application/xml")))


def _get(bucket: Bucket, request: Request, target: Target) -> Reply:
    stored = bucket.get(target.key, target.query.get("versionId"))
    body = stored.body or b""
    _check_conditions(request, stored)
    headers = _object_headers(stored)
    if "range" not in request.headers:
        return Reply(200, headers, body)
    start, end = _range(request.headers["range"], len(body))
    span = ("content-range", f"bytes {start}-{end - 1}/{len(body)}")
    return Reply(206, (*headers, span), body[start:end])


def _check_conditions(request: Request, stored: Stored) -> None:
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is not None and match not in {"*", stored.etag, stored.etag.strip('"')}:
        raise RefusedError(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
        )
    if none_match in {"*", stored.etag}:
        raise RefusedError("NotModified", headers=(("etag", stored.etag),))


def _object_headers(stored: Stored) -> tuple[tuple[str, str], ...]:
    version = () if stored.version_id == "null" else (("x-amz-version-id", stored.version_id),)
    kind = (("content-type", stored.content_type), ("accept-ranges", "bytes"))
    return (("etag", stored.etag), _DATE, *kind, *version)


def _range(header: str, length: int) -> tuple[int, int]:
    first, _, last = header.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, length - int(last))
    end = min(length, int(last) + 1) if first and last else length
    if start >= length or start >= end:
        raise RefusedError("InvalidRange", "The requested range is not satisfiable")
    return start, end


def _put(bucket: Bucket, request: Request, target: Target) -> Reply:
    if request.headers.get("if-none-match") == "*" and bucket.objects.get(target.key):
        raise RefusedError(
            "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
        )
    if "if-match" in request.headers:
        _check_conditions(request, bucket.get(target.key))
    kind = request.headers.get("content-type", "binary/octet-stream")
    stored = bucket.put(target.key, multipart.body_of(request), kind)
    return Reply(200, _object_headers(stored)[:1])


def _delete(bucket: Bucket, request: Request, target: Target) -> Reply:
    bucket.delete(target.key)
    return Reply(204)


def _delete_many(bucket: Bucket, request: Request, target: Target) -> Reply:
    keys = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", request.body.decode(), re.DOTALL)]
    for key in keys:
        bucket.delete(key)
    deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
    return Reply(200, body=f"<DeleteResult>{deleted}</DeleteResult>".encode())


def _location(bucket: Bucket, request: Request, target: Target) -> Reply:
    region = "" if bucket.region == "us-east-1" else bucket.region
    return Reply(200, body=f"<LocationConstraint>{region}</LocationConstraint>".encode())


def _head_bucket(bucket: Bucket, request: Request, target: Target) -> Reply:
    return Reply(200, (("x-amz-bucket-region", bucket.region),))


def _list(bucket: Bucket, request: Request, target: Target) -> Reply:
    return list_objects(bucket, target.query)


def _create(bucket: Bucket, request: Request, target: Target) -> Reply:
    return multipart.create(bucket, target.key)


def _upload_part(bucket: Bucket, request: Request, target: Target) -> Reply:
    return multipart.upload_part(bucket, request, target.query)


def _complete(bucket: Bucket, request: Request, target: Target) -> Reply:
    return multipart.complete(bucket, request, target.key, target.query)


def _abort(bucket: Bucket, request: Request, target: Target) -> Reply:
    return multipart.abort(bucket, target.query)


_OPERATIONS: dict[str, Callable[[Bucket, Request, Target], Reply]] = {
    "GetObject": _get,
    "HeadObject": _get,
    "PutObject": _put,
    "DeleteObject": _delete,
    "DeleteObjects": _delete_many,
    "HeadBucket": _head_bucket,
    "GetBucketLocation": _location,
    "ListObjectsV2": _list,
    "CreateMultipartUpload": _create,
    "UploadPart": _upload_part,
    "CompleteMultipartUpload": _complete,
    "AbortMultipartUpload": _abort,
}
