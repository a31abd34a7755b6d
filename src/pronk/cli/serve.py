"""``pronk serve``: the server."""

from __future__ import annotations

from pronk.cli.flags import new_app, with_settings
from pronk.settings import Settings

app = new_app(
    "serve",
    """
pronk serve
pronk serve --engine http://gpu-1:8000/v1 --engine http://gpu-2:8000/v1
pronk serve --model Qwen/Qwen3-VL-8B-Instruct --launch vllm
pronk serve --config pronk.toml
""",
)


@app.default
@with_settings()
def serve(settings: Settings) -> int:
    """Start the API and worker processes.

    Without --engine and without a file of settings it starts the small bundled engine. Every flag is also
    a variable (PRONK_PORT) and a key of the file (port); flags weigh most, then variables.
    """
    from pronk.app.serve import serve as run

    run(settings)
    return 0
