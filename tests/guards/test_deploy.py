"""What deploy/ names is there: settings, commands, metrics, and the values of the chart."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from pronk.cli.main import COMMANDS
from pronk.settings import Settings
from pronk.settings.load import CLIENT_VARIABLES, Shortcuts, leaves
from pronk.telemetry import metrics

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy/docker"
CHART = ROOT / "deploy/helm/pronk"
TEMPLATES = sorted((CHART / "templates").iterdir())
FILES = [*sorted(DOCKER.iterdir()), CHART / "values.yaml", *TEMPLATES]
BLOCK = re.compile(r"\{\{-?\s*(if|range|with|define|end|else)\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_is_one(path: Path) -> None:
    known = {leaf.variable for kind in (Settings, Shortcuts) for leaf in leaves(kind)}
    named = set(re.findall(r"PRONK_[A-Z_]+", path.read_text("utf-8")))
    assert named <= known | {"PRONK_CONFIG", *CLIENT_VARIABLES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_is_one(path: Path) -> None:
    text = path.read_text("utf-8")
    lists = re.findall(r"^\s*(?:args: |command: |CMD )\[\"?([a-z]+)", text, re.MULTILINE)
    words = re.findall(r"(?:-- pronk|--rm api|PRONK_API_KEY=… pronk) ([a-z]+)", text)
    servers = {"server", "python"}  # commands of the images of others, and of the health check
    assert {*lists, *words} - servers <= set(COMMANDS)


def test_all_roles_are_started() -> None:
    for path in (DOCKER / "compose.yaml", CHART / "templates/api.yaml", CHART / "templates/worker.yaml"):
        assert re.search(r"(args|command): \[\"?(serve|worker)", path.read_text("utf-8"))


def test_workers_are_scaled_by_a_metric_that_there_is() -> None:
    known = {each._name for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)}
    text = (CHART / "templates/scaling.yaml").read_text("utf-8")
    assert set(re.findall(r"\((pronk_\w+)\)", text)) <= known
    assert "pronk_queue_lines" in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_close_what_they_open_and_name_values_that_there_are(path: Path) -> None:
    text = path.read_text("utf-8")
    words = [word for word in BLOCK.findall(text) if word != "else"]
    depth = 0
    for word in words:
        depth += -1 if word == "end" else 1
        assert depth >= 0
    assert depth == 0
    assert text.count("{{") == text.count("}}")
    values = _keys((CHART / "values.yaml").read_text("utf-8"))
    assert set(re.findall(r"\.Values\.([\w.]+)", text)) <= values
    defined = set(re.findall(r'define "([\w.]+)"', "".join(each.read_text("utf-8") for each in TEMPLATES)))
    assert set(re.findall(r'include "([\w.]+)"', text)) <= defined


def test_the_image_is_slim_and_runs_as_nobody_special() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    assert "slim" in text
    assert re.search(r"^USER 10001", text, re.MULTILINE)
    assert "runAsUser: 10001" in (CHART / "templates/_names.tpl").read_text("utf-8")
    addresses = set(re.findall(r"https?://([^/:'\s]+)", text))
    assert addresses == {"127.0.0.1"}, "no index is named"


@pytest.mark.slow
def test_the_wheel_is_whole_and_runs_away_from_the_checkout() -> None:
    done = subprocess.run([ROOT / "scripts/check-wheel"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "built and ran" in done.stdout


def _keys(text: str) -> set[str]:
    """Return the dotted keys of a file whose blocks are indented by two."""
    found: set[str] = set()
    path: list[str] = []
    for line in text.splitlines():
        match = re.match(r"( *)(\w+):", line)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            found.add(".".join(path))
    return found
