"""OpenTelemetry's own variables as settings."""

from __future__ import annotations

import threading

import pytest

from pronk.domain.errors import SettingsError
from pronk.settings import load
from pronk.telemetry.traces import address, wait_for

ENGINE = {"PRONK_ENGINE": "http://127.0.0.1:1/v1"}
ALL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


@pytest.mark.parametrize(
    ("environ", "endpoint", "ratio"),
    [
        ({}, "", 0.01),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.5"}, "", 0.01),
        (ALL, "http://collector:4318/v1/traces", 0.01),
        ({**ALL, "OTEL_TRACES_SAMPLER_ARG": "0.5"}, "http://collector:4318/v1/traces", 0.5),
        ({**ALL, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other/x"}, "http://other/x", 0.01),
        ({**ALL, "PRONK_TRACES_ENDPOINT": "http://ours", "PRONK_TRACES_RATIO": "1"}, "http://ours", 1.0),
        ({**ALL, "OTEL_SDK_DISABLED": "true"}, "", 0.01),
        ({**ALL, "OTEL_TRACES_EXPORTER": "none"}, "", 0.01),
    ],
)
def test_variables_are_read_and_settings_outweigh_them(
    environ: dict[str, str], endpoint: str, ratio: float
) -> None:
    settings = load(environ={**ENGINE, **environ})
    assert (settings.traces_endpoint, settings.traces_ratio) == (endpoint, ratio)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PRONK_TRACES_ENDPOINT": "collector:4318"}, "http://collector:4318"),
        ({**ALL, "OTEL_TRACES_SAMPLER_ARG": "often"}, "OTEL_TRACES_SAMPLER_ARG is 'often'"),
        ({"PRONK_TRACES_RATIO": "2"}, "PRONK_TRACES_RATIO"),
    ],
)
def test_what_is_wrong_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(environ={**ENGINE, **environ})


@pytest.mark.parametrize("given", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_a_bare_address_gets_the_path_of_traces(given: str) -> None:
    assert address(given) == "http://c:4318/v1/traces"


def test_the_end_does_not_wait_for_a_collector_that_never_answers() -> None:
    answered = threading.Event()
    wait_for(answered.wait, 0.01)
    assert not answered.is_set()
    answered.set()


def test_the_end_waits_for_a_collector_that_answers() -> None:
    done: list[str] = []
    wait_for(lambda: done.append("sent"), 120)
    assert done == ["sent"]
