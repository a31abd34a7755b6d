"""Texts that want to be more than text, and what a page may have in it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, Final

from tests.console.server import line

PAYLOADS: Final = (
    "<script>boom()</script>",
    "<ScRiPt src=//evil.test/x.js></sCrIpT>",
    "</script><script>boom()</script>",
    "<img src=x onerror=boom()>",
    "<img src=`x` onerror=boom()>",
    "<svg onload=boom()>",
    "<svg><script>boom()</script></svg>",
    "<svg><a xlink:href=javascript:boom()><text>x</text></a></svg>",
    '"><script>boom()</script>',
    "'><img src=x onerror=boom()>",
    '" onmouseover="boom()',
    "' onfocus='boom()' autofocus='",
    "javascript:boom()",
    "JaVaScRiPt:boom()",
    "data:text/html,<script>boom()</script>",
    "<iframe src=javascript:boom()>",
    "<object data=javascript:boom()>",
    "<embed src=//evil.test>",
    "<base href=//evil.test/>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<link rel=stylesheet href=//evil.test/x.css>",
    "<style>@import '//evil.test/x.css';</style>",
    "<form action=//evil.test><button>go</button></form>",
    "<input autofocus onfocus=boom()>",
    "<details open ontoggle=boom()>",
    "<video><source onerror=boom()>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=boom()>",
    "<div hx-get=/ hx-trigger=load>",
    "<a href='/logout' hx-post='/batches/x/cancel' hx-trigger='load'>x</a>",
    "{{ 7*7 }}{% raw %}{{ config }}",
    "<!--><script>boom()</script>-->",
    "\\u003cscript\\u003eboom()\\u003c/script\\u003e",
    "]]><script>boom()</script>",
    "<textarea></textarea><script>boom()</script>",
    "\u202e<script>boom()</script>\u2066",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='boom()'/>",
    "<svg><animate onbegin=boom() attributeName=x dur=1s>",
    "<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg onload=boom()>#x'/></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>boom()</script>'></foreignObject></svg>",
    "<svg><style><img src=x onerror=boom()></style></svg>",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='boom()'/>",
    "<image src=x onerror=boom()>",
    "<audio src=x onerror=boom()>",
    "<video src=x onerror=boom()>",
    "<body onload=boom()>",
    "<body onpageshow=boom()>",
    "<marquee onstart=boom()>",
    "<select autofocus onfocus=boom()>",
    "<keygen autofocus onfocus=boom()>",
    "<isindex type=image src=1 onerror=boom()>",
    "<button popovertarget=x>a</button><div id=x popover onbeforetoggle=boom()>",
    "<template shadowrootmode=open><img src=x onerror=boom()></template>",
    "<noscript><p title='</noscript><img src=x onerror=boom()>'>",
    "<title></title><script>boom()</script>",
    "</title><script>boom()</script>",
    "</style><script>boom()</script>",
    "</textarea><script>boom()</script>",
    "<xmp></xmp><script>boom()</script>",
    "<plaintext>",
    "<frameset onload=boom()>",
    "<table background=javascript:boom()>",
    "<div style='background:url(//evil.test/x.png)'>",
    "<p style=animation-name:x onanimationstart=boom()>",
    "<a href='java\tscript:boom()'>x</a>",
    "<a href=' &#106;avascript:boom()'>x</a>",
    "<a href='vbscript:boom()' ping=//evil.test>x</a>",
    "<div hx-on:click=boom() hx-vals='js:{a: boom()}' hx-swap-oob=true id=main>",
    '<script type=importmap>{"imports": {}}</script>',
    "<link rel=modulepreload href=//evil.test/x.js>",
    "${boom()} #{boom()} <%= boom() %> {%% x %%}",
    "+ADw-script+AD4-boom()+ADw-/script+AD4-",
    '{"a": "<script>boom()</script>", "<b onclick=boom()>": 1.0, "n": 123456789012345678}',
)
_ALLOWED: Final = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "script",
        "body",
        "a",
        "header",
        "svg",
        "path",
        "nav",
        "div",
        "button",
        "kbd",
        "circle",
        "form",
        "input",
        "main",
        "footer",
        "span",
        "dialog",
        "h1",
        "h2",
        "h3",
        "ul",
        "li",
        "p",
        "b",
        "code",
        "pre",
        "section",
        "aside",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "dl",
        "dt",
        "dd",
        "small",
        "label",
        "select",
        "option",
        "textarea",
        "img",
        "time",
        "rect",
        "i",
        "br",
        "mark",
        "datalist",
        "fieldset",
        "legend",
        "del",
        "ins",
        "noscript",
    ]
)


def hostile_lines() -> list[dict[str, Any]]:
    """Return lines with each payload as prompt, answer (the engine echoes), id and reference; and failed ones."""
    found = []
    for number, text in enumerate(PAYLOADS):
        found.append(line(number, text, custom_id=f"{number}{text}"))
        found.append(line(number, text, custom_id=f"bad{number}{text}", reference=f"s3://bad/{text}.png"))
        found.append(line(number, text, custom_id=f"no{number}", model="status-400"))
    return found


class Page(HTMLParser):
    """What a page is made of, and everything that it must not have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _ALLOWED:
            self.faults.append(f"<{tag}>")
        if tag == "script" and not str(given.get("src", "")).startswith("/assets/"):
            self.faults.append("a script of its own")
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.faults.append(f"{name}={value}")
            if name in {"href", "src", "action", "hx-get", "hx-post"} and not text.startswith(
                ("/", "?", "#")
            ):
                self.faults.append(f"{name}={value}")
            if name == "hx-post":
                self.faults.append(f"{name}={value}")
