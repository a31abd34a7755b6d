"""What the members of ``[engines.NAME]``, ``[jobs.NAME]``, ``[[buckets]]`` and ``[web]`` mean, and their least values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect as shape

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.engine import EngineSpec
from pronk.domain.job import Job, MediaPolicy, Price


class About(NamedTuple):
    """One member: a sentence for people, and its least value where it is a number."""

    text: str
    least: float | None = None


MEMBERS: Final[Mapping[type, Mapping[str, About]]] = {
    EngineSpec: {
        "urls": About("Base URLs of engines that run already, each ending in /v1. Either this or launch."),
        "launch": About(
            "Engine to start: bundled, vllm, sglang, llama-server, or a command with {model}, {port}, {host} and {media_dir}."
        ),
        "kind": About(
            "vllm: pictures carry a uuid by which the engine knows them again; launch = vllm implies it."
        ),
        "reads_files": About(
            "The engine runs on this machine and may read cache/objects in data_dir: deliver = auto hands pictures over as "
            "files; implied for launched engines that are given {media_dir}."
        ),
        "model": About("Model that the launched engine serves."),
        "replicas": About("How many to launch; on a Ray cluster the fewest.", 1),
        "max_replicas": About(
            "On a Ray cluster, the most to launch when much waits; as replicas when smaller.", 0
        ),
        "gpus": About("GPUs of each launched replica.", 0),
        "api_key_env": About("Variable that holds the engine's API key."),
        "max_in_flight": About(
            "Requests in flight over all replicas and worker processes; auto finds the best number by itself.",
            1,
        ),
        "reserve_for_now": About(
            "Of those, how many batches leave free for requests that are answered at once; "
            "auto: a twentieth, at least one, and none of fewer than eight.",
            0,
        ),
        "request_timeout": About("Seconds that one answer may take.", 0.001),
        "max_tries": About("Tries of one request, the first one counted.", 1),
    },
    Job: {
        "model": About("Model that the lines of a batch must name; any when absent."),
        "engine": About("Pool that answers; may be left out where there is only one."),
        "use_case": About("What the job is for, in words."),
        "completion_window": About(
            "Window of batches that do not name one: unlimited, or such as 90m, 24h, 7d."
        ),
        "priority": About("Jobs of a higher priority go first; may be negative."),
        "defaults": About("Members put into the bodies that do not have them, such as temperature."),
        "price": About("US dollars for a million tokens: input_per_1m, output_per_1m, cached_input_per_1m."),
        "media": About("Which references the job may read."),
        "shared_with": About(
            "Ids of the projects that may use the job, such as proj_default; all when absent."
        ),
        "output": About("Folder, such as s3://bucket/prefix, that gets a copy of the result files."),
    },
    Price: {
        "input_per_1m": About("US dollars for a million input tokens.", 0),
        "output_per_1m": About("US dollars for a million output tokens.", 0),
        "cached_input_per_1m": About(
            "US dollars for a million cached input tokens; as input_per_1m when absent.", 0
        ),
    },
    MediaPolicy: {
        "allow": About(
            "Globs of references that may be read, such as s3://parts/*; all but http:// and file:// when absent."
        ),
        "deliver": About("How the engine gets a picture."),
        "max_bytes": About("Largest picture.", 1),
        "max_pixels": About("Most pixels of a picture.", 1),
        "max_references": About("Most references in one request.", 0),
        "resize_to_pixels": About(
            "Pictures with more pixels are made smaller; 0 never touches a picture.", 0
        ),
        "document_dpi": About("Dots per inch of the pages that are rendered from PDF documents.", 1),
    },
    BucketRule: {
        "match": About("Glob over bucket names; the first rule that fits applies."),
        "region": About("Region of the bucket; found by itself when absent."),
        "endpoint": About("URL of an S3-compatible store: MinIO, R2, Ceph."),
        "addressing": About("Where the bucket's name stands in URLs."),
        "role_arn": About("Role that is assumed to read the bucket."),
        "external_id": About("External id that the role asks for."),
        "profile": About("Profile of the AWS configuration files."),
        "anonymous": About("Read without credentials."),
        "requester_pays": About("Agree to pay for the requests."),
        "owner": About("Account id that the bucket must belong to."),
    },
    WebRules: {
        "allow_http": About("Also read http:// references, for jobs whose list names them."),
        "allow_private": About(
            "Networks such as 10.1.0.0/16 that may be reached although they are not public."
        ),
        "ports": About("Ports that may be reached.", 1),
        "max_redirects": About("Redirects that are followed, each one checked.", 0),
        "use_proxy": About("Go through the proxy that the environment names."),
        "ca_file": About("PEM file of authorities that are trusted besides those of the system."),
        "dns_timeout": About("Seconds for a name to be resolved.", 0.001),
        "connect_timeout": About("Seconds for a connection.", 0.001),
        "first_byte_timeout": About("Seconds until the first byte.", 0.001),
        "total_timeout": About("Seconds for the whole picture.", 0.001),
        "file_folders": About(
            "Folders below which file:// references are read, for jobs whose list names them."
        ),
    },
}


def members(kind: type[msgspec.Struct], *, but: frozenset[str] = frozenset()) -> dict[str, shape.Field]:
    """Return the members of a table by name, their least values set; `but` names those that the header says."""
    info = shape.type_info(kind)
    fields = info.fields if isinstance(info, shape.StructType) else ()
    return {
        field.name: _with_least(field, MEMBERS.get(kind, {})) for field in fields if field.name not in but
    }


def _with_least(field: shape.Field, known: Mapping[str, About]) -> shape.Field:
    about = known.get(field.name)
    if about is None or about.least is None:
        return field
    return msgspec.structs.replace(field, type=_at_least(field.type, about.least))


def _at_least(kind: shape.Type, least: float) -> shape.Type:
    match kind:
        case shape.IntType():
            return msgspec.structs.replace(kind, ge=int(least))
        case shape.FloatType():
            return msgspec.structs.replace(kind, ge=least)
        case shape.UnionType():
            return msgspec.structs.replace(kind, types=tuple(_at_least(part, least) for part in kind.types))
        case shape.VarTupleType():
            return msgspec.structs.replace(kind, item_type=_at_least(kind.item_type, least))
        case _:
            return kind


def text_of(field: shape.Field, table: type) -> str:
    """Return what a member means: from its own description, else from `MEMBERS` of `table`."""
    if isinstance(field.type, shape.Metadata):
        return str((field.type.extra_json_schema or {}).get("description", ""))
    return MEMBERS[table][field.name].text


def default_of(field: shape.Field) -> str:
    """Return a member's default as people would write it, empty when there is none worth showing."""
    value = field.default
    if not isinstance(value, str | int | float | tuple | Path) or value in ("", ()):
        return ""
    if field.name.endswith("_bytes") and isinstance(value, int):
        return _size(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(count: int) -> str:
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (10**9, "GB"), (10**6, "MB")):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)
