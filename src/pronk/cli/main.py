"""The ``pronk`` command: finds the group, runs it, and turns every error into one line that says what to do.

A group's module is imported when it is called, so that help is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from cyclopts import App


class Command(NamedTuple):
    """One entry of the overview; `module` holds the cyclopts `app`."""

    module: str
    text: str
    example: str


COMMANDS: Final = {
    "serve": Command(
        "pronk.cli.serve",
        "API and worker processes on this machine",
        "pronk serve --engine http://gpu-1:8000/v1",
    ),
    "worker": Command(
        "pronk.cli.worker",
        "more workers on the same database and storage",
        "pronk worker --config pronk.toml",
    ),
    "engine": Command(
        "pronk.cli.engine", "the bundled OpenAI-compatible engine alone", "pronk engine --port 8001"
    ),
    "cluster": Command(
        "pronk.cli.cluster", "workers and engines on a Ray cluster", "pronk cluster up --config pronk.toml"
    ),
    "run": Command(
        "pronk.cli.run", "one file of requests, without a server", "pronk run input.jsonl -o output.jsonl"
    ),
    "make": Command(
        "pronk.cli.make",
        "request files from a bucket's listing",
        'pronk make s3://bucket/prefix/ --prompt "What is it?" --model NAME',
    ),
    "check": Command(
        "pronk.cli.check", "what would come of a file, without running it", "pronk check input.jsonl"
    ),
    "files": Command(
        "pronk.cli.files", "upload, list, show, download and delete files", "pronk files upload input.jsonl"
    ),
    "batches": Command(
        "pronk.cli.batches",
        "create, watch and cancel batches, get results",
        "pronk batches create input.jsonl --watch",
    ),
    "export": Command(
        "pronk.cli.export",
        "a batch's results as Parquet, CSV or JSON lines",
        "pronk export batch_0123 --to results.parquet",
    ),
    "webhooks": Command(
        "pronk.cli.webhooks",
        "who is told when batches end",
        "pronk webhooks create https://example.org/pronk",
    ),
    "jobs": Command("pronk.cli.jobs", "list and show the jobs of a server", "pronk jobs list"),
    "keys": Command(
        "pronk.cli.keys",
        "make, list and revoke API keys, on the server's machine",
        "pronk keys create --name laptop --scope admin",
    ),
    "projects": Command(
        "pronk.cli.projects",
        "projects and their limits, on the server's machine",
        "pronk projects create vision",
    ),
    "migrate": Command(
        "pronk.cli.migrate", "bring the database's schema up to date", "pronk migrate --config pronk.toml"
    ),
    "verify": Command(
        "pronk.cli.verify", "recount a batch and check every stored byte of it", "pronk verify batch_0123"
    ),
    "demo": Command("pronk.demo.command", "see it all work on drawn pictures", "pronk demo"),
    "bench": Command(
        "pronk.cli.bench", "measure it beside a bare loop and others (needs a checkout)", "pronk bench text"
    ),
}
_HELP: Final = ("-h", "--help", "help")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process: 0 all went well, 1 it did not, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(list(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in _HELP:
        print(overview())
        return 0
    name, *rest = arguments
    if name in {"--version", "-V", "version"}:
        from pronk import __version__

        print(f"pronk {__version__}")
        return 0
    if name not in COMMANDS:
        return _refuse(name)
    return _call(name, rest)


def _refuse(name: str) -> int:
    nearest = get_close_matches(name, COMMANDS, n=1, cutoff=0.0)[0]
    return _complain(f"there is no command {name!r}; did you mean {nearest!r}? See pronk --help", 2)


def _call(name: str, arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    from pronk.domain.errors import PronkError, SettingsError

    try:
        result = load_app(name)(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _complain(f"{str(error).strip()} See pronk {name} --help", 2)
    except (PronkError, ExceptionGroup) as raised:
        known = first_error(raised, PronkError)
        return _complain(str(known), 2 if isinstance(known, SettingsError) else 1)
    return result if isinstance(result, int) else 0


def first_error(raised: Exception, kind: type[Exception]) -> Exception:
    """Return the first error that tasks raised; raise what holds any other kind, which is a fault of ours."""
    while isinstance(raised, ExceptionGroup):
        if raised.split(kind)[1] is not None:
            raise raised
        raised = raised.exceptions[0]
    return raised


def load_app(name: str) -> App:
    """Return the cyclopts app of one command."""
    app: App = import_module(COMMANDS[name].module).app
    return app


def _complain(message: str, code: int) -> int:
    print(f"pronk: {' '.join(message.split())}", file=sys.stderr)
    return code


def overview() -> str:
    """Return what ``pronk --help`` prints."""
    lines = [
        "Batch inference with OpenAI's API, for requests that carry images by reference.",
        "",
        "Usage: pronk COMMAND …        (pronk COMMAND --help says more)",
        "",
    ]
    for name, command in COMMANDS.items():
        lines += [f"  {name:<9}{command.text}", f"           $ {command.example}"]
    lines += [
        "",
        "files, batches and jobs talk to PRONK_URL (default http://127.0.0.1:8000) with the key in PRONK_API_KEY.",
        "Exit status: 0 all went well, 1 something failed, 2 wrong usage.",
    ]
    return "\n".join(lines)
