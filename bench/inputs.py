"""Files of requests, as large and as many as asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_LINE = (
    b'{"custom_id":"r-%d","method":"POST","url":"/v1/chat/completions",'
    b'"body":{"model":"m","messages":[{"role":"user","content":%b}]}}\n'
)


def text_file(path: Path, lines: int, line_bytes: int = 450) -> Path:
    """Write requests of text whose lines are about `line_bytes` long."""
    words = b"word " * (max(5, line_bytes - 150) // 5)
    return _write(path, lines, lambda number: b'"%d %b"' % (number, words))


def picture_file(path: Path, lines: int, pictures: int, bucket: str = "pictures", suffix: str = "") -> Path:
    """Write requests that name one of `pictures` objects each, in turn."""
    content = (
        b'[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"s3://%b/%d%b.jpg"}}]'
    )
    name, end = bucket.encode(), suffix.encode()
    return _write(path, lines, lambda number: content % (name, number % pictures, end))


def _write(path: Path, lines: int, content: Callable[[int], bytes]) -> Path:
    with path.open("wb") as file:
        for number in range(lines):
            file.write(_LINE % (number, content(number)))
    return path
