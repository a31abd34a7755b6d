"""What OpenTelemetry's own variables say of traces, for servers whose platform sets them in every container."""

from __future__ import annotations

from collections.abc import Mapping

from pronk.domain.errors import SettingsError

_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_ALL = "OTEL_EXPORTER_OTLP_ENDPOINT"
_RATIO = "OTEL_TRACES_SAMPLER_ARG"


def read_otel(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the settings ``traces_endpoint`` and ``traces_ratio`` as far as the variables give them.

    Headers, certificates and the service's name (``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``, …) are read by
    OpenTelemetry itself. Raises SettingsError for a ratio that is none.
    """
    if (
        environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        return {}
    found: dict[str, object] = {}
    if environ.get(_TRACES):
        found["traces_endpoint"] = environ[_TRACES]
    elif environ.get(_ALL):
        found["traces_endpoint"] = environ[_ALL].rstrip("/") + "/v1/traces"
    if found and environ.get(_RATIO):
        found["traces_ratio"] = _ratio(environ[_RATIO])
    return found


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise SettingsError(f"{_RATIO} is {text!r}; it must be a share from 0 to 1, such as 0.01")
    return ratio
