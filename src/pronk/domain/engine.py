"""A pool of engine replicas, as the operator describes it."""

from __future__ import annotations

from typing import Literal

import msgspec


class EngineSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[engines.NAME]`` table. Exactly one of `urls` (base URLs ending in ``/v1``) and `launch` is set.

    `launch` is a preset (vllm, sglang, llama-server, bundled) or a command with ``{model}``, ``{port}`` and
    ``{media_dir}``. `request_timeout` is seconds for one answer. `kind` says what the engine understands beyond OpenAI's API:
    ``vllm`` takes a ``uuid`` on pictures, by which it knows them again. `reads_files` says that it runs on this machine and
    may read the folder that ``{media_dir}`` stands for; a launched engine that was given it does. Of `max_in_flight` batches leave `reserve_for_now`
    to requests that are answered at once; auto is a twentieth. On a cluster there are `replicas` to `max_replicas`, by backlog.
    """

    name: str = "default"
    urls: tuple[str, ...] = ()
    launch: str | None = None
    kind: Literal["openai", "vllm"] = "openai"
    reads_files: bool = False
    model: str | None = None
    replicas: int = 1
    max_replicas: int = 0
    gpus: int = 0
    api_key_env: str | None = None
    max_in_flight: int | Literal["auto"] = "auto"
    reserve_for_now: int | Literal["auto"] = "auto"
    request_timeout: float = 600.0
    max_tries: int = 6
