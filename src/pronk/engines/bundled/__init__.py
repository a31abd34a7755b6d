"""The bundled engine: a small OpenAI-compatible server that generates on the processor, several requests at a time.

`main` runs it. Importing this package loads neither the web server nor the inference library.
"""

from pronk.engines.bundled.options import SHIPPED_NAME, EngineOptions, require_runtime, shipped_model

__all__ = ["SHIPPED_NAME", "EngineOptions", "main", "shipped_model"]


def main(options: EngineOptions) -> None:
    """Serve until SIGTERM or SIGINT, printing `ready http://HOST:PORT/v1 model NAME` when requests are taken.

    Raises `SettingsError` with one line that says what to do when it cannot start.
    """
    require_runtime()
    from pronk.engines.bundled.server import run  # noqa: PLC0415

    run(options)
