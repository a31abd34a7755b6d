"""The same client for asynchronous code; it needs an event loop of asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio
import anyio.to_thread

from pronk.client import calls
from pronk.client.bars import Progress, tell
from pronk.client.calls import CHAT, TERMINAL, Call, Object
from pronk.client.gallery import Gallery
from pronk.client.sync import Client, Request
from pronk.domain.errors import UnavailableError


class AsyncClient:
    """One server; an asynchronous context manager. Methods are those of `Client`."""

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._settings = calls.settings_of(url, api_key)
        self._files = Client(self._settings.url, api_key)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=600.0)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._files.close()
        await self._session.close()

    @property
    def base_url(self) -> str:
        """The address for OpenAI's SDK."""
        return self._files.base_url

    async def upload(self, file: str | Path) -> Object:
        """Upload a file of requests."""
        return await anyio.to_thread.run_sync(self._files.upload, file)

    async def create(
        self,
        requests: str | Path | Iterable[Request],
        *,
        endpoint: str = CHAT,
        completion_window: str = "unlimited",
        **more: Any,
    ) -> Object:
        """Create a batch of a file, of the id of an uploaded one, or of requests."""
        return await self._ask(
            calls.create(await self._file_id(requests, endpoint), endpoint, completion_window, more)
        )

    async def get(self, batch_id: str) -> Object:
        """Return a batch."""
        return await self._ask(Call("GET", f"/v1/batches/{batch_id}"))

    async def cancel(self, batch_id: str) -> Object:
        """Cancel a batch."""
        return await self._ask(Call("POST", f"/v1/batches/{batch_id}/cancel"))

    async def retry(self, batch_id: str, **changes: Any) -> Object:
        """Make a batch of the lines that failed."""
        return await self._ask(calls.again(batch_id, "retry", changes))

    async def clone(self, batch_id: str, **changes: Any) -> Object:
        """Make a batch of the same file."""
        return await self._ask(calls.again(batch_id, "clone", changes))

    async def check(
        self,
        requests: str | Path | Iterable[Request],
        *,
        endpoint: str = CHAT,
        job_id: str | None = None,
    ) -> Object:
        """Say what would come of requests without running them."""
        return await self._ask(calls.check(await self._file_id(requests, endpoint), endpoint, job_id))

    async def results(self, batch_id: str, *, status: str | None = None) -> AsyncIterator[Object]:
        """Yield the result lines that there are, in input order, also while the batch runs."""
        after = None
        while True:
            page = await self._ask(calls.results(batch_id, after, status))
            for line in page["data"]:
                yield line
            after = page["last_id"]
            if not page["has_more"]:
                return

    async def wait(
        self,
        batch_id: str,
        *,
        progress: Progress | None = None,
        seconds: float = 1.0,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> Object:
        """Return a batch once it has ended, looking every few `seconds`; `progress` is a bar such as ``tqdm()`` or a function."""
        while True:
            batch = await self.get(batch_id)
            if progress is not None:
                tell(progress, batch)
            if batch["status"] in TERMINAL:
                return batch
            await sleep(seconds)

    async def show(self, batch_id: str, **which: Any) -> Gallery:
        """Return the first lines that have a result, for a notebook to show; arguments as of `Client.show`."""
        return await anyio.to_thread.run_sync(lambda: self._files.show(batch_id, **which))

    async def export(self, batch_id: str, target: str | Path) -> int:
        """Write results as a table; return how many rows."""
        return await anyio.to_thread.run_sync(self._files.export, batch_id, target)

    async def jobs(self) -> list[Object]:
        """Return the jobs."""
        found: list[Object] = (await self._ask(Call("GET", "/v1/jobs", {"limit": 100})))["data"]
        return found

    async def create_job(self, **members: Any) -> Object:
        """Make a job."""
        return await self._ask(Call("POST", "/v1/jobs", body=members))

    async def update_job(self, job_id: str, **members: Any) -> Object:
        """Change members of a job."""
        return await self._ask(Call("PATCH", f"/v1/jobs/{job_id}", body=members))

    async def delete_job(self, job_id: str) -> Object:
        """Delete a job."""
        return await self._ask(Call("DELETE", f"/v1/jobs/{job_id}"))

    async def _file_id(self, requests: str | Path | Iterable[Request], endpoint: str) -> str:
        return await anyio.to_thread.run_sync(self._files._file_id, requests, endpoint)  # noqa: SLF001  # one client in two coats

    async def _ask(self, call: Call) -> Object:
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        body = None if call.method == "GET" else call.body or {}
        try:
            async with self._session.request(
                call.method,
                self._settings.url + call.path,
                headers=headers,
                params=dict(call.query),
                json=body,
            ) as answer:
                return calls.read_object(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(f"no server answers at {self._settings.url}") from error
