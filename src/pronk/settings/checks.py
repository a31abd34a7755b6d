"""Engine pools and jobs from their tables, and the rules that hold between settings."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from pronk.domain.engine import EngineSpec
from pronk.domain.errors import SettingsError
from pronk.domain.ids import JobId
from pronk.domain.job import DEFAULT_JOB, Job
from pronk.domain.window import window_seconds
from pronk.settings.tree import Settings
from pronk.settings.values import Given, read_table

PRESETS: Final = ("bundled", "vllm", "sglang", "llama-server")
STORAGE_SCHEMES: Final = ("file", "s3", "gs", "az")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def read_engines(default: EngineSpec | None, given: Given | None) -> dict[str, EngineSpec]:
    """Return the pools by name. `default` comes from flags or variables and outweighs ``[engines.default]``.

    With none at all it is the bundled engine. Raises SettingsError.
    """
    tables = {} if given is None else _named_tables(given)
    engines = {name: _read_engine(name, table) for name, table in tables.items()}
    if default is not None or not engines:
        engines["default"] = default or EngineSpec(launch="bundled")
    return engines


def read_jobs(given: Given | None, engines: Mapping[str, EngineSpec]) -> dict[str, Job]:
    """Return the jobs by id. Without any there is `DEFAULT_JOB`, provided that one pool can be meant.

    Raises SettingsError.
    """
    tables = {} if given is None else _named_tables(given)
    if not tables:
        return {DEFAULT_JOB: Job(id=DEFAULT_JOB, engine=_only_pool(engines))}
    jobs = (_read_job(name, table, engines) for name, table in tables.items())
    return {job.id: job for job in jobs}


def check(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise SettingsError for what only shows when settings are seen together, or by their meaning."""
    if settings.heartbeat_seconds * 3 > settings.lease_seconds:
        raise SettingsError(
            f"lease_seconds is {settings.lease_seconds:g}; it must be three times heartbeat_seconds "
            f"({settings.heartbeat_seconds:g}) or more, so that one lost heartbeat costs no work"
        )
    if settings.cluster_max_workers < settings.cluster_min_workers:
        raise SettingsError(
            f"cluster_max_workers is {settings.cluster_max_workers}; it must be at least cluster_min_workers "
            f"({settings.cluster_min_workers})"
        )
    _check_places(settings)
    _check_web(settings)
    _check_door(settings)
    _check_traces(settings.traces_endpoint)
    for name, spec in settings.engines.items():
        if spec.api_key_env and not environ.get(spec.api_key_env):
            raise SettingsError(
                f"engines.{name}.api_key_env names {spec.api_key_env}, which is not set; export it first"
            )


def _named_tables(given: Given) -> dict[str, Given]:
    for name in given.table():
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{given.inside(name)}: a name has only letters, digits, '.', '_' and '-'")
    return {name: given.member(name) for name in given.table()}


def _read_engine(name: str, given: Given) -> EngineSpec:
    spec = read_table(given, EngineSpec, name=name)
    if bool(spec.urls) == (spec.launch is not None):
        raise SettingsError(f"{given.place} needs urls or launch, one of both")
    return checked_engine(spec, given.inside("urls"), given.inside("launch"))


def checked_engine(spec: EngineSpec, urls: str, launch: str) -> EngineSpec:
    """Return the pool with its URLs in one form. `urls` and `launch` are the places that gave them.

    Raises SettingsError.
    """
    if spec.launch is None:
        return msgspec.structs.replace(spec, urls=tuple(_engine_url(url, urls) for url in spec.urls))
    is_command = " " in spec.launch
    if not is_command and spec.launch not in PRESETS:
        raise SettingsError(
            f"{launch} is {spec.launch!r}; it must be one of {', '.join(PRESETS)}, "
            "or a command such as 'vllm serve {model} --port {port}'"
        )
    if is_command and "{port}" not in spec.launch:
        raise SettingsError(f"{launch}: the command must have {{port}} where the engine's port stands")
    if spec.model is None and (spec.launch != "bundled") and (not is_command or "{model}" in spec.launch):
        raise SettingsError(
            f"{launch} {spec.launch!r} needs a model: name one with --model or the pool's 'model'"
        )
    return spec


def _engine_url(text: str, place: str) -> str:
    right = "a base URL such as http://gpu-1:8000/v1"
    url = split_url(text)
    if url is None or url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise Given(text, place).wrong(right)
    path = url.path.rstrip("/") or "/v1"
    if not path.endswith("/v1"):
        raise Given(text, place).wrong(f"{right}, ending in /v1")
    return url._replace(path=path).geturl()


def split_url(text: str) -> SplitResult | None:
    """Return the parts of a URL, None when it is none."""
    try:
        url = urlsplit(text)
        url.port  # noqa: B018 - reading it checks it
    except ValueError:
        return None
    return url


def _only_pool(engines: Mapping[str, EngineSpec]) -> str:
    if "default" in engines:
        return "default"
    if len(engines) > 1:
        raise SettingsError(
            f"there are the engines {', '.join(engines)} and no jobs; write a [jobs.NAME] with its engine for each"
        )
    return next(iter(engines))


def _read_job(name: str, given: Given, engines: Mapping[str, EngineSpec]) -> Job:
    if name.startswith("job-"):
        bare = name.removeprefix("job-")
        raise SettingsError(f"{given.place}: write [jobs.{bare}]; the job's id is then {name}")
    job = read_table(given, Job, id=JobId(f"job-{name}"), output_of_others=True)
    if "engine" not in given.table():
        job = msgspec.structs.replace(job, engine=_pool_of(given, engines))
    if job.engine not in engines:
        raise Given(job.engine, given.inside("engine")).wrong(f"one of the engines: {', '.join(engines)}")
    if job.completion_window is not None:
        _check_window(Given(job.completion_window, given.inside("completion_window")))
    if job.output is not None:
        _check_storage(Given(job.output, given.inside("output")))
    return job


def _pool_of(given: Given, engines: Mapping[str, EngineSpec]) -> str:
    if "default" not in engines and len(engines) > 1:
        raise SettingsError(f"{given.inside('engine')} is missing; it must be one of {', '.join(engines)}")
    return "default" if "default" in engines else next(iter(engines))


def _check_window(given: Given) -> None:
    try:
        window_seconds(str(given.value))
    except ValueError as error:
        raise SettingsError(f"{given.place}: {error}") from error


def _check_storage(given: Given) -> None:
    url = split_url(str(given.value))
    is_whole = url is not None and bool(
        url.path.strip("/") and not url.netloc if url.scheme == "file" else url.netloc
    )
    if url is None or url.scheme not in STORAGE_SCHEMES or not is_whole:
        raise given.wrong("file:///PATH, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")


def _check_places(settings: Settings) -> None:
    _check_storage(Given(settings.storage, "storage"))
    if not settings.database.reveal().startswith(("sqlite:///", "postgresql://")):
        raise SettingsError("database must be sqlite:///PATH or postgresql://user:password@host/name")
    for number, rule in enumerate(settings.buckets):
        url = split_url(rule.endpoint) if rule.endpoint else None
        if rule.endpoint and (url is None or url.scheme not in {"http", "https"} or not url.hostname):
            raise Given(rule.endpoint, f"buckets[{number}].endpoint").wrong(
                "a URL such as https://minio.example.org"
            )


def _check_web(settings: Settings) -> None:
    for text in settings.web.allow_private:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise Given(text, "web.allow_private").wrong("a network such as 10.1.0.0/16") from error
    if settings.web.ca_file is not None:
        try:
            ssl.create_default_context(cafile=settings.web.ca_file)
        except OSError as error:
            raise Given(settings.web.ca_file, "web.ca_file").wrong(
                "a readable PEM file of certificates"
            ) from error


def _check_traces(endpoint: str) -> None:
    if endpoint and (urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname):
        raise Given(endpoint, "traces_endpoint").wrong("a URL such as http://collector:4318")


def _check_door(settings: Settings) -> None:
    for text in settings.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise Given(text, "trusted_proxies").wrong("an address or network such as 10.1.0.0/16") from error
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing = "tls_key" if settings.tls_key is None else "tls_cert"
        raise SettingsError(f"{missing} is missing; tls_cert and tls_key go together")
