"""The command line: help, wrong usage, and one line for every error."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError

from pronk import settings
from pronk.cli.flags import new_app, with_settings
from pronk.cli.main import COMMANDS, first_error, load_app, main
from pronk.cli.worker import handed_over
from pronk.domain.errors import PronkError, SettingsError
from pronk.settings import Settings
from pronk.settings.load import Shortcuts, leaves

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line; returns its exit status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_the_overview_names_every_command_with_an_example(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(command.text in out and f"$ {command.example}" in out for command in COMMANDS.values())
    assert run()[1] == out


def test_the_overview_needs_no_heavy_import() -> None:
    script = (
        "import sys; from pronk.cli.main import overview; overview();"
        "print(*{'cyclopts', 'rich', 'aiohttp', 'urllib3', 'msgspec', 'anyio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_an_example(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"Usage: pronk {name}" in out
    assert f"Examples:\n  pronk {name}" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_command_line_that_is_understood(name: str) -> None:
    app = load_app(name)
    epilogue = app.help_epilogue
    assert isinstance(epilogue, str)
    shown = [shlex.split(line)[2:] for line in epilogue.splitlines() if line.startswith("  ")]
    for arguments in (*shown, shlex.split(COMMANDS[name].example)[2:]):
        app.parse_args(arguments, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fils"], "there is no command 'fils'; did you mean 'files'?"),
        (["serve", "--prt", "1"], "Did you mean --port?"),
        (["serve", "--port", "abc"], "--port is 'abc'; it must be a whole number from 0 to 65535"),
        (["serve", "--host", "0.0.0.0"], "--allow-anonymous"),  # noqa: S104 - that is refused
        (["serve", "--config", "nope.toml"], "nope.toml cannot be read"),
        (["files", "shw"], 'Did you mean "show"?'),
        (["files", "show"], "requires an argument"),
        (["files", "upload", "nope.jsonl"], "nope.jsonl is not a file"),
        (["run", "nope.jsonl"], "nope.jsonl is not a file"),
        (["run"], "requires an argument"),
        (["engine", "nofolder"], "nofolder is not a folder"),
        (["jobs", "list", "--limit", "x"], 'unable to convert "x" into int'),
        (["batches", "create", "nope.jsonl"], "nope.jsonl is not a file"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    run: Run, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("pronk: ")
    assert err.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line_and_status_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRONK_URL", "http://127.0.0.1:9")
    code, out, err = run("files", "list")
    assert (code, out) == (1, "")
    assert (
        err
        == "pronk: no server answers at http://127.0.0.1:9; start one with 'pronk serve', or set PRONK_URL\n"
    )


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_error_of_a_task_is_one_line_too(depth: int) -> None:
    raised: Exception = SettingsError("no")
    for _ in range(depth):
        raised = ExceptionGroup("tasks", [raised])
    assert str(first_error(raised, PronkError)) == "no"


def test_a_fault_of_ours_among_them_is_not_hidden() -> None:
    with pytest.raises(ExceptionGroup):
        first_error(ExceptionGroup("tasks", [SettingsError("no"), ValueError("a bug")]), PronkError)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m pronk --help | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_version_is_that_of_the_project(run: Run) -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert run("--version")[1] == f"pronk {project['version']}\n"


def test_every_setting_is_a_flag_with_its_own_value() -> None:
    got: list[Settings] = []
    app = _app(got.append)
    app(
        [
            "--port",
            "7",
            "--web.allow-http",
            "--web.ports",
            "80",
            "--web.ports",
            "81",
            "--max-file-bytes",
            "1MB",
            "--engine",
            "http://a",
            "--engine",
            "http://b",
        ]
    )
    (found,) = got
    assert (found.port, found.web.allow_http, found.web.ports) == (7, True, (80, 81))
    assert found.max_file_bytes == 1_000_000
    assert found.engines["default"].urls == ("http://a/v1", "http://b/v1")


def test_the_flags_are_those_of_the_definition() -> None:
    app = _app(lambda _: 0)
    assert app.default_command is not None
    names = {name for argument in app.assemble_argument_collection() for name in argument.names}
    assert {leaf.flag for leaf in (*leaves(), *leaves(Shortcuts))} <= names


def test_a_command_may_take_some_settings_only() -> None:
    app = new_app("some", "pronk some")
    app.default(with_settings(only=("port",))(lambda settings: settings.port))
    with pytest.raises(CycloptsError):
        app(["--host", "x"], exit_on_error=False, print_error=False)


def test_a_command_may_have_a_default_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app("some", "pronk some")
    app.default(
        with_settings(only=("port",), log_level="warning")(lambda found: found.log_level == "warning")
    )
    assert app([], result_action="return_value")
    monkeypatch.setenv("PRONK_LOG_LEVEL", "error")
    assert not app([], result_action="return_value")


def test_a_worker_takes_its_settings_from_its_parent_and_nothing_more() -> None:
    handed = settings.load(flags={"max_lines": "7"}, environ={})
    pipe = BytesIO(handed.to_json() + b"\nmore")
    assert handed_over(pipe) == handed
    assert pipe.read() == b"more"


def _app(function: Callable[[Settings], object]) -> App:
    app = new_app("test", "pronk test")

    @app.default
    @with_settings()
    def test(settings: Settings) -> int:
        function(settings)
        return 0

    app.result_action = "return_value"
    return app
