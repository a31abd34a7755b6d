"""The dashboard and the alert rules ask for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from pronk.telemetry import metrics

FOLDER = Path(__file__).parents[2] / "deploy/observability"
ANY_LABEL = {"instance", "job", "le"}
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
FILES = ("dashboard.json", "alerts.yml")


def _known() -> dict[str, set[str]]:
    """Return the labels of every name that a scrape may hold."""
    return {
        each._name + ending: set(each._labelnames)
        for each in vars(metrics).values()
        if isinstance(each, MetricWrapperBase)
        for ending in ENDINGS.get(str(each._type), ("",))
    }


@pytest.mark.parametrize("file", FILES)
def test_every_name_is_that_of_a_metric(file: str) -> None:
    used = set(re.findall(r"\bpronk_\w+", (FOLDER / file).read_text("utf-8")))
    assert len(used) > 5
    assert used - set(_known()) == set()


@pytest.mark.parametrize("file", FILES)
def test_every_label_is_one_of_its_metric(file: str) -> None:
    text = (FOLDER / file).read_text("utf-8").replace('\\"', '"')
    known, found = _known(), re.findall(r"(pronk_\w+)\{([^}]*)\}", text)
    assert found
    for name, selectors in found:
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selectors)) <= known[name] | ANY_LABEL, name


@pytest.mark.parametrize("file", FILES)
def test_grouping_keeps_labels_that_there_are(file: str) -> None:
    """`sum by (kind) (rate(pronk_…` is about labels of what stands right after it."""
    text = (FOLDER / file).read_text("utf-8")
    grouped = re.findall(r"by \(([\w, ]+)\) \((?:rate\()?(pronk_\w+)", text)
    assert grouped
    for labels, name in grouped:
        assert set(re.split(r",\s*", labels)) <= _known()[name] | ANY_LABEL, (labels, name)


def test_the_dashboard_shows_every_metric() -> None:
    dashboard: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    shown = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert [metric.name for metric in metrics.REGISTRY.collect() if metric.name not in shown] == []


def test_panels_do_not_overlap() -> None:
    places: set[tuple[int, int]] = set()
    for panel in json.loads((FOLDER / "dashboard.json").read_text("utf-8"))["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= own
