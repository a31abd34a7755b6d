"""A Python client for what OpenAI's SDK lacks: jobs, retry, preflight, results by page, export, waiting; and runs in this process."""

from pronk.client.aio import AsyncClient
from pronk.client.local import run
from pronk.client.sync import Client

__all__ = ["AsyncClient", "Client", "run"]
