"""The report of a preflight as one web page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from pronk.cli import show

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{text-align:left;padding:.25rem .75rem;border-bottom:1px solid #8884}"
    "td.n,th.n{text-align:right}code{overflow-wrap:anywhere}.bad{color:#c33}.good{color:#283}"
)


def page(name: str, found: Mapping[str, Any]) -> str:
    """Return the page; every text in it is data, never markup."""
    return "".join(_pieces(name, found))


def _pieces(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    title = f"Preflight of {escape(name)}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
    verdict = ("good", "Every line would reach the engine.")
    if not found["ok"]:
        verdict = ("bad", "Not every line would reach the engine.")
    yield f'<p class="{verdict[0]}"><strong>{verdict[1]}</strong></p>'
    yield _table("At a glance", ("", ""), _glance(found))
    errors = ((error["line"] or "", error["code"], error["message"]) for error in found["errors"])
    yield _table("Lines that are wrong", ("Line", "Code", "Message"), errors)
    failed = ((code, f"{count:,}") for code, count in sorted(found["failed"].items()))
    yield _table("References that cannot be read", ("Code", "References"), failed)
    problems = (
        (each["line"], each["reference"], each["code"], each["message"]) for each in found["problems"]
    )
    yield _table("The first of them", ("Line", "Reference", "Code", "Message"), problems)
    regions = (
        (region, f"{amount['references']:,}", show.size(amount["bytes"]), _cost(amount))
        for region, amount in sorted(found["regions"].items())
    )
    yield _table("Regions", ("Region", "References", "Size", "Cost of crossing"), regions)
    types = (
        (type_, f"{amount['references']:,}", show.size(amount["bytes"]))
        for type_, amount in sorted(found["types"].items())
    )
    yield _table("Types", ("Type", "References", "Size"), types)
    yield "</body></html>\n"


def _glance(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Job", str(found["job_id"])
    yield "Requests", f"{found['requests']:,}"
    yield "Distinct references", f"{found['references']:,}, named {found['uses']:,} times"
    yield "Can be read", f"{found['readable']:,}, {show.size(found['bytes'])}"
    yield "Crosses regions", f"{show.size(found['crossing_bytes'])}, ${found['crossing_cost']:,.4f}"
    yield "Input tokens (estimate)", f"{found['input_tokens']:,}"
    if found["input_cost"] is not None:
        yield "Their cost (estimate)", f"${found['input_cost']:,.4f}"


def _cost(amount: Mapping[str, Any]) -> str:
    return f"${amount['cost']:,.4f}" if amount["crosses"] else "none"


def _table(heading: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    if not body:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return f"<h2>{escape(heading)}</h2><table><tr>{head}</tr>{body}</table>"
