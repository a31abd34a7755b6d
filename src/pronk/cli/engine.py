"""``pronk engine``: the bundled engine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pronk.cli.flags import new_app
from pronk.domain.errors import SettingsError
from pronk.engines.bundled import EngineOptions, main

app = new_app(
    "engine",
    """
pronk engine
pronk engine ./Qwen2-VL-2B-Instruct-int4-ov --port 8001
""",
)


@app.default
def engine(
    model: Annotated[
        Path | None, Parameter(help="Folder of a model in OpenVINO's form. [the one that comes with pronk]")
    ] = None,
    /,
    *,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes a free one.")] = 8001,
    served_model_name: Annotated[
        str | None, Parameter(help="Name that requests use. [the folder's name]")
    ] = None,
    allowed_local_media_path: Annotated[
        Path | None, Parameter(help="Folder below which file:// pictures may be read.")
    ] = None,
) -> int:
    """Start the bundled OpenAI-compatible engine alone, with the small model of pronk or with another."""
    if model is not None and not model.is_dir():
        raise SettingsError(f"{model} is not a folder; name the folder of a model in OpenVINO's form")
    options = EngineOptions(
        model_dir=model,
        host=host,
        port=port,
        served_model_name=served_model_name,
        allowed_local_media_path=allowed_local_media_path,
    )
    main(options)
    return 0
