"""Where jobs that are made over HTTP may have their results copied."""

from __future__ import annotations

from pathlib import Path

import httpx2
from tests.conformance.server import running_server

REFUSED = {"output_not_allowed", "document_unsupported", "document_not_allowed"}


def test_a_job_may_have_its_results_copied_only_where_the_settings_say(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, output_allow=("s3://results/*",)) as server,
        httpx2.Client(base_url=server.url) as http,
    ):
        made = http.post("/v1/jobs", json={"output": "s3://results/team"}).json()
        assert made["output"] == "s3://results/team"
        for output in ("s3://other/x", "s3://results/../other", "file:///etc", "https://a.test/x", "x"):
            refused = http.patch(f"/v1/jobs/{made['id']}", json={"output": output})
            code = refused.json()["error"]["code"]
            assert (refused.status_code, code in REFUSED) == (400, True), output
        assert http.patch(f"/v1/jobs/{made['id']}", json={"output": None}).json()["output"] is None
