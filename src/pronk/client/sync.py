"""The client for plain code and notebooks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from pronk.client import calls
from pronk.client.bars import Progress, tell
from pronk.client.calls import CHAT, TERMINAL, Call, Object
from pronk.client.gallery import Gallery, Picture
from pronk.client.reading import PictureOf, shown_of
from pronk.domain.errors import UnavailableError

Request = Mapping[str, Any]
_MAX_PICTURE = 100_000


class Client:
    """One server. Without arguments it is the one of PRONK_URL, with the key of PRONK_API_KEY.

    Every method raises ApiError (with `status_code`, `code` and `param`), UnavailableError when nobody answers. For files, uploads
    and chat use the official SDK with ``base_url=client.base_url``.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._settings = calls.settings_of(url, api_key)
        timeout = urllib3.Timeout(connect=10.0, read=600.0)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give connections back."""
        self._pool.clear()

    @property
    def base_url(self) -> str:
        """The address for OpenAI's SDK."""
        return f"{self._settings.url}/v1"

    def upload(self, file: str | Path) -> Object:
        """Upload a file of requests."""
        from pronk.cli.client import Client as Streams

        with Streams(self._settings) as streams:
            return streams.upload(Path(file), "batch")

    def create(
        self,
        requests: str | Path | Iterable[Request],
        *,
        endpoint: str = CHAT,
        completion_window: str = "unlimited",
        **more: Any,
    ) -> Object:
        """Create a batch of a file, of the id of an uploaded one, or of requests: lines of an input file, or bodies alone.

        `more` are further members, such as ``job_id`` and ``metadata``.
        """
        return self._ask(calls.create(self._file_id(requests, endpoint), endpoint, completion_window, more))

    def get(self, batch_id: str) -> Object:
        """Return a batch."""
        return self._ask(Call("GET", f"/v1/batches/{batch_id}"))

    def cancel(self, batch_id: str) -> Object:
        """Cancel a batch."""
        return self._ask(Call("POST", f"/v1/batches/{batch_id}/cancel"))

    def retry(self, batch_id: str, **changes: Any) -> Object:
        """Make a batch of the lines that failed; `changes` are completion_window, job_id, metadata."""
        return self._ask(calls.again(batch_id, "retry", changes))

    def clone(self, batch_id: str, **changes: Any) -> Object:
        """Make a batch of the same file."""
        return self._ask(calls.again(batch_id, "clone", changes))

    def check(
        self,
        requests: str | Path | Iterable[Request],
        *,
        endpoint: str = CHAT,
        job_id: str | None = None,
    ) -> Object:
        """Say what would come of requests without running them."""
        return self._ask(calls.check(self._file_id(requests, endpoint), endpoint, job_id))

    def results(self, batch_id: str, *, status: str | None = None) -> Iterator[Object]:
        """Yield the result lines that there are, in input order, also while the batch runs; `status` is ok or failed."""
        after = None
        while True:
            page = self._ask(calls.results(batch_id, after, status))
            yield from page["data"]
            after = page["last_id"]
            if not page["has_more"]:
                return

    def show(
        self, batch_id: str, *, status: str | None = None, limit: int = 20, has_pictures: bool = True
    ) -> Gallery:
        """Return the first lines that have a result, for a notebook to show with pictures; `status` is ok or failed.

        Pictures are small and made by the server, within what the batch's job may read; a server without its console gives none.
        """
        from pronk.domain.ids import result_line

        batch = self.get(batch_id)
        found = {
            result_line(line["id"]) or 0: line
            for line in islice(self.results(batch_id, status=status), limit)
        }
        asked = self._lines(batch["input_file_id"], found)
        return Gallery(
            batch_id,
            tuple(
                shown_of(
                    line,
                    asked.get(number, b""),
                    self._picture_of(batch_id, number, has_pictures=has_pictures),
                )
                for number, line in found.items()
            ),
        )

    def wait(
        self,
        batch_id: str,
        *,
        progress: Progress | None = None,
        seconds: float = 1.0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Object:
        """Return a batch once it has ended, looking every few `seconds`.

        `progress` is a bar such as ``tqdm()``, or a function that hears of the batch each time. Without it a bar is shown
        on a terminal and in a notebook.
        """
        from pronk.cli.progress import BatchProgress
        from pronk.domain.batch import Counts

        with BatchProgress(batch_id) as bar:
            while True:
                batch = self.get(batch_id)
                if progress is not None:
                    tell(progress, batch)
                else:
                    counts = batch["request_counts"]
                    bar.show(batch["status"], Counts(counts["total"], counts["completed"], counts["failed"]))
                if batch["status"] in TERMINAL:
                    return batch
                sleep(seconds)

    def export(self, batch_id: str, target: str | Path) -> int:
        """Write results as a table (.parquet, .csv or .jsonl); return how many rows. Needs ``pronk[export]``."""
        from pronk.cli.client import Client as Streams
        from pronk.results.export import Sources, export

        batch = self.get(batch_id)
        calls.export_target(batch)
        with (
            tempfile.TemporaryDirectory(prefix="pronk-export-") as folder,
            Streams(self._settings) as streams,
        ):
            found = {}
            for noun in ("output", "error", "input"):
                file_id = batch[f"{noun}_file_id"]
                if file_id is not None:
                    path = found["errors" if noun == "error" else noun] = Path(folder) / noun
                    with path.open("wb") as into:
                        streams.download(file_id, into)
            return export(Sources(**found), Path(target))

    def jobs(self) -> list[Object]:
        """Return the jobs."""
        found: list[Object] = self._ask(Call("GET", "/v1/jobs", {"limit": 100}))["data"]
        return found

    def create_job(self, **members: Any) -> Object:
        """Make a job."""
        return self._ask(Call("POST", "/v1/jobs", body=members))

    def update_job(self, job_id: str, **members: Any) -> Object:
        """Change members of a job."""
        return self._ask(Call("PATCH", f"/v1/jobs/{job_id}", body=members))

    def delete_job(self, job_id: str) -> Object:
        """Delete a job."""
        return self._ask(Call("DELETE", f"/v1/jobs/{job_id}"))

    def _file_id(self, requests: str | Path | Iterable[Request], endpoint: str) -> str:
        if isinstance(requests, str | Path):
            given = str(requests)
            return given if calls.is_file_id(requests) else str(self.upload(given)["id"])
        with tempfile.TemporaryDirectory(prefix="pronk-") as folder:
            path = Path(folder) / "requests.jsonl"
            with path.open("wb") as file:
                file.writelines(calls.lines_of(requests, endpoint))
            return str(self.upload(path)["id"])

    def _lines(self, file_id: str, numbers: Collection[int]) -> dict[int, bytes]:
        """Return lines of a file by number, reading no further than the last of them; none of a file that is gone."""
        answer = self._get(f"/v1/files/{file_id}/content")
        try:
            if answer.status != 200:
                return {}
            last, found = max(numbers, default=0), {}
            for number, line in enumerate(answer, 1):
                if number > last:
                    break
                if number in numbers:
                    found[number] = line
            return found
        finally:
            answer.close()

    def _picture_of(self, batch_id: str, number: int, *, has_pictures: bool) -> PictureOf:
        def get(place: int, reference: str) -> Picture:
            answer = self._get(f"/batches/{batch_id}/lines/{number}/pictures/{place}/thumb")
            try:
                data = answer.read(_MAX_PICTURE + 1) if answer.status == 200 else b""
            finally:
                answer.close()
            kind = answer.headers.get("content-type", "")
            return Picture(reference, data if len(data) <= _MAX_PICTURE else b"", kind)

        return get if has_pictures else lambda _, reference: Picture(reference)

    def _get(self, path: str) -> urllib3.BaseHTTPResponse:
        """Return an answer whose body is not read yet; pages of the console take the key as a cookie."""
        key = self._settings.api_key
        headers = (
            {"Authorization": f"Bearer {key.reveal()}", "Cookie": f"pronk_key={key.reveal()}"} if key else {}
        )
        try:
            return self._pool.request(
                "GET", self._settings.url + path, headers=headers, preload_content=False, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"no server answers at {self._settings.url}") from error

    def _ask(self, call: Call) -> Object:
        key = self._settings.api_key
        headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        sent: dict[str, Any] = (
            {"fields": dict(call.query)} if call.method == "GET" else {"json": call.body or {}}
        )
        try:
            answer = self._pool.request(call.method, self._settings.url + call.path, headers=headers, **sent)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"no server answers at {self._settings.url}") from error
        return calls.read_object(answer.status, answer.data)
