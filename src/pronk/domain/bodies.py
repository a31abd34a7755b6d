"""A job's defaults put into a request body, without touching a byte of what is there."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pronk.domain.job import Job

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


Body = bytes | tuple[bytes, ...]
"""What an engine is sent: whole, or in pieces, so that megabytes need not be copied into one."""


def size_of(body: Body) -> int:
    """Return the bytes of a body."""
    return sum(map(len, body)) if isinstance(body, tuple) else len(body)


def defaults_of(job: Job) -> Mapping[str, msgspec.Raw]:
    """Return what a body of this job gets where it does not say otherwise: the job's model and its defaults."""
    if job.model is None:
        return job.defaults
    return {"model": msgspec.Raw(_encode(job.model)), **job.defaults}


def merge_defaults(body: bytes, defaults: Mapping[str, msgspec.Raw]) -> bytes:
    """Return the body with the members of `defaults` that it lacks, put before its last brace.

    A member that is there counts as set, whatever its value, null too. Raises msgspec.DecodeError or RecursionError
    when the body is not one JSON object.
    """
    if not defaults:
        return body
    members = _decode_members(body)
    lacking = [b"%b:%b" % (_encode(name), value) for name, value in defaults.items() if name not in members]
    if not lacking:
        return body
    end = body.rindex(b"}")
    return b"%b%b%b%b" % (body[:end], b"," if members else b"", b",".join(lacking), body[end:])
