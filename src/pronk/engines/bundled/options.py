"""How a bundled engine is started: its options with their defaults, and where its own model lies."""

import importlib.resources
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pronk.domain.errors import SettingsError

SHIPPED_NAME = "pronk-tiny"
Precision = Literal["auto", "f32", "bf16"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What one engine serves and how much it may take.

    `model_dir` None is the model that comes with pronk. `port` 0 takes a free one. `kv_blocks` blocks of 32 tokens
    are the KV cache. `precision` f32 makes answers the same on every processor. Sizes are bytes, times seconds.
    """

    model_dir: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8001
    served_model_name: str | None = None
    allowed_local_media_path: Path | None = None
    kv_blocks: int = 4096
    max_sequences: int = 256
    max_batched_tokens: int = 4096
    max_waiting: int = 4096
    max_waiting_bytes: int = 1 << 30
    max_body_bytes: int = 64 << 20
    max_picture_bytes: int = 50_000_000
    max_picture_pixels: int = 40_000_000
    decode_threads: int = 2
    prefix_caching: bool = False
    precision: Precision = "auto"
    schema_seconds: float = 2.0
    stall_seconds: float = 120.0
    grace_seconds: float = 30.0

    @property
    def folder(self) -> Path:
        return shipped_model() if self.model_dir is None else self.model_dir

    @property
    def name(self) -> str:
        if self.served_model_name is not None:
            return self.served_model_name
        return SHIPPED_NAME if self.model_dir is None else self.model_dir.resolve().name


def shipped_model() -> Path:
    """The folder of the model that comes with pronk."""
    return Path(str(importlib.resources.files("pronk.engines.bundled"))) / "model" / "openvino"


def require_runtime() -> None:
    """Raises `SettingsError` when what the engine runs on is not installed."""
    if importlib.util.find_spec("openvino_genai") is None:
        raise SettingsError("the bundled engine is not installed; run: pip install 'pronk[bundled]'")
