"""Buckets and the objects in them, every version kept."""

from __future__ import annotations

import bisect
import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Literal

from tests.fakes.aws.refusals import RefusedError

OWNER = "111111111111"


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object; `body` None marks a deletion."""

    version_id: str
    body: bytes | None
    etag: str
    content_type: str


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A bucket. `readers` holds the principals that may use it; `is_public` lets anybody read without signing.

    `wrong_region` says which of the service's two answers a signature for another region gets; None is as at AWS:
    400 from the classic endpoint (us-east-1), 301 elsewhere. `head_status` is what an unsigned HEAD of it gets.
    """

    name: str
    region: str
    owner: str = OWNER
    readers: frozenset[str] = frozenset()
    is_public: bool = False
    is_requester_pays: bool = False
    is_versioned: bool = False
    is_listable: bool = True
    wrong_region: Literal["redirect", "malformed"] | None = None
    head_status: int | None = None
    objects: dict[str, list[Stored]] = field(default_factory=dict)
    uploads: dict[str, dict[int, tuple[str, bytes]]] = field(default_factory=dict)
    _keys: list[str] = field(default_factory=list)
    _next_version: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, key: str, body: bytes, content_type: str = "binary/octet-stream") -> Stored:
        """Store a new version and return it."""
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        return self._keep(key, Stored(self._version_id(), body, etag, content_type))

    def delete(self, key: str) -> Stored | None:
        """Delete the object: a mark on top of a versioned one, else for good."""
        if self.is_versioned:
            return self._keep(key, Stored(self._version_id(), None, "", ""))
        if self.objects.pop(key, None) is not None:
            self._keys.remove(key)
        return None

    def get(self, key: str, version_id: str | None = None) -> Stored:
        """Return the newest or the named version. Raises RefusedError."""
        versions = self.objects.get(key, [])
        wanted = versions[-1:] if version_id is None else [v for v in versions if v.version_id == version_id]
        if wanted and wanted[0].body is not None:
            return wanted[0]
        if wanted and version_id is not None:
            raise RefusedError(
                "MethodNotAllowed", "The specified method is not allowed against this resource."
            )
        if version_id is not None:
            raise RefusedError("NoSuchVersion", "The specified version does not exist.", details={"Key": key})
        if not self.is_listable:
            raise RefusedError("AccessDenied", "Access Denied")
        raise RefusedError("NoSuchKey", "The specified key does not exist.", details={"Key": key})

    def keys_after(self, after: str, prefix: str, most: int | None = None) -> list[str]:
        """Return live keys with `prefix` that sort after `after`, in order; of `most` keys at most."""
        start = max(bisect.bisect_right(self._keys, after), bisect.bisect_left(self._keys, prefix))
        following = self._keys[start : None if most is None else start + most]
        matching = itertools.takewhile(lambda key: key.startswith(prefix), following)
        return [key for key in matching if self.objects[key][-1].body is not None]

    def _keep(self, key: str, stored: Stored) -> Stored:
        if key not in self.objects:
            bisect.insort(self._keys, key)
            self.objects[key] = []
        if not self.is_versioned:
            self.objects[key].clear()
        self.objects[key].append(stored)
        return stored

    def _version_id(self) -> str:
        return f"v{next(self._next_version):06d}.x" if self.is_versioned else "null"
