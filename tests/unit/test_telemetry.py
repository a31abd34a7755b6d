"""Logs and metrics."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from pronk import telemetry
from pronk.settings import Secret
from pronk.telemetry.metrics import LINES, REGISTRY


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_logs_are_json_away_from_a_terminal() -> None:
    stream = io.StringIO()
    telemetry.configure_logs("info", stream=stream)
    structlog.get_logger().info("batch ended", batch_id="batch_1", key=Secret("hunter2"), count=3)
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["batch_id"], event["count"]) == (
        "batch ended",
        "info",
        "batch_1",
        3,
    )
    assert event["timestamp"].endswith("Z")
    assert "hunter2" not in line


def test_logs_are_lines_for_people_on_a_terminal() -> None:
    stream = Terminal()
    telemetry.configure_logs("info", stream=stream)
    structlog.get_logger().info("batch ended", batch_id="batch_1")
    assert re.search(r"batch ended.*batch_id.*batch_1", stream.getvalue())


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(form: str) -> None:
    """They hold bodies and keys."""
    stream = io.StringIO()
    telemetry.configure_logs("info", form, stream=stream)  # type: ignore[arg-type]
    try:
        _fail("hunter2".upper())
    except ValueError:
        structlog.get_logger().exception("request failed")
    assert "ValueError: 7" in stream.getvalue()
    assert "HUNTER2" not in stream.getvalue()


def _fail(body: str) -> None:
    raise ValueError(len(body))


def test_quieter_lines_than_the_level_are_not_written() -> None:
    stream = io.StringIO()
    telemetry.configure_logs("warning", "json", stream=stream)
    structlog.get_logger().info("no")
    structlog.get_logger().warning("yes")
    assert "no" not in stream.getvalue()
    assert "yes" in stream.getvalue()


def test_libraries_speak_in_the_same_form_and_only_of_trouble() -> None:
    stream = io.StringIO()
    telemetry.configure_logs("debug", "json", stream=stream)
    logging.getLogger("botocore").debug("GET https://bucket/key?X-Amz-Signature=abc")
    logging.getLogger("botocore").warning("slow %s", "down")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "slow down"


def test_metrics_are_in_the_text_form() -> None:
    LINES.labels("answered", "2xx").inc(0)
    text = telemetry.render().decode()
    assert 'pronk_lines_total{code="2xx",outcome="answered"}' in text
    assert telemetry.CONTENT_TYPE.startswith("text/plain")


def test_every_metric_has_the_projects_name_and_a_sentence() -> None:
    for metric in REGISTRY.collect():
        assert metric.name.startswith("pronk_")
        assert metric.documentation.endswith(".")


def test_processes_that_share_a_folder_add_up(tmp_path: Path) -> None:
    script = "from pronk.telemetry import metrics as m; m.PARTS_WRITTEN.inc(2); m.ENGINE_IN_FLIGHT.labels('e', 'r').set(3)"
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    own = _value("pronk_parts_written_total")
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    text = telemetry.render(telemetry.Folder(tmp_path)).decode()
    assert f"pronk_parts_written_total {own + 4}" in text
    assert 'pronk_engine_in_flight{engine="e",replica="r"} 6.0' in text


def _value(name: str) -> float:
    """Return what this process's own metric stands at; other tests count as well."""
    return next(
        sample.value for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name
    )


def test_without_a_stream_lines_go_to_what_is_standard_error_then(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure_logs("info", "json")
    log = structlog.get_logger()
    log.info("here")
    assert '"event":"here"' in capsys.readouterr().err
    with contextlib.redirect_stderr(io.StringIO()) as other:
        log.info("there")
        logging.getLogger("library").warning("too")
    assert other.getvalue().count("\n") == 2
