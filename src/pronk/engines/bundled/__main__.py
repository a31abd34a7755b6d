"""`python -m pronk.engines.bundled`: the engine alone, with every option as a flag."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from pronk.domain.errors import SettingsError
from pronk.engines.bundled import EngineOptions, main

PATHS = {"model_dir", "allowed_local_media_path"}


def parser() -> argparse.ArgumentParser:
    """A flag for each member of `EngineOptions`; `--model` names the folder."""
    built = argparse.ArgumentParser(prog="python -m pronk.engines.bundled", description=__doc__)
    for member in fields(EngineOptions):
        flag = "--model" if member.name == "model_dir" else f"--{member.name.replace('_', '-')}"
        if isinstance(member.default, bool):
            built.add_argument(flag, dest=member.name, action="store_true", default=member.default)
        else:
            kind = (
                Path if member.name in PATHS else type(member.default) if member.default is not None else str
            )
            built.add_argument(flag, dest=member.name, type=kind, default=member.default)
    return built


def _cli() -> int:
    try:
        main(EngineOptions(**vars(parser().parse_args())))
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_cli())
