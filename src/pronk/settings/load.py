"""Settings from flags, environment and TOML file, in this order of weight, over the defaults."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec import inspect as shape

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.engine import EngineSpec
from pronk.domain.errors import SettingsError
from pronk.settings.about import default_of, members, text_of
from pronk.settings.checks import check, checked_engine, read_engines, read_jobs
from pronk.settings.otel import read_otel
from pronk.settings.secret import Secret
from pronk.settings.tree import Settings
from pronk.settings.values import Given, bare, read, unknown

PREFIX = "PRONK_"
CLIENT_VARIABLES: Final = ("PRONK_URL", "PRONK_API_KEY")
_FROM_KUBERNETES = re.compile(r"PRONK_(SERVICE_(HOST|PORT)|PORT_[0-9]+_).*")
"""What Kubernetes sets in every container beside a service named pronk."""


class Shortcuts(msgspec.Struct, frozen=True, kw_only=True):
    """One pool named "default" without a file. Flags and variables only; in the file, ``[engines.NAME]`` says it."""

    engine: Annotated[
        tuple[str, ...],
        Meta(description="Base URL of an OpenAI-compatible engine; give it again for more replicas."),
    ] = ()
    model: Annotated[str | None, Meta(description="Model that a launched engine serves.")] = None
    launch: Annotated[
        str | None, Meta(description="Engine to start: bundled, vllm, sglang, llama-server, or a command.")
    ] = None
    api_key_env: Annotated[str | None, Meta(description="Variable that holds the engines' API key.")] = None


@dataclass(frozen=True)
class Leaf:
    """One setting that fits into a flag and a variable; `path` are its keys in the file."""

    path: tuple[str, ...]
    field: shape.Field

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + "_".join(self.path).upper()

    @property
    def text(self) -> str:
        """What it means."""
        return text_of(self.field, WebRules)

    @property
    def default(self) -> str:
        """Its default for people, empty when there is nothing to show."""
        return default_of(self.field)


def leaves(kind: type[msgspec.Struct] = Settings) -> Iterator[Leaf]:
    """Yield every setting that a flag or a variable can give."""
    for each in _fields(kind):
        inner = bare(each.type)
        if isinstance(inner, shape.StructType):
            yield from (Leaf((each.name, name), member) for name, member in members(inner.cls).items())
        elif not isinstance(inner, shape.DictType) and each.name != "buckets":
            yield Leaf((each.name,), each)


def load(
    *,
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of this process.

    `flags` maps names as in the file (``data_dir``, ``web.allow_http``) and those of `Shortcuts` to what the command line
    gave, None where it gave nothing. `environ` is this process's environment unless a test gives another. `defaults`
    stand in for those of `Settings`.
    Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    config = config or (Path(environ["PRONK_CONFIG"]) if environ.get("PRONK_CONFIG") else None)
    layers = _Layers(flags or {}, environ, _read_file(config), config)
    layers.refuse_unknown()
    settings = _build(layers, defaults or {})
    check(settings, environ)
    return settings


@dataclass(frozen=True)
class _Layers:
    flags: Mapping[str, object]
    environ: Mapping[str, str]
    table: Mapping[str, Any]
    config: Path | None
    leaves: tuple[Leaf, ...] = field(default_factory=lambda: (*leaves(Settings), *leaves(Shortcuts)))

    def find(self, leaf: Leaf) -> Given | None:
        """Return what the weightiest layer gives for a setting."""
        flag = self.flags.get(leaf.name)
        if flag is not None and flag != ():
            return Given(flag, leaf.flag, is_text=True)
        variable = self.environ.get(leaf.variable)
        if variable and not variable.startswith("tcp://"):
            return Given(variable, leaf.variable, is_text=True)
        return self.in_file(leaf.path)

    def in_file(self, path: tuple[str, ...]) -> Given | None:
        given = Given(self.table, f"{self.config}: ")
        for key in path:
            if not isinstance(given.value, dict):
                raise given.wrong("a table")
            if key not in given.value:
                return None
            given = Given(given.value[key], given.inside(key))
        return given

    def refuse_unknown(self) -> None:
        """Raise SettingsError for the first name that nothing has."""
        self._refuse(self.flags, {leaf.name for leaf in self.leaves}, "--{}")
        in_file = {each.name for each in _fields(Settings)}
        self._refuse(self.table, in_file, f"{self.config}: {{}}")
        web = self.in_file(("web",))
        if web is not None and isinstance(web.value, dict):
            self._refuse(web.value, {each.name for each in _fields(WebRules)}, f"{self.config}: web.{{}}")
        known = (
            {leaf.variable for leaf in self.leaves}
            | {"PRONK_CONFIG", *CLIENT_VARIABLES}
            | self._key_variables()
        )
        given = (
            name for name in self.environ if name.startswith(PREFIX) and not _FROM_KUBERNETES.fullmatch(name)
        )
        self._refuse(given, known, "{}")

    def _refuse(self, names: Any, known: set[str], place: str) -> None:
        for name in names:
            if name not in known:
                raise unknown(name, place.format(name), known)

    def _key_variables(self) -> set[str]:
        engines = self.table.get("engines", {})
        tables = engines.values() if isinstance(engines, dict) else ()
        named = [table.get("api_key_env") for table in tables if isinstance(table, dict)]
        named += [self.flags.get("api_key_env"), self.environ.get("PRONK_API_KEY_ENV")]
        return {str(name) for name in named}


def _read_file(config: Path | None) -> Mapping[str, Any]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{config} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{config} is not a text file in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config} is not TOML: {error}") from error


def _build(layers: _Layers, defaults: Mapping[str, object]) -> Settings:
    values = _read_leaves(layers, leaves(Settings))
    web = {path[1]: value for path, value in values.items() if path[0] == "web"}
    plain = {**defaults, **{path[0]: value for path, value in values.items() if len(path) == 1}}
    plain = {**read_otel(layers.environ), **plain}
    plain |= _places(layers, plain.get("data_dir", Path("pronk-data")), plain)
    engines = read_engines(_default_pool(layers), layers.in_file(("engines",)))
    engines = _with_tries(engines, layers, plain.get("request_max_tries"))
    buckets = layers.in_file(("buckets",))
    return Settings(
        **plain,
        web=WebRules(**web),
        engines=engines,
        jobs=read_jobs(layers.in_file(("jobs",)), engines),
        buckets=() if buckets is None else read(buckets, shape.type_info(tuple[BucketRule, ...]), "buckets"),
    )


def _read_leaves(layers: _Layers, wanted: Iterator[Leaf]) -> dict[tuple[str, ...], Any]:
    found = ((leaf, layers.find(leaf)) for leaf in wanted)
    return {
        leaf.path: read(given, leaf.field.type, leaf.path[-1]) for leaf, given in found if given is not None
    }


def _places(layers: _Layers, data_dir: Path, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return absolute places. A relative path counts from the file that names it, else from where we are."""
    data_dir = _absolute(layers, "data_dir", data_dir)
    certificates = {
        name: _absolute(layers, name, plain[name]) for name in ("tls_cert", "tls_key") if plain.get(name)
    }
    return {
        **certificates,
        "data_dir": data_dir,
        "database": plain.get("database") or Secret(f"sqlite:///{data_dir / 'pronk.db'}"),
        "storage": plain.get("storage") or f"file://{data_dir / 'blobs'}",
    }


def _absolute(layers: _Layers, name: str, path: Path) -> Path:
    given = layers.find(next(leaf for leaf in layers.leaves if leaf.name == name))
    if layers.config is not None and given is not None and not given.is_text:
        path = layers.config.parent / path
    return path.expanduser().absolute()


def _with_tries(engines: dict[str, EngineSpec], layers: _Layers, tries: int | None) -> dict[str, EngineSpec]:
    """Return the pools, `tries` being the word for those whose tables have none of their own."""
    if tries is None:
        return engines
    own = {name for name in engines if layers.in_file(("engines", name, "max_tries")) is not None}
    return {
        name: spec if name in own else msgspec.structs.replace(spec, max_tries=tries)
        for name, spec in engines.items()
    }


def _default_pool(layers: _Layers) -> EngineSpec | None:
    values = {path[0]: value for path, value in _read_leaves(layers, leaves(Shortcuts)).items()}
    if not values:
        return None
    urls, launch, model = values.get("engine", ()), values.get("launch"), values.get("model")
    if urls and (launch or model):
        raise SettingsError("--engine names engines that run already; leave out --model and --launch")
    launch = None if urls else launch or "bundled"
    spec = EngineSpec(urls=urls, launch=launch, model=model, api_key_env=values.get("api_key_env"))
    return checked_engine(spec, "--engine", "--launch")


def _fields(kind: type[msgspec.Struct]) -> tuple[shape.Field, ...]:
    info = shape.type_info(kind)
    return info.fields if isinstance(info, shape.StructType) else ()
