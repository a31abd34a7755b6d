"""One flag for each setting, made from the settings' own definition."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Group, Parameter
from msgspec import inspect as shape

from pronk.settings import Settings, load
from pronk.settings.load import Leaf, Shortcuts, leaves
from pronk.settings.values import bare

Json = Annotated[bool, Parameter(help="Print JSON.", negative="")]

FIRST: Final = ("host", "port", "data_dir", "workers", "allow_anonymous", "log_level", "log_format")
ENGINE: Final = tuple(leaf.name for leaf in leaves(Shortcuts))
_ENGINE_GROUP = Group("Engines", sort_key=1)
_FIRST_GROUP = Group("Server", sort_key=2)
_REST_GROUP = Group("Limits and pace", sort_key=3)
_WEB_GROUP = Group("References over the web", sort_key=4)


def new_app(name: str, examples: str, *, text: str | None = None) -> App:
    """Return the app of one command group; `examples` are lines of commands. `text` is for groups of commands."""
    shown = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    app = App(
        name=f"pronk {name}",
        help=text,
        help_format="plaintext",
        help_epilogue=f"Examples:\n{shown}",
        version_flags=(),
        default_parameter=Parameter(negative_iterable=()),
    )
    app["--help"].show = False
    return app


def with_settings(
    only: Iterable[str] | None = None, **defaults: object
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the flags of all settings, or of `only` some, and `--config`; it may have `defaults` of its own.

    The command's first parameter gets the loaded `Settings`; its others stay flags of its own.
    """
    wanted = None if only is None else set(only)
    chosen = [
        leaf for leaf in (*leaves(Shortcuts), *leaves(Settings)) if wanted is None or leaf.name in wanted
    ]

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        def command(*arguments: object, config: Path | None = None, **flags: Any) -> int:
            given = {leaf.name: flags.pop(_keyword(leaf), None) for leaf in chosen}
            return function(load(config=config, flags=given, defaults=defaults), *arguments, **flags)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters = [*own, _config_parameter(), *(_parameter(leaf, defaults) for leaf in chosen)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__doc__ = _unwrapped(function.__doc__ or "")
        return command

    return decorate


def _unwrapped(text: str) -> str:
    """Return a docstring with one line a paragraph: the terminal's width breaks it."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _config_parameter() -> inspect.Parameter:
    about = Parameter(help="TOML file with settings.", group=_FIRST_GROUP)
    return _keyword_only("config", Annotated[Path | None, about])


def _parameter(leaf: Leaf, defaults: Mapping[str, object]) -> inspect.Parameter:
    about = Parameter(name=leaf.flag, help=_help(leaf, defaults), group=_group(leaf))
    kind = bare(leaf.field.type)
    taken: Any = str | None
    if isinstance(kind, shape.BoolType):
        taken = bool | None
    elif isinstance(kind, shape.VarTupleType):
        taken = list[str] | None
    return _keyword_only(_keyword(leaf), Annotated[taken, about])


def _keyword_only(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _keyword(leaf: Leaf) -> str:
    return "_".join(leaf.path)


def _help(leaf: Leaf, defaults: Mapping[str, object]) -> str:
    default = defaults.get(leaf.name, leaf.default)
    return f"{leaf.text} [{default}]" if default else leaf.text


def _group(leaf: Leaf) -> Group:
    if leaf.name in ENGINE:
        return _ENGINE_GROUP
    if leaf.path[0] == "web":
        return _WEB_GROUP
    return _FIRST_GROUP if leaf.name in FIRST or leaf.name in {"database", "storage"} else _REST_GROUP
