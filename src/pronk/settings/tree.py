"""Every setting of the server, once: name, type, range, default and what it means.

Flags, ``PRONK_…`` variables, the TOML file and ``docs/reference.md`` are all made from `Settings`.
Names ending in ``_bytes`` also take sizes such as ``20MB`` (thousands) or ``64MiB`` (1024s).
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.engine import EngineSpec
from pronk.domain.errors import SettingsError
from pronk.domain.job import Job
from pronk.domain.project import Limits
from pronk.settings.secret import Secret

MIB = 2**20


def _about(text: str, *, ge: float | None = None, gt: float | None = None, le: float | None = None) -> Meta:
    ranges: dict[str, Any] = {"ge": ge, "gt": gt, "le": le}
    meta: Meta = Meta(description=text, **ranges)
    return meta


def default_workers() -> int:
    """Return one worker less than there are usable cores, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, complete and checked: paths are absolute, `database` and `storage` are set.

    `engines` maps a pool's name to its description, `jobs` a job's id (``job-NAME``) to the job.
    """

    host: Annotated[
        str, _about("Address to listen on; beyond this machine only with keys, or with allow_anonymous.")
    ] = "127.0.0.1"
    port: Annotated[int, _about("Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 8000
    data_dir: Annotated[Path, _about("Folder of everything that is kept on this machine.")] = Path(
        "pronk-data"
    )
    database: Annotated[
        Secret,
        _about("sqlite:///PATH (default: pronk.db in data_dir) or postgresql://… for more than one machine."),
    ] = Secret("")
    storage: Annotated[
        str,
        _about(
            "Where files lie: file:///PATH (default: blobs in data_dir), s3://bucket/prefix, gs://… or az://…"
        ),
    ] = ""
    workers: Annotated[
        int,
        _about("Worker processes of pronk serve; 0 starts none. Default: cores minus one.", ge=0, le=1024),
    ] = msgspec.field(default_factory=default_workers)
    allow_anonymous: Annotated[
        bool, _about("Let anybody who reaches the port use the default project without a key.")
    ] = False
    tls_cert: Annotated[
        Path | None, _about("File with the server's certificate and its chain (PEM): speak HTTPS.")
    ] = None
    tls_key: Annotated[Path | None, _about("File with the certificate's private key (PEM).")] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        _about("Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _about("Least severe line that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "console", "json"], _about("auto: lines for people on a terminal, JSON otherwise.")
    ] = "auto"

    traces_endpoint: Annotated[
        str,
        _about(
            "OTLP collector that traces are sent to over HTTP, such as http://collector:4318; that of the OTEL_… "
            "variables when absent, and none without those."
        ),
    ] = ""
    traces_ratio: Annotated[
        float,
        _about(
            "Share of request lines and API calls that are traced; a caller's own decision is kept.",
            ge=0,
            le=1,
        ),
    ] = 0.01

    max_file_bytes: Annotated[int, _about("Largest file of purpose batch.", ge=1)] = 200_000_000
    max_lines: Annotated[int, _about("Most requests in one file.", ge=1)] = 50_000
    max_line_bytes: Annotated[int, _about("Longest line of a file.", ge=1024)] = 32_000_000
    max_embedding_inputs: Annotated[int, _about("Most embedding inputs in one file.", ge=1)] = 50_000
    file_retention_days: Annotated[int, _about("Days until a result file expires; 0 keeps it.", ge=0)] = 30

    check_seconds: Annotated[
        float, _about("Seconds after which a check asked for over HTTP is given up.", gt=0)
    ] = 600.0

    allow_project_jobs: Annotated[
        bool,
        _about(
            "Let projects besides the default one make jobs over HTTP, which may read whatever the server's role may."
        ),
    ] = True
    max_stored_bytes: Annotated[
        int, _about("Files that a project without a limit of its own may store; 0 sets no limit.", ge=0)
    ] = 0
    max_live_batches: Annotated[
        int, _about("Batches that such a project may have that have not ended; 0 sets no limit.", ge=0)
    ] = 0
    max_queued_requests: Annotated[
        int, _about("Request lines of such a project that may wait for their result; 0 sets no limit.", ge=0)
    ] = 0
    max_requests_per_minute: Annotated[
        int, _about("Requests to the API that such a project may make a minute; 0 sets no limit.", ge=0)
    ] = 0
    max_uploads_per_minute: Annotated[
        int, _about("Files and parts that such a project may upload a minute; 0 sets no limit.", ge=0)
    ] = 0
    max_tokens_per_day: Annotated[
        int, _about("Tokens after which such a project starts nothing new that day; 0 sets no limit.", ge=0)
    ] = 0
    audit_retention_days: Annotated[
        int, _about("Days until the audit log forgets an event; 0 keeps it.", ge=0)
    ] = 365

    lease_seconds: Annotated[
        float, _about("Silence after which another worker takes over a worker's shard.", gt=0)
    ] = 27.0
    heartbeat_seconds: Annotated[
        float, _about("How often a worker says that it lives and hears of cancelled batches.", gt=0)
    ] = 2.0
    flush_seconds: Annotated[float, _about("Longest time until a result is written down.", gt=0)] = 1.0
    flush_bytes: Annotated[
        int, _about("Results that are written down before flush_seconds are over.", ge=1)
    ] = MIB
    shutdown_grace_seconds: Annotated[
        float, _about("Time that running requests get to finish when the server is stopped.", ge=0)
    ] = 30.0
    request_max_tries: Annotated[
        int, _about("Tries of one request, the first one counted, where its engine does not say.", ge=1)
    ] = 6

    prefetch_bytes: Annotated[int, _about("Pictures that one worker holds ahead of the engine.", ge=MIB)] = (
        64 * MIB
    )
    fetch_concurrency: Annotated[int, _about("Pictures that one worker fetches at once.", ge=1, le=4096)] = (
        128
    )
    cache_memory_bytes: Annotated[int, _about("Pictures that one worker remembers in memory.", ge=0)] = (
        128 * MIB
    )
    cache_disk_bytes: Annotated[int, _about("Pictures that are remembered on disk, in data_dir.", ge=0)] = (
        1024 * MIB
    )
    import_allow: Annotated[
        tuple[str, ...],
        _about(
            "Globs of objects that may be imported as files; when absent, what a job of the caller may read."
        ),
    ] = ()
    output_allow: Annotated[
        tuple[str, ...],
        _about(
            "Globs of folders into which jobs made over HTTP may have result files copied; none when absent."
        ),
    ] = ()
    home_region: Annotated[
        str, _about("Region that the server runs in; that of the AWS settings when absent.")
    ] = ""
    cross_region_price_per_gb: Annotated[
        float, _about("US dollars for a gigabyte that is read from another region, for preflights.", ge=0)
    ] = 0.02

    on_cluster: Annotated[
        bool,
        _about(
            "Workers, and engines that are to be launched, run on a Ray cluster (pronk cluster up): pronk serve starts neither."
        ),
    ] = False
    cluster_min_workers: Annotated[
        int, _about("Fewest workers on a Ray cluster, besides those next to engines.", ge=1)
    ] = 1
    cluster_max_workers: Annotated[int, _about("Most of them.", ge=1)] = 8
    cluster_worker_cpus: Annotated[
        float, _about("CPUs that Ray sets aside for each worker or engine replica.", ge=0)
    ] = 1.0
    cluster_worker_shards: Annotated[
        int, _about("Shards (16 to 500 lines) that wait or run for each worker; more start another.", ge=1)
    ] = 20
    cluster_replica_shards: Annotated[
        int, _about("Shards that wait or run for each engine replica; more start another.", ge=1)
    ] = 100
    cluster_calm_seconds: Annotated[
        float, _about("Time for which fewer have to be enough before workers or replicas are ended.", ge=0)
    ] = 300.0

    engines: dict[str, EngineSpec] = {}
    jobs: dict[str, Job] = {}
    buckets: tuple[BucketRule, ...] = ()
    web: WebRules = WebRules()

    def to_json(self) -> bytes:
        """Return the settings as one line, for a process that is to have the same ones.

        It holds the database's password: hand it over on a pipe, never in arguments or files.
        """
        return msgspec.json.encode(self, enc_hook=_encode)

    @classmethod
    def from_json(cls, line: bytes) -> Settings:
        """Return the settings that `to_json` wrote. Raises SettingsError when the line is not that."""
        try:
            return msgspec.json.decode(line, type=cls, dec_hook=_decode)
        except msgspec.DecodeError as error:
            raise SettingsError(f"the settings handed to this process cannot be read: {error}") from error

    def engine_key(self, name: str) -> Secret | None:
        """Return the API key of an engine pool, read from the variable that its `api_key_env` names.

        Raises SettingsError when that variable is not set.
        """
        variable = self.engines[name].api_key_env
        if variable is None:
            return None
        key = os.environ.get(variable)
        if not key:
            raise SettingsError(
                f"engines.{name}.api_key_env names {variable}, which is not set; export it first"
            )
        return Secret(key)

    @property
    def limits(self) -> Limits:
        """The limits of projects that have none of their own."""
        return Limits(**{name: getattr(self, name) for name in Limits.__struct_fields__})

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check_binding(self, *, has_keys: bool) -> None:
        """Raise SettingsError when strangers could reach a server that asks nobody for a key."""
        if has_keys or self.allow_anonymous or self.is_local:
            return
        raise SettingsError(
            f"host {self.host!r} can be reached from other machines and the server has no keys; "
            "make one with `pronk keys create --scope admin`, keep to 127.0.0.1, or say that anybody may use it with "
            "--allow-anonymous"
        )


def _encode(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _decode(kind: type, value: Any) -> object:
    return kind(value)
