"""Objects of S3, Google Cloud Storage and Azure: which region, endpoint and credentials, and one object store each."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

import anyio.to_thread
import msgspec

from pronk.domain.bucket import BucketRule
from pronk.domain.reference import Reference
from pronk.media.aws import Chain, Identity, Keys, Surroundings, presign_get, quote_key
from pronk.media.direct import Getter, Site, site_of
from pronk.media.fetched import (
    Ask,
    ExpiredKeysError,
    Fetched,
    FetchError,
    Glimpse,
    WrongRegionError,
)
from pronk.media.flight import Flights
from pronk.media.head import HEAD_BYTES
from pronk.media.keyring import KeyRing
from pronk.media.objects import AnyStore, Place, Wanted, look_at_object, open_store, read_object, sign_object
from pronk.media.policy import is_odd_key
from pronk.media.regions import RegionMemory, Regions
from pronk.media.signature import sign_get
from pronk.media.store_errors import error_of_status
from pronk.media.transport import Limits, Transport

T = TypeVar("T")
_MAX_OPEN = 256
_ERROR_BYTES = 4096
_DNS_NAME = re.compile(r"[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]")
_PLAIN = BucketRule(match="*")


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket ready to be used. `place`, `site` and `keys` are None where obstore finds them by itself."""

    store: AnyStore
    rule: BucketRule
    identity: Identity
    place: Place | None = None
    site: Site | None = None
    keys: Keys | None = None


class Buckets:
    """Every bucket that references name. The first rule whose `match` fits a bucket's name applies to it.

    `clock` gives epoch seconds; `limits` are seconds for one try.
    """

    def __init__(
        self,
        rules: Sequence[BucketRule],
        transport: Transport,
        getter: Getter,
        *,
        memory: RegionMemory,
        clock: Callable[[], float],
        limits: Limits,
        chain: Chain | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._transport = transport
        self._getter = getter
        self._chain = chain or Chain()
        self._regions = Regions(transport, memory)
        self._keyring = KeyRing(self._chain, clock)
        self._clock = clock
        self._limits = limits
        self._surroundings: dict[str | None, Surroundings] = {}
        self._opened: OrderedDict[tuple[str, str], Open] = OrderedDict()
        self._flights: Flights[tuple[str, str], Open] = Flights()

    def name(self, reference: Reference) -> str:
        """Return what the reference is called in caches: itself, whichever pages it asks for."""
        return reference.name

    def lane(self, reference: Reference) -> str:
        """Return what shares a limit of fetches: the bucket."""
        return f"{reference.scheme}://{reference.bucket}"

    def identity(self, reference: Reference) -> Identity:
        """Return whose credentials read this reference; part of every cache key."""
        return _identity(self._rule(reference.bucket))

    async def check(self, reference: Reference) -> None:
        """Nothing: what the policy allows may be asked for."""

    async def get(self, reference: Reference, ask: Ask) -> Fetched | None:
        """Read one object in one try; None if it is still the one that `ask.etag` names.

        A region that turns out wrong is looked up once more, expired credentials are renewed once. Raises FetchError,
        TransientError, or what `ask.admit` raises.
        """
        return await self.served(reference, lambda opened: self._read(opened, reference, ask))

    async def look(self, reference: Reference, ask: Ask) -> Glimpse:  # noqa: ARG002  # a source's signature
        """Read the beginning of one object in one try. Raises FetchError or TransientError."""
        return await self.served(reference, lambda opened: self._look(opened, reference))

    async def home_region(self) -> str:
        """Return the region that the standard AWS settings name."""
        return (await self._surroundings_of(None)).region

    async def served(self, reference: Reference, use: Callable[[Open], Awaitable[T]]) -> T:
        """Return what `use` makes of the reference's bucket, tried once more where region or credentials were wrong."""
        opened = await self._open(reference)
        try:
            return await use(opened)
        except WrongRegionError as error:
            opened = await self._move(opened, reference, error.right)
        except ExpiredKeysError:
            opened = await self._renew(opened, reference)
        try:
            return await use(opened)
        except WrongRegionError as error:
            raise FetchError(
                "fetch_failed", "cannot be read: its store names no region for the bucket"
            ) from error
        except ExpiredKeysError as error:
            raise FetchError(
                "access_denied", "cannot be read: the server's credentials have expired"
            ) from error

    async def presign(self, reference: Reference, seconds: int) -> str:
        """Return a URL by which anybody can read the object for `seconds`, or as long as the credentials last."""
        opened = await self._open(reference)
        if opened.place is None:
            if is_odd_key(reference.key):
                raise odd(reference)
            return await sign_object(opened.store, reference.key, seconds)
        url = object_url(opened.place, reference)
        if opened.keys is None:
            return url
        if opened.rule.requester_pays:
            url += "&x-amz-request-payer=requester" if "?" in url else "?x-amz-request-payer=requester"
        return presign_get(url, opened.keys, opened.place.region, seconds)

    async def _open(self, reference: Reference) -> Open:
        name = (reference.scheme, reference.bucket)
        opened = self._opened.get(name)
        if opened is not None and (opened.keys is None or self._keyring.find(opened.identity) is opened.keys):
            self._opened.move_to_end(name)
            return opened
        opened, _ = await self._flights.run(name, lambda: self._open_anew(reference))
        return opened

    async def _open_anew(self, reference: Reference) -> Open:
        rule = self._rule(reference.bucket)
        if reference.scheme == "s3":
            place = await self._place(reference.bucket, rule)
            keys = None if rule.anonymous else await self._keyring.get(_identity(rule))
            return await self._keep(reference, rule, place, keys)
        return await self._keep(reference, rule, None, None)

    async def _keep(
        self, reference: Reference, rule: BucketRule, place: Place | None, keys: Keys | None
    ) -> Open:
        name = (reference.scheme, reference.bucket)
        wanted = Wanted(scheme=reference.scheme, bucket=reference.bucket, rule=rule, place=place, keys=keys)
        store = await anyio.to_thread.run_sync(open_store, wanted, self._limits)
        site = site_of(place.root()) if place is not None else None
        opened = Open(store=store, rule=rule, identity=_identity(rule), place=place, site=site, keys=keys)
        self._opened[name] = opened
        if len(self._opened) > _MAX_OPEN:
            self._opened.popitem(last=False)
        return opened

    async def _place(
        self, bucket: str, rule: BucketRule, wrong: str | None = None, right: str | None = None
    ) -> Place:
        here = await self._surroundings_of(rule.profile)
        own = rule.endpoint or here.endpoint
        base = (own or await self._aws_endpoint(here.region, rule.profile)).rstrip("/")
        name, url = f"{own}/{bucket}" if own else bucket, f"{base}/{bucket}"
        if wrong is not None:
            region = await self._regions.correct(name, url, wrong, right)
        else:
            region = rule.region or await self._regions.get(name, url, here.region)
        if own is None and region != here.region:
            base = await self._aws_endpoint(region, rule.profile)
        return Place(bucket=bucket, base=base, region=region, virtual=_is_virtual(bucket, rule, own))

    async def _surroundings_of(self, profile: str | None) -> Surroundings:
        found = self._surroundings.get(profile)
        if found is None:
            found = self._surroundings[profile] = await anyio.to_thread.run_sync(
                self._chain.surroundings, profile
            )
        return found

    async def _aws_endpoint(self, region: str, profile: str | None) -> str:
        return await anyio.to_thread.run_sync(self._chain.aws_endpoint, region, profile)

    async def _move(self, opened: Open, reference: Reference, right: str | None) -> Open:
        if opened.place is None:
            raise FetchError("fetch_failed", "cannot be read: its store sends the request elsewhere")
        name = (reference.scheme, reference.bucket)
        meanwhile = self._opened.get(name)
        if meanwhile is not None and meanwhile.place != opened.place:
            return meanwhile
        moved, _ = await self._flights.run(name, lambda: self._move_anew(opened, reference, right))
        return moved

    async def _move_anew(self, opened: Open, reference: Reference, right: str | None) -> Open:
        wrong = opened.place.region if opened.place is not None else None
        place = await self._place(reference.bucket, opened.rule, wrong=wrong, right=right)
        return await self._keep(reference, opened.rule, place, opened.keys)

    async def _renew(self, opened: Open, reference: Reference) -> Open:
        if opened.keys is not None:
            self._keyring.drop(opened.identity, opened.keys)
        return await self._open(reference)

    async def _read(self, opened: Open, reference: Reference, ask: Ask) -> Fetched | None:
        if opened.site is not None:
            return await self._read_directly(opened, opened.site, reference, ask)
        if is_odd_key(reference.key):
            raise odd(reference)
        return await read_object(opened.store, reference.key, reference.version, ask)

    async def _look(self, opened: Open, reference: Reference) -> Glimpse:
        region = opened.place.region if opened.place is not None else None
        if opened.place is None:
            if is_odd_key(reference.key):
                raise odd(reference)
            size, head = await look_at_object(opened.store, reference.key, reference.version)
            return Glimpse(size=size, head=head, region=region)
        url = object_url(opened.place, reference)
        reply = await self._transport.peek(url, signed_headers(opened, reference), HEAD_BYTES)
        if reply.status == 416:
            return Glimpse(size=0, head=b"", region=region)
        if reply.status not in {200, 206}:
            text = reply.body.decode("utf-8", "replace")
            raise error_of_status(reply.status, text, versioned=reference.version is not None)
        return Glimpse(size=reply.size, head=reply.body, region=region)

    async def _read_directly(
        self, opened: Open, site: Site, reference: Reference, ask: Ask
    ) -> Fetched | None:
        headers = signed_headers(opened, reference)
        if ask.etag is not None:
            headers["if-none-match"] = ask.etag
        got = await self._getter.get(site, f"{site.prefix}/{_target(reference)}", headers, ask)
        if got.status == 304:
            return None
        if got.status != 200:
            text = got.body[:_ERROR_BYTES].decode("utf-8", "replace")
            raise error_of_status(got.status, text, versioned=reference.version is not None)
        return Fetched(data=got.body, etag=got.etag)

    def _rule(self, bucket: str) -> BucketRule:
        return next((rule for rule in self._rules if fnmatchcase(bucket, rule.match)), _PLAIN)


def signed_headers(opened: Open, reference: Reference) -> dict[str, str]:
    """Return the headers of a GET of an object of S3: what its bucket's rule has sent, and the signature."""
    return headers_for(opened, _target(reference))


def headers_for(opened: Open, target: str) -> dict[str, str]:
    """Return the headers of a GET of `target`, path and query below a bucket of S3."""
    headers = {}
    if opened.rule.requester_pays:
        headers["x-amz-request-payer"] = "requester"
    if opened.rule.owner is not None:
        headers["x-amz-expected-bucket-owner"] = opened.rule.owner
    site, place, keys = opened.site, opened.place, opened.keys
    if site is None or place is None or keys is None:
        return headers
    return sign_get(site.host, f"{site.prefix}/{target}", keys, place.region, headers)


def _identity(rule: BucketRule) -> Identity:
    if rule.anonymous:
        return Identity(anonymous=True)
    return Identity(profile=rule.profile, role_arn=rule.role_arn, external_id=rule.external_id)


def _is_virtual(bucket: str, rule: BucketRule, own_endpoint: str | None) -> bool:
    if rule.addressing != "auto":
        return rule.addressing == "virtual"
    return own_endpoint is None and _DNS_NAME.fullmatch(bucket) is not None


def object_url(place: Place, reference: Reference) -> str:
    """Return the address of an object in a bucket of S3."""
    return f"{place.root()}/{_target(reference)}"


def _target(reference: Reference) -> str:
    """Return the key, and the version if one is named, as they stand in a URL."""
    version = f"?versionId={reference.version}" if reference.version is not None else ""
    return f"{quote_key(reference.key)}{version}"


def odd(reference: Reference) -> FetchError:
    """Return the failure of a key that only S3 takes as it stands."""
    return FetchError(
        "unsupported", f"has empty or dotted path segments, which are not served for {reference.scheme}://"
    )
