"""Batch inference with OpenAI's API, for requests that carry images by reference."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pronk.client import AsyncClient, Client, run

__all__ = ["AsyncClient", "Client", "__version__", "run"]
__version__ = version("pronk")


def __getattr__(name: str) -> Any:
    """Import the client only for those who use it."""
    if name in {"AsyncClient", "Client", "run"}:
        return getattr(import_module("pronk.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
