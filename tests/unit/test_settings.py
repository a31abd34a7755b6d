"""Settings: who outweighs whom, and what people are told when they err."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronk.domain.errors import SettingsError
from pronk.settings import Secret, Settings, child_environment, client_settings, load
from pronk.settings.about import MEMBERS, members
from pronk.settings.load import Shortcuts, leaves
from pronk.settings.values import parse_size

GUIDE = """
port = 9000
data_dir = "kept"
max_file_bytes = "20MB"
[engines.qwen]
urls = ["http://gpu-1:8000/v1/", "http://gpu-2:8000"]
api_key_env = "ENGINE_KEY"
max_in_flight = 64
[jobs.sort-parts]
model = "Qwen/Qwen3-VL-8B-Instruct"
engine = "qwen"
completion_window = "unlimited"
priority = -1
defaults = { temperature = 0.0, max_tokens = 64, stop = ["x"], big = 12345678901234567890 }
price = { input_per_1m = 0.10, output_per_1m = 0.40 }
[jobs.sort-parts.media]
allow = ["s3://parts/*"]
max_bytes = "20MiB"
[[buckets]]
match = "parts-eu*"
endpoint = "https://minio.example.org"
[web]
allow_private = ["10.1.0.0/16"]
"""


def from_file(folder: Path, text: str, environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    path = folder / "pronk.toml"
    path.write_text(text)
    return load(config=path, flags=flags, environ=environ or {})


def test_the_guides_file_is_read_whole(tmp_path: Path) -> None:
    settings = from_file(tmp_path, GUIDE, {"ENGINE_KEY": "k"})
    assert settings.port == 9000
    assert settings.max_file_bytes == 20_000_000
    assert settings.engines["qwen"].urls == ("http://gpu-1:8000/v1", "http://gpu-2:8000/v1")
    assert settings.engines["qwen"].name == "qwen"
    job = settings.jobs["job-sort-parts"]
    assert (job.model, job.engine, job.priority) == ("Qwen/Qwen3-VL-8B-Instruct", "qwen", -1)
    assert job.media.max_bytes == 20 * 2**20
    assert job.media.allow == ("s3://parts/*",)
    assert settings.buckets[0].match == "parts-eu*"
    assert settings.web.allow_private == ("10.1.0.0/16",)


def test_defaults_of_a_job_stay_the_values_that_were_written(tmp_path: Path) -> None:
    job = from_file(tmp_path, GUIDE, {"ENGINE_KEY": "k"}).jobs["job-sort-parts"]
    assert {key: bytes(raw) for key, raw in job.defaults.items()} == {
        "temperature": b"0.0",
        "max_tokens": b"64",
        "stop": b'["x"]',
        "big": b"12345678901234567890",
    }


def test_flags_outweigh_variables_and_these_the_file(tmp_path: Path) -> None:
    environ = {"PRONK_PORT": "2", "PRONK_LEASE_SECONDS": "40"}
    settings = from_file(tmp_path, "port = 1\nlease_seconds = 50\nmax_lines = 7", environ, port="3")
    assert (settings.port, settings.lease_seconds, settings.max_lines) == (3, 40.0, 7)


def test_an_empty_variable_says_nothing() -> None:
    assert load(environ={"PRONK_PORT": ""}).port == 8000


def test_what_kubernetes_sets_beside_a_service_named_pronk_is_no_setting() -> None:
    environ = {
        "PRONK_PORT": "tcp://10.0.0.1:8000",
        "PRONK_SERVICE_HOST": "10.0.0.1",
        "PRONK_SERVICE_PORT_HTTP": "8000",
        "PRONK_PORT_8000_TCP_ADDR": "10.0.0.1",
    }
    assert load(environ=environ).port == 8000


def test_the_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "pronk.toml").write_text("port = 1234")
    assert load(environ={"PRONK_CONFIG": str(tmp_path / "pronk.toml")}).port == 1234


def test_everything_lies_in_data_dir_which_counts_from_its_file(tmp_path: Path) -> None:
    settings = from_file(tmp_path, 'data_dir = "kept"')
    assert settings.data_dir == tmp_path / "kept"
    assert settings.database.reveal() == f"sqlite:///{tmp_path}/kept/pronk.db"
    assert settings.storage == f"file://{tmp_path}/kept/blobs"


def test_data_dir_as_a_flag_counts_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert from_file(tmp_path, "", data_dir="kept").data_dir == tmp_path / "here/kept"


def test_without_any_engine_the_bundled_one_serves_the_default_job() -> None:
    settings = load(environ={})
    assert settings.engines["default"].launch == "bundled"
    assert settings.jobs["job-default"].model is None


def test_engines_on_the_command_line_are_one_pool_with_a_job_for_any_model() -> None:
    settings = load(flags={"engine": ["http://a:1", "http://b:2/v1"]}, environ={})
    assert settings.engines["default"].urls == ("http://a:1/v1", "http://b:2/v1")
    assert list(settings.jobs) == ["job-default"]


def test_a_model_can_be_launched_from_the_command_line() -> None:
    engine = load(flags={"model": "Qwen/Qwen3", "launch": "vllm"}, environ={}).engines["default"]
    assert (engine.launch, engine.model) == ("vllm", "Qwen/Qwen3")


def test_tries_hold_for_every_pool_that_has_no_number_of_its_own(tmp_path: Path) -> None:
    text = "request_max_tries = 3\n[engines.a]\nurls = ['http://a']\n[engines.b]\nurls = ['http://b']\nmax_tries = 9\n"
    engines = from_file(tmp_path, text + "[jobs.x]\nengine = 'a'").engines
    assert {name: spec.max_tries for name, spec in engines.items()} == {"a": 3, "b": 9}


def test_jobs_of_a_file_are_the_only_ones(tmp_path: Path) -> None:
    """Else a job with an allow-list would stand beside one that may read everything."""
    settings = from_file(tmp_path, '[engines.a]\nurls = ["http://a"]\n[jobs.x]\nmodel = "m"\n')
    assert {job.id: job.engine for job in settings.jobs.values()} == {"job-x": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "pronk.toml: prot is not a setting; did you mean 'port'?"),
        ('port = "1"', "pronk.toml: port is '1'; it must be a whole number from 0 to 65535"),
        ("port = true", "pronk.toml: port is true; it must be a whole number"),
        ("port = 70000", "pronk.toml: port is 70000; it must be a whole number from 0 to 65535"),
        ('log_level = "loud"', "one of debug, error, info, warning"),
        ("lease_seconds = nan", "lease_seconds is nan; it must be a number"),
        ("[jobs.a]\nmodle = 'x'", "jobs.a.modle is not a setting; did you mean 'model'?"),
        ("[jobs.a]\nid = 'x'", "jobs.a.id is not a setting"),
        (
            "[jobs.a.media]\nmax_bytes = '20XB'",
            "jobs.a.media.max_bytes is '20XB'; it must be a size such as 20MB",
        ),
        (
            "[jobs.a.media]\nmax_pixels = 0",
            "jobs.a.media.max_pixels is 0; it must be a whole number, 1 or more",
        ),
        ("[jobs.a]\nengine = 'q'", "jobs.a.engine is 'q'; it must be one of the engines: default"),
        (
            "[jobs.a]\ncompletion_window = '3w'",
            "jobs.a.completion_window: completion_window '3w' is not a window",
        ),
        ("[jobs.a]\ndefaults = { at = 2020-01-01 }", "jobs.a.defaults.at is "),
        ("[jobs.a]\ndefaults = { t = nan }", "jobs.a.defaults.t is nan"),
        ("[jobs.job-a]", "write [jobs.a]; the job's id is then job-a"),
        ("[jobs.'a b']", "a name has only letters"),
        (
            "[jobs.a]\noutput = 's3:/x'",
            "jobs.a.output is 's3:/x'; it must be file:///PATH, s3://bucket/prefix",
        ),
        ("[engines.a]", "engines.a needs urls or launch"),
        ("[engines.a]\nurls = ['http://a']\nlaunch = 'bundled'", "engines.a needs urls or launch"),
        ("[engines.a]\nurls = ['gpu-1:8000']", "engines.a.urls is 'gpu-1:8000'; it must be a base URL"),
        ("[engines.a]\nurls = ['http://a/openai']", "ending in /v1"),
        ("[engines.a]\nurls = ['http://a:port/v1']", "it must be a base URL"),
        (
            "[engines.a]\nlaunch = 'vlm'",
            "it must be one of bundled, vllm, sglang, llama-server, or a command",
        ),
        ("[engines.a]\nlaunch = 'vllm'", "needs a model"),
        ("[engines.a]\nlaunch = 'my serve {model}'\nmodel = 'm'", "must have {port}"),
        ("[web]\nca_file = '/nowhere.pem'", "a readable PEM file of certificates"),
        ("[engines.a]\nlaunch = 'bundled'\nmax_in_flight = 0", "a whole number, 1 or more or one of auto"),
        ("[engines.a]\nlaunch = 'bundled'\napi_key_env = 'NO_SUCH'", "names NO_SUCH, which is not set"),
        (
            "[engines.a]\nurls=['http://a']\n[engines.b]\nurls=['http://b']",
            "write a [jobs.NAME] with its engine",
        ),
        (
            "[engines.a]\nurls=['http://a']\n[engines.b]\nurls=['http://b']\n[jobs.x]",
            "jobs.x.engine is missing",
        ),
        ("[[buckets]]\nregion = 'x'", "buckets[0].match is missing; it must be text"),
        ("[[buckets]]\nmatch = 'x'\nendpoint = 'minio'", "buckets[0].endpoint is 'minio'; it must be a URL"),
        ("[web]\nports = [0]", "web.ports[0] is 0"),
        ("[web]\nallow_prviate = []", "web.allow_prviate is not a setting; did you mean 'allow_private'?"),
        ("[web]\nallow_private = ['10.1.0.1/16']", "it must be a network such as 10.1.0.0/16"),
        ("web = 3", "web is 3; it must be a table"),
        ("engines = 3", "engines is 3; it must be a table"),
        ("heartbeat_seconds = 20", "three times heartbeat_seconds"),
        ("database = 'mysql://u:secret@h'", "database must be sqlite:///PATH or postgresql://"),
        ("storage = 'ftp://x'", "storage is 'ftp://x'; it must be file:///PATH"),
        ("x =", "pronk.toml is not TOML"),
    ],
)
def test_a_wrong_file_is_told_what_where_and_what_would_be_right(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        from_file(tmp_path, text)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"port": "abc"}, {}, "--port is 'abc'; it must be a whole number from 0 to 65535"),
        ({"data-dir": "x"}, {}, "did you mean 'data_dir'?"),
        ({"web.total_timeout": "0"}, {}, "--web.total-timeout is '0'"),
        ({"engine": ["http://a"], "model": "m"}, {}, "leave out --model"),
        ({"launch": "vllm"}, {}, "needs a model"),
        ({}, {"PRONK_PRT": "1"}, "PRONK_PRT is not a setting; did you mean 'PRONK_PORT'?"),
        (
            {},
            {"PRONK_ALLOW_ANONYMOUS": "maybe"},
            "PRONK_ALLOW_ANONYMOUS is 'maybe'; it must be true or false",
        ),
        ({}, {"PRONK_WEB_PORTS": "80,x"}, "PRONK_WEB_PORTS[1] is 'x'; it must be a whole number"),
    ],
)
def test_a_wrong_flag_or_variable_is_named(
    flags: dict[str, object], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(flags=flags, environ=environ)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nope\.toml cannot be read: No such file"):
        load(config=tmp_path / "nope.toml", environ={})


def test_settings_survive_the_way_to_another_process(tmp_path: Path) -> None:
    settings = from_file(tmp_path, GUIDE, {"ENGINE_KEY": "k"})
    line = settings.to_json()
    assert b"\n" not in line
    assert Settings.from_json(line) == settings


def test_what_is_not_settings_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.from_json(b'{"port": "x"}')


def test_a_secret_is_only_seen_when_asked_for() -> None:
    settings = load(environ={}, flags={"database": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in f"{settings} {settings!r} {settings.database}"
    assert settings.database.reveal() == "postgresql://u:hunter2@h/d"
    assert settings.database == Secret("postgresql://u:hunter2@h/d")


def test_an_engines_key_is_read_from_the_variable_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_KEY", "k")
    settings = load(flags={"engine": ["http://a"], "api_key_env": "ENGINE_KEY"}, environ={"ENGINE_KEY": "k"})
    assert settings.engine_key("default") == Secret("k")
    monkeypatch.delenv("ENGINE_KEY")
    with pytest.raises(SettingsError, match="ENGINE_KEY, which is not set"):
        settings.engine_key("default")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_may_always_use_the_server(host: str) -> None:
    load(flags={"host": host}, environ={}).check_binding(has_keys=False)


def test_strangers_may_not_use_a_server_without_keys() -> None:
    exposed = {"host": "0.0.0.0"}  # noqa: S104 - that is the point
    with pytest.raises(SettingsError, match="--allow-anonymous"):
        load(flags=exposed, environ={}).check_binding(has_keys=False)
    load(flags=exposed, environ={}).check_binding(has_keys=True)
    load(flags={**exposed, "allow_anonymous": True}, environ={}).check_binding(has_keys=False)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("20MB", 20_000_000),
        ("64MiB", 2**26),
        ("1.5 GB", 1_500_000_000),
        ("10k", 10_000),
        ("7", 7),
        ("1_000", 1000),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_size(text) == count


@given(st.text(max_size=8))
def test_any_text_is_a_size_or_is_not(text: str) -> None:
    size = parse_size(text)
    assert size is None or size >= 0


def test_every_member_of_every_table_is_explained() -> None:
    own = {"name", "id", "output_of_others"}
    for kind, about in MEMBERS.items():
        assert set(members(kind)) - own == set(about), kind


def test_every_setting_has_a_text_and_a_variable_of_its_own() -> None:
    found = [*leaves(), *leaves(Shortcuts)]
    assert all(leaf.text.endswith((".", "…")) for leaf in found)
    assert len({leaf.variable for leaf in found}) == len(found)


def test_the_client_knows_its_server() -> None:
    assert client_settings({}).url == "http://127.0.0.1:8000"
    found = client_settings({"PRONK_URL": "https://pronk.example.org/v1/", "PRONK_API_KEY": "k"})
    assert (found.url, found.api_key) == ("https://pronk.example.org", Secret("k"))
    with pytest.raises(SettingsError, match="PRONK_URL"):
        client_settings({"PRONK_URL": "pronk.example.org"})


def test_a_child_gets_no_settings_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONK_PORT", "1")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    env = child_environment({"A": "b"}, without=("AWS_",))
    assert env["A"] == "b"
    assert "PATH" in env
    assert not {"PRONK_PORT", "AWS_PROFILE"} & set(env)
