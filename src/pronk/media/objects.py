"""The obstore side of buckets: opens one store per bucket and reads from it, with errors turned into ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import obstore
from obstore.exceptions import (
    BaseError,
    NotModifiedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from pronk.domain.bucket import BucketRule
from pronk.domain.errors import PronkError
from pronk.media.aws import Keys
from pronk.media.fetched import Ask, Fetched, FetchError, TransientError, WrongRegionError, too_large
from pronk.media.head import HEAD_BYTES
from pronk.media.store_errors import error_of_status
from pronk.media.transport import Limits

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig

AnyStore = S3Store | GCSStore | AzureStore

_RETRIES: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=60)}
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")

_NO_PROXY: ClientConfig = {"proxy_url": "http://127.0.0.1:9", "proxy_excludes": "*,0.0.0.0/0,::/0"}
"""A proxy that is used for no host keeps the client from taking one out of the environment."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bucket is: `base` is the address of its service, `virtual` whether the bucket is part of the host name."""

    bucket: str
    base: str
    region: str
    virtual: bool

    def root(self) -> str:
        """Return the bucket's own address, without a slash at its end."""
        if not self.virtual:
            return f"{self.base}/{self.bucket}"
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Some bytes of an object, the size of all of it, and what names its version."""

    data: bytes
    size: int
    etag: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A store to open. `place` is set for S3 only; there `keys` None means that nothing is signed."""

    scheme: str
    bucket: str
    rule: BucketRule
    place: Place | None = None
    keys: Keys | None = None


def open_store(wanted: Wanted, limits: Limits) -> AnyStore:
    """Return the store of a bucket. Blocks for some milliseconds. Nothing is tried again inside."""
    client: ClientConfig = {
        "allow_http": True,
        "connect_timeout": timedelta(seconds=limits.connect),
        "read_timeout": timedelta(seconds=limits.first_byte),
        "timeout": timedelta(seconds=limits.total),
    }
    if not limits.use_proxy:
        client |= _NO_PROXY
    rule = wanted.rule
    if wanted.place is not None:
        return _s3_store(wanted.place, rule, wanted.keys, client)
    if wanted.scheme == "gs":
        google: GCSConfig = {"skip_signature": True} if rule.anonymous else {}
        return GCSStore(wanted.bucket, config=google, client_options=client, retry_config=_RETRIES)
    azure: AzureConfig = {"skip_signature": True} if rule.anonymous else {}
    if rule.endpoint:
        azure["endpoint"] = rule.endpoint
    return AzureStore(wanted.bucket, config=azure, client_options=client, retry_config=_RETRIES)


async def read_object(store: AnyStore, key: str, version: str | None, ask: Ask) -> Fetched | None:
    """Read one object with one GET; None if it is still the one that `ask.etag` names."""
    options: obstore.GetOptions = {}
    if version is not None:
        options["version"] = version
    if ask.etag is not None:
        options["if_none_match"] = ask.etag
    try:
        result = await obstore.get_async(store, key, options=options)
        meta = result.meta
        size = meta["size"]
        if size > ask.max_bytes:
            raise too_large(size, ask.max_bytes)
        ask.admit(size)
        data = (await result.bytes_async()).to_bytes()
    except NotModifiedError:
        return None
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise error_of_answer(error, versioned=version is not None) from error
    if len(data) != size:
        raise TransientError("the body broke off")
    return Fetched(data=data, etag=meta["e_tag"])


async def look_at_object(store: AnyStore, key: str, version: str | None) -> tuple[int, bytes]:
    """Return an object's size and its first bytes, with one GET."""
    options: obstore.GetOptions = {"range": (0, HEAD_BYTES)}
    if version is not None:
        options["version"] = version
    try:
        result = await obstore.get_async(store, key, options=options)
        return result.meta["size"], (await result.bytes_async()).to_bytes()
    except (BaseError, FileNotFoundError, ValueError) as error:
        if _status_of(error, str(error)) == 416:
            return 0, b""
        raise error_of_answer(error, versioned=version is not None) from error


async def read_span(
    store: AnyStore, key: str, version: str | None, wanted: tuple[int, int, str | None]
) -> Span:
    """Return bytes of an object from a start, as many as wanted and there, of the version with this ETag if one is named."""
    start, count, etag = wanted
    options: obstore.GetOptions = {"range": (start, start + count)}
    if version is not None:
        options["version"] = version
    if etag is not None:
        options["if_match"] = etag
    try:
        result = await obstore.get_async(store, key, options=options)
        data = (await result.bytes_async()).to_bytes()
    except (BaseError, FileNotFoundError, ValueError) as error:
        status = _status_of(error, str(error))
        if status == 416 and not start:
            return Span(data=b"", size=0, etag=None)
        if status == 412 or isinstance(error, PreconditionError):
            raise FetchError("fetch_failed", "was changed while it was read") from error
        raise error_of_answer(error, versioned=version is not None) from error
    if len(data) != min(count, result.meta["size"] - start):
        raise TransientError("the body broke off")
    return Span(data=data, size=result.meta["size"], etag=result.meta["e_tag"])


async def write_object(store: AnyStore, key: str, chunks: AsyncIterator[bytes]) -> None:
    """Store an object from a stream, in parts where it is large."""
    try:
        await obstore.put_async(store, key, chunks)
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise error_of_answer(error, versioned=False) from error


async def list_objects(store: AnyStore, prefix: str, after: str) -> AsyncIterator[tuple[str, int]]:
    """Yield key and size of the objects whose key begins with `prefix` and comes after `after`, in order."""
    folder = prefix.rpartition("/")[0]
    try:
        async for page in obstore.list(store, folder or None, offset=after or None, chunk_size=1000):
            for meta in page:
                if meta["path"].startswith(prefix):
                    yield meta["path"], meta["size"]
    except (BaseError, FileNotFoundError, ValueError) as error:
        raise error_of_answer(error, versioned=False) from error


async def sign_object(store: AnyStore, key: str, seconds: int) -> str:
    """Return a URL by which anybody can read the object for `seconds`."""
    return str(await obstore.sign_async(store, "GET", key, timedelta(seconds=seconds)))


def error_of_answer(error: Exception, *, versioned: bool) -> PronkError:
    """Return what obstore's exception means. Its own text names hosts and addresses and is only read, never shown."""
    if isinstance(error, ValueError):
        return FetchError("unsupported", "has a key that its store does not take")
    text = str(error).partition("\n\nDebug source:")[0]
    if "redirect without LOCATION" in text:
        return WrongRegionError("moved")
    status = _status_of(error, text)
    if status is None:
        return TransientError("the connection failed, broke off or took too long")
    return error_of_status(status, text, versioned=versioned)


def _status_of(error: Exception, text: str) -> int | None:
    found = _STATUS.search(text)
    if found:
        return int(found[1])
    if isinstance(error, FileNotFoundError):
        return 404
    return 403 if isinstance(error, PermissionDeniedError | UnauthenticatedError) else None


def _s3_store(place: Place, rule: BucketRule, keys: Keys | None, client: ClientConfig) -> S3Store:
    """Everything is said, because what is left out is filled from the environment, which may mean another bucket."""
    endpoint = place.root() if place.virtual else place.base
    return S3Store(
        place.bucket,
        config={
            "region": place.region,
            "endpoint": endpoint,
            "aws_endpoint_url_s3": endpoint,
            "virtual_hosted_style_request": place.virtual,
            "skip_signature": keys is None,
            "request_payer": rule.requester_pays,
        },
        client_options=client,
        retry_config=_RETRIES,
        credential_provider=None if keys is None else _provider(keys),  # type: ignore[arg-type]
    )


def _provider(keys: Keys) -> Callable[[], dict[str, str | None]]:
    answer = {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.token,
        "expires_at": None,
    }
    return lambda: answer
