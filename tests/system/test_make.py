"""``pronk make`` against a store that behaves as Amazon's."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import anyio
import pytest
from tests.fakes.aws import Aws, open_aws

from pronk.cli.main import main
from pronk.settings import child_environment

Run = Callable[..., tuple[int, str, str]]
MEASURED = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
)
"""A small process between: the memory of a child counts from that of whoever started it."""

ASK = ("--prompt", "Which is {name}?", "--model", "m")


@contextmanager
def serving(aws: Aws) -> Iterator[dict[str, str]]:
    """Give the variables of a user of `aws`, which listens in a thread of its own."""
    said: SimpleQueue[str] = SimpleQueue()
    stop = threading.Event()

    async def serve() -> None:
        async with open_aws(aws):
            said.put(aws.url)
            while not stop.is_set():  # noqa: ASYNC110  # set by another thread
                await anyio.sleep(0.02)

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    user = aws.new_user()
    try:
        yield {
            "AWS_ACCESS_KEY_ID": user.access_key,
            "AWS_SECRET_ACCESS_KEY": user.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": said.get(timeout=120),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def aws() -> Aws:
    aws = Aws()
    bucket = aws.new_bucket("parts", "eu-west-1")
    for key in ("a/1.png", "a/2.JPG", "a/notes.txt", "b/1.png", "b/2.png", "b/3.png", "z.webp"):
        bucket.put(f"in/{key}", b"x")
    bucket.put("in/", b"")
    bucket.put("other/1.png", b"x")
    return aws


@pytest.fixture
def run(
    aws: Aws, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Run]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pronk.app.entry.configure_logs", lambda *_: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(("make", *arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    with serving(aws) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield run


def read(*names: str) -> list[dict[str, Any]]:
    paths = [Path("requests") / name for name in names] or sorted(Path("requests").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def images(line: dict[str, Any]) -> list[str]:
    parts = line["body"]["messages"][-1]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def test_one_request_for_each_picture(run: Run) -> None:
    code, out, _ = run("s3://parts/in/", *ASK, "--system", "In {folder}.")
    assert (code, out) == (
        0,
        "6 requests for 6 objects, 1 objects left out\nrequests/requests-00001.jsonl\n",
    )
    lines = read()
    keys = ["in/a/1.png", "in/a/2.JPG", "in/b/1.png", "in/b/2.png", "in/b/3.png", "in/z.webp"]
    assert [line["custom_id"] for line in lines] == keys
    assert [images(line) for line in lines] == [[f"s3://parts/{key}"] for key in keys]
    assert lines[0] == {
        "custom_id": "in/a/1.png",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [
                {"role": "system", "content": "In a."},
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "s3://parts/in/a/1.png"}},
                        {"type": "text", "text": "Which is 1.png?"},
                    ],
                },
            ],
        },
    }


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        (("--group", "folder"), [["a/1.png", "a/2.JPG"], ["b/1.png", "b/2.png", "b/3.png"], ["z.webp"]]),
        (
            ("--group", "folder", "--max-images", "2", "--include", "b/*"),
            [["b/1.png", "b/2.png"], ["b/3.png"]],
        ),
        (("--group", r"in/(.)/\d", "--include", "*.png"), [["a/1.png"], ["b/1.png", "b/2.png", "b/3.png"]]),
        (("--include", "*.txt", "--include", "z*"), [["a/notes.txt"], ["z.webp"]]),
    ],
)
def test_groups_and_globs(run: Run, options: tuple[str, ...], groups: list[list[str]]) -> None:
    assert run("s3://parts/in/", *ASK, *options)[0] == 0
    lines = read()
    assert [images(line) for line in lines] == [[f"s3://parts/in/{key}" for key in group] for group in groups]
    assert len({line["custom_id"] for line in lines}) == len(lines)


def test_a_schema_further_members_and_columns_of_a_table(run: Run) -> None:
    Path("answer.json").write_text('{"type": "object", "properties": {"ok": {"type": "boolean"}}}')
    Path("extra.csv").write_text(
        'key,label\ns3://parts/in/b/2.png,"a ""star"""\nin/a/1.png,ring\nin/gone.png,x\n'
    )
    options = (
        "--schema",
        "answer.json",
        "--set",
        "temperature=0",
        "--set",
        "user=me",
        "--table",
        "extra.csv",
    )
    code, out, _ = run("s3://parts/in/", "--prompt", "Is it {label}? {{x}}", "--model", "m", *options)
    assert (code, out.splitlines()[0]) == (0, "2 requests for 2 objects, 5 objects left out")
    first, second = read()
    assert first["body"]["messages"][0]["content"][1]["text"] == "Is it ring? {x}"
    assert second["body"]["messages"][0]["content"][1]["text"] == 'Is it a "star"? {x}'
    assert first["body"]["response_format"]["json_schema"]["name"] == "answer"
    assert (first["body"]["temperature"], first["body"]["user"]) == (0, "me")


def test_files_are_split_and_the_same_command_goes_on(run: Run) -> None:
    limit = ("--max-lines", "2")
    assert run("s3://parts/in/", *ASK, *limit)[1].count("requests/") == 3
    whole = read()
    assert [len(read(f"requests-0000{n}.jsonl")) for n in (1, 2, 3)] == [2, 2, 2]
    state = json.loads(Path("requests/make.json").read_text())
    first = {"files": ["requests-00001.jsonl"], "last_key": "in/a/2.JPG", "is_done": False}
    Path("requests/make.json").write_text(json.dumps({**state, **first, "requests": 2, "objects": 2}))
    for number in (2, 3):
        Path(f"requests/requests-0000{number}.jsonl").unlink()
    Path("requests/requests.partial").write_text("half a li")
    code, out, _ = run("s3://parts/in/", *ASK, *limit, "--json")
    assert (code, json.loads(out)["requests"], json.loads(out)["objects"]) == (0, 6, 6)
    assert read() == whole
    assert not Path("requests/requests.partial").exists()
    assert run("s3://parts/in/", *ASK, *limit)[0] == 0
    assert read() == whole


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("s3://none/", *ASK), "no such bucket"),
        (("in/x", *ASK), "s3://bucket/key"),
        (("s3://parts/", "--prompt", "{nmae}", "--model", "m"), "{nmae} is not known"),
        (("s3://parts/", "--prompt", "a { b", "--model", "m"), "stands alone"),
        (("s3://parts/", *ASK, "--group", "("), "no regular expression"),
        (("s3://parts/", *ASK, "--table", "none.csv"), "is not a file"),
        (("s3://parts/", *ASK, "--schema", "none.json"), "cannot be read"),
        (("s3://parts/", *ASK, "--set", "model=x"), "--set"),
    ],
)
def test_what_cannot_be_made_is_one_line(run: Run, arguments: tuple[str, ...], word: str) -> None:
    code, _, err = run(*arguments)
    assert (code > 0, err.count("\n")) == (True, 1)
    assert word in err


def test_another_recipe_does_not_go_on_with_the_files_of_this_one(run: Run) -> None:
    run("s3://parts/in/", *ASK)
    code, _, err = run("s3://parts/in/", "--prompt", "Another?", "--model", "m")
    assert (code, "made in another way" in err) == (2, True)


@pytest.mark.scale
@pytest.mark.timeout(600)
def test_a_million_keys(tmp_path: Path) -> None:
    """Over 20,000 keys/s under 200 MB from a store that lists 1,000 a page in 50 ms."""
    aws = Aws()
    aws.latency.seconds = 0.05
    bucket = aws.new_bucket("many")
    stored = bucket.put("in/0000000.png", b"x")
    keys = [f"in/{number:07}.png" for number in range(1_000_000)]
    bucket.objects = {key: [stored] for key in keys}
    bucket._keys = keys
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "pronk", "make", "s3://many/in/", *ASK]
    with serving(aws) as variables:
        env = child_environment(variables, without=("AWS_",))
        started = time.monotonic()
        done = subprocess.run(
            [*command, "-o", str(tmp_path)], env=env, capture_output=True, text=True, check=True
        )
        seconds = time.monotonic() - started
    peak = int(done.stderr.split()[-1]) * 1024
    assert len(list(tmp_path.glob("*.jsonl"))) == 20
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("*.jsonl")) == 1_000_000
    figures = f"{seconds:.1f} s, {peak / 1e6:.0f} MB"
    assert peak < 200_000_000, figures
    assert 1_000_000 / seconds > 20_000, figures
